// The journal of a program, with all that it did and saw: JSON lines.

/** A message. */
export interface Note {
  id: string;
  /** Its in_reply_to. */
  re: string;
  name: string;
  /** Announcement, reQuest, Reply, Status, or Event of a Replier's bind. */
  kind: 'A' | 'Q' | 'R' | 'S' | 'E';
  flags: number;
  to: number;
  from: number;
  /** The sender's `<journal>.<n>`, with which its data begins. */
  tag: string;
  size: number;
  /** Of a Reply, the tag of the Request that it answers, if its data has one. */
  meant?: string;
}

export interface Opened {
  e: 'open';
  /** The Ksock's. */
  id: number;
}

/** It calls bind or unbind; the call succeeded; the call was refused. */
export interface Binding {
  e: 'bind?' | 'bind!' | 'bind-' | 'unbind?';
  name: string;
  replier: boolean;
  code?: string;
}

/** It starts to send its message number n. */
export interface Asked extends Note {
  e: 'send?';
  n: number;
  /** By request(), which returns the answer. */
  awaited?: boolean;
}

/** The send succeeded. */
export interface Sent {
  e: 'send!';
  n: number;
  id: string;
  /** Or KBUS gave it up later, which only a Status would show. */
  blind?: boolean;
}

/** The send was refused, or its outcome is unknown. */
export interface Refused {
  e: 'send-';
  n: number;
  code: string;
  error?: string;
}

/** The program read this message. */
export interface Read extends Note {
  e: 'read';
}

/** The Reply or Status to its request() number n. */
export interface Answered extends Note {
  e: 'answer';
  n: number;
}

/** It sets its queue's limit. */
export interface Limited {
  e: 'limit';
  count: number;
}

/**
 * It wants messages once only; it has reconnected, with bindings that are not in the journal; it may read messages
 * without a handler; it starts to close.
 */
export interface Turned {
  e: 'once' | 'again' | 'loose' | 'end?';
}

/** The end of the journal. */
export interface Ended {
  e: 'end';
  why: 'closed' | 'lost' | 'killed';
  /** It read all messages before. */
  drained: boolean;
}

/** A bug of the program. */
export interface Crashed {
  e: 'crash';
  error: string;
}

export type Fact =
  | Opened
  | Binding
  | Asked
  | Sent
  | Refused
  | Read
  | Answered
  | Limited
  | Turned
  | Ended
  | Crashed;

/** A fact and its time, which rises over all journals together. */
export type Entry<F extends Fact = Fact> = F & { t: number };

/** The entries of one Ksock's program, in order. */
export interface Journal {
  readonly name: string;
  readonly entries: Entry[];
}

// What a program did and saw, as it writes it down: one line of JSON after the other.

/** What there is to know of a message. */
export interface Note {
  id: string;
  /** The message that it answers. */
  re: string;
  name: string;
  /** Announcement, reQuest, Reply, Status, or Event of a Replier's bind. */
  kind: 'A' | 'Q' | 'R' | 'S' | 'E';
  flags: number;
  to: number;
  from: number;
  /** `<journal>.<n>` of who sent it, which its data begins with. */
  tag: string;
  size: number;
  /** Of a Reply, the tag of the Request that its sender means to answer, if it says so. */
  meant?: string;
}

export interface Opened {
  e: 'open';
  /** The Ksock's. */
  id: number;
}

/** It asks to bind, or unbind; it is bound; it was refused. */
export interface Binding {
  e: 'bind?' | 'bind!' | 'bind-' | 'unbind?';
  name: string;
  replier: boolean;
  code?: string;
}

/** It asks to send its message number n. */
export interface Asked extends Note {
  e: 'send?';
  n: number;
  /** By request(), which gives the answer. */
  awaited?: boolean;
}

/** It was sent. */
export interface Sent {
  e: 'send!';
  n: number;
  id: string;
  /** Or it was given up, of which only a Status would tell. */
  blind?: boolean;
}

/** It was refused, or its fate is unknown. */
export interface Refused {
  e: 'send-';
  n: number;
  code: string;
  error?: string;
}

/** The program was given this message. */
export interface Read extends Note {
  e: 'read';
}

/** The Reply or Status to its request() number n. */
export interface Answered extends Note {
  e: 'answer';
  n: number;
}

/** Its queue's limit. */
export interface Limited {
  e: 'limit';
  count: number;
}

/**
 * Messages come once only; the connection is not its first: what is bound is not told; it may be given messages that
 * it has no handler for; it begins to close.
 */
export interface Turned {
  e: 'once' | 'again' | 'loose' | 'end?';
}

/** Nothing more comes. */
export interface Ended {
  e: 'end';
  why: 'closed' | 'lost' | 'killed';
  /** It read until nothing was left to come. */
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

/** A fact, and when: that rises, over all journals together. */
export type Entry<F extends Fact = Fact> = F & { t: number };

/** What one Ksock's program did and saw, in order. */
export interface Journal {
  readonly name: string;
  readonly entries: Entry[];
}

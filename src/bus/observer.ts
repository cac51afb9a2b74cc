import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';

/** A message is sent for the first time; or again, because a program called, or because there is room. */
export type Attempt = 'send' | 'resend' | 'poll';

/** What a Ksock may set, as {@link BusObserver.set} tells of it. */
export type Setting =
  | 'maxMessages'
  | 'wantMessagesOnce'
  | 'reportReplierBinds'
  | 'verbose'
  | 'maxMessageSize';

/**
 * Watches a bus: a recorder, an inspector, the debug log. The bus calls it while it carries out a call, in the order in
 * which things happen, so it must only take note. It must not change a batch, and must copy the bytes that it needs
 * later. If a batch stands for several messages (`count`), the event happened to all of them. Events carry no time: an
 * observer that needs it reads a clock.
 */
export interface BusObserver {
  opened?(ksock: KsockState): void;
  /** The Ksock has left, after all that follows from that (Statuses, bind events). */
  closed?(ksock: KsockState): void;
  bound?(binding: KsockBinding): void;
  /** The unread messages that came by the binding have left the queue. */
  unbound?(binding: KsockBinding): void;
  /** The bus refused a bind or unbind, with this error number. */
  bindRefused?(
    ksock: KsockState,
    name: string,
    replier: boolean,
    isBind: boolean,
    errno: number,
  ): void;

  /** A send is done; `queued`, `missed` and `answered` came before and say who got it. */
  sent?(sender: KsockState, batch: MessageBatch, attempt: Attempt): void;
  /** The bus refused a send: nobody got the message. */
  refused?(sender: KsockState, batch: MessageBatch, errno: number, attempt: Attempt): void;
  /** A message waits to be sent (ALL_OR_WAIT), or goes on waiting. */
  waiting?(sender: KsockState, batch: MessageBatch, attempt: Attempt): void;
  /** The sender discarded the message that waited to be sent, if one did. */
  discarded?(sender: KsockState, batch: MessageBatch | null): void;

  /** The bus put messages into a queue: by this binding, or (null) as the answer to a Request. */
  queued?(
    ksock: KsockState,
    batch: MessageBatch,
    binding: KsockBinding | null,
    atFront: boolean,
  ): void;
  /** A listener missed messages: its queue was full. */
  missed?(ksock: KsockState, batch: MessageBatch): void;
  /** A Reply, or a Status that KBUS made, ended a Request of this Ksock. With a token of 0 or more, it did not go through the queue. */
  answered?(requester: KsockState, batch: MessageBatch, token: number): void;
  /**
   * A Ksock read the message at `index` of a batch; `isAsked`: it is a Request for the reader to answer. `over` urgent
   * messages, which came to the front of the queue after the reader had been shown this one, stay there.
   */
  read?(
    ksock: KsockState,
    batch: MessageBatch,
    index: number,
    isAsked: boolean,
    over: number,
  ): void;
  /** A requester gave up the Request of this token; `isTakenBack`: the Replier had not read it, and never will. */
  forgotten?(requester: KsockState, token: number, isTakenBack: boolean): void;

  /** A call set a setting to this value, or asked for it; `result` is what it is, what it was, or -errno. */
  set?(ksock: KsockState | null, setting: Setting, value: number, result: number): void;
}

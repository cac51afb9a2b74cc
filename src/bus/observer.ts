import type { Attempt, Setting } from '../message/calls.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import type { RequestRecord } from './requests.ts';

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
  /** The unread messages that came by the binding, `dropped` of them, have left the queue. */
  unbound?(binding: KsockBinding, dropped: number): void;
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
   * A Ksock read `count` messages of a batch, from `index` on; `isAsked`: they are Requests for the reader to answer.
   * `over` urgent messages, which came to the front of the queue after the reader had been shown these, stay there.
   */
  read?(
    ksock: KsockState,
    batch: MessageBatch,
    index: number,
    count: number,
    isAsked: boolean,
    over: number,
  ): void;
  /**
   * A requester gave up the Request of this token; `isTakenBack`: the Replier had not read it, and never will. Null: the
   * Request had ended already.
   */
  forgotten?(
    requester: KsockState,
    token: number,
    isTakenBack: boolean,
    request: RequestRecord | null,
  ): void;
  /** The requester leaves: nobody waits for the answer to this Request any more. */
  abandoned?(request: RequestRecord): void;

  /** A call set a setting to this value, or asked for it; `result` is what it is, what it was, or -errno. */
  set?(ksock: KsockState | null, setting: Setting, value: number, result: number): void;
}

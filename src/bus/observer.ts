import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';

/** A message is sent for the first time; or once more, by a program's call, or because there is room. */
export type Attempt = 'send' | 'resend' | 'poll';

/** What a Ksock may set, as {@link BusObserver.set} tells of it. */
export type Setting =
  | 'maxMessages'
  | 'wantMessagesOnce'
  | 'reportReplierBinds'
  | 'verbose'
  | 'maxMessageSize';

/**
 * Who watches a bus: recorders, inspectors, the debug log. The bus calls it in the middle of what it does, in the
 * order in which things happen, so it must only take note. Nothing of a batch may be changed, and what lies in its
 * bytes must be copied if it is needed later. A batch may stand for several messages (`count`), which happened to all
 * of them. There is no time in it: who wants to know when, looks at a clock.
 */
export interface BusObserver {
  opened?(ksock: KsockState): void;
  /** It has left, and all that follows from that (Statuses, events) was told. */
  closed?(ksock: KsockState): void;
  bound?(binding: KsockBinding): void;
  /** Its unread messages have left the queue. */
  unbound?(binding: KsockBinding): void;
  /** A bind or unbind was refused, with this error number. */
  bindRefused?(
    ksock: KsockState,
    name: string,
    replier: boolean,
    isBind: boolean,
    errno: number,
  ): void;

  /** A send is done: `queued`, `missed` and `answered` have told who got it. */
  sent?(sender: KsockState, batch: MessageBatch, attempt: Attempt): void;
  /** A send was refused. Nobody got it. */
  refused?(sender: KsockState, batch: MessageBatch, errno: number, attempt: Attempt): void;
  /** A message waits to be sent (ALL_OR_WAIT), or goes on waiting. */
  waiting?(sender: KsockState, batch: MessageBatch, attempt: Attempt): void;
  /** The message that waited to be sent, if one did, is thrown away. */
  discarded?(sender: KsockState, batch: MessageBatch | null): void;

  /** Put into a queue; by this binding, or as the answer to a Request (null). */
  queued?(
    ksock: KsockState,
    batch: MessageBatch,
    binding: KsockBinding | null,
    atFront: boolean,
  ): void;
  /** A listener's queue was full. */
  missed?(ksock: KsockState, batch: MessageBatch): void;
  /** A Reply, or a Status that KBUS made, ended a Request of this Ksock. With a token (0 or more), it passed the queue. */
  answered?(requester: KsockState, batch: MessageBatch, token: number): void;
  /**
   * The message at `index` of a batch was read; as one to be answered by its reader, or not. It had been shown to its
   * reader before so many, which are urgent, went to the front of the queue; they stay there.
   */
  read?(
    ksock: KsockState,
    batch: MessageBatch,
    index: number,
    isAsked: boolean,
    over: number,
  ): void;
  /** A requester gave up the Request of this token. Whether it was taken back, unread. */
  forgotten?(requester: KsockState, token: number, isTakenBack: boolean): void;

  /** A setting was set to, or asked with, this value, and this came of it: what it is, what it was, or -errno. */
  set?(ksock: KsockState | null, setting: Setting, value: number, result: number): void;
}

/** One observer that tells several. */
export function observers(all: readonly BusObserver[]): BusObserver | null {
  if (all.length < 2) return all[0] ?? null;
  const told: Record<string, unknown> = {};
  const names = new Set(all.flatMap((one) => methodsOf(one)));
  for (const name of names) {
    const those = all.filter((one) => name in one) as unknown as Record<string, Tell>[];
    told[name] = (...what: unknown[]) => {
      for (const one of those) one[name]?.(...what);
    };
  }
  return told as BusObserver;
}

type Tell = (...what: unknown[]) => void;

function methodsOf(observer: object): string[] {
  const names: string[] = [];
  for (
    let at: object | null = observer;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    names.push(...Object.getOwnPropertyNames(at).filter((name) => name !== 'constructor'));
  }
  return names.filter((name) => typeof (observer as Record<string, unknown>)[name] === 'function');
}

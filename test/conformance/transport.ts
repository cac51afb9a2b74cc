import type { Bus } from '../../src/bus/bus.ts';
import type { BusSettings } from '../../src/bus/settings.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import type { Mode } from '../../src/message/calls.ts';

/** What a Ksock of the original could do: every transport can. */
export type OriginalKsock = Pick<
  Ksock,
  | 'id'
  | 'mode'
  | 'number'
  | 'bind'
  | 'unbind'
  | 'findReplier'
  | 'sendMsg'
  | 'writeMsg'
  | 'writeData'
  | 'send'
  | 'discard'
  | 'waitWritable'
  | 'nextMsg'
  | 'lenLeft'
  | 'readData'
  | 'readMsg'
  | 'readNextMsg'
  | 'waitForMsg'
  | 'numMessages'
  | 'numUnrepliedTo'
  | 'lastMsgId'
  | 'maxMessages'
  | 'setMaxMessages'
  | 'maxMessageSize'
  | 'setMaxMessageSize'
  | 'wantMessagesOnce'
  | 'reportReplierBinds'
  | 'verbose'
  | 'newDevice'
  | 'close'
>;

/** Fresh buses, with bus 0 among them, and nobody on them. */
export interface Place<K extends OriginalKsock> {
  open(mode?: Mode, bus?: number): Promise<K>;
  /** The text of `bindings` and `stats` of bus 0 (spec 1 §11). */
  bindings(): Promise<string>;
  stats(): Promise<string>;
  /** Bus 0 itself, where this process has it: for what no program can bring about. */
  readonly bus: Bus | null;
  /** Closes all that was opened, and removes all that was made. */
  close(): Promise<void>;
}

/** A way to reach a bus. */
export interface Transport<K extends OriginalKsock = OriginalKsock> {
  readonly name: string;
  /** False when buses are at hand, and not asked for by numbers, which may be those of none. */
  readonly hasNumbers?: boolean;
  /** How many messages the queue of a new Ksock may hold, unless it is 10,000 (spec 4 §4.3). */
  readonly queueLimit?: number;
  place(settings?: Partial<BusSettings>): Promise<Place<K>>;
}

/** What the sections of the suite are given: a place for each test. */
export interface Stage<K extends OriginalKsock = OriginalKsock> {
  open(mode?: Mode, bus?: number): Promise<K>;
  readonly place: Place<K>;
  readonly transport: Transport<K>;
}

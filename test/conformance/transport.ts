import type { Bus } from '../../src/bus/bus.ts';
import type { BusSettings } from '../../src/bus/settings.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import type { Mode } from '../../src/message/calls.ts';

/** The calls of a Ksock of the original, which every transport has. */
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

/** Fresh buses, with bus 0 among them, and without Ksocks. */
export interface Place<K extends OriginalKsock> {
  open(mode?: Mode, bus?: number): Promise<K>;
  /** The text of `bindings` and `stats` of bus 0 (spec 1 §11). */
  bindings(): Promise<string>;
  stats(): Promise<string>;
  /** Bus 0 itself, if it is in this process: for states that no program can cause. */
  readonly bus: Bus | null;
  /** Closes all Ksocks, and removes all files. */
  close(): Promise<void>;
}

/** A way to reach a bus. */
export interface Transport<K extends OriginalKsock = OriginalKsock> {
  readonly name: string;
  /** False if the transport connects to existing buses, and not by a number, which may be wrong. */
  readonly hasNumbers?: boolean;
  /** False if its programs are pages, which have no process id. */
  readonly hasPids?: boolean;
  /** The limit of a new Ksock's queue, if it is not 10,000 (spec 4 §4.3). */
  readonly queueLimit?: number;
  /** A read-only Ksock may bind as Replier (spec 1 §13.3). */
  readonly readOnlyReplies?: boolean;
  place(settings?: Partial<BusSettings>): Promise<Place<K>>;
}

/** The argument of the suite's sections: gives a place for each test. */
export interface Stage<K extends OriginalKsock = OriginalKsock> {
  open(mode?: Mode, bus?: number): Promise<K>;
  readonly place: Place<K>;
  readonly transport: Transport<K>;
}

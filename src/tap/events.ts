import type { Attempt, Setting } from '../message/calls.ts';
import type { MessageId } from '../message/id.ts';
import type { Message } from '../message/message.ts';

// What a tap tells of a bus. docs/protocol.md has the bytes of each event (Events).

/** Raise it whenever a reader of the version before would misunderstand an event. */
export const EVENTS_VERSION = 1;

/** The first byte of each event. 0 is padding. */
export const Code = {
  BEGIN: 1,
  KSOCK: 2,
  BINDING: 3,
  READY: 4,
  LOST: 5,
  OPENED: 6,
  CLOSED: 7,
  BOUND: 8,
  UNBOUND: 9,
  BIND_REFUSED: 10,
  MESSAGES: 11,
  SENT: 12,
  REFUSED: 13,
  WAITING: 14,
  DISCARDED: 15,
  QUEUED: 16,
  MISSED: 17,
  READ: 18,
  ANSWERED: 19,
  GIVEN_UP: 20,
  SET: 21,
} as const;

/**
 * A message as a tap shows it: {@link Message.data} may be only the beginning of what was sent.
 *
 * @example
 * ```ts
 * import type { SeenMessage } from 'kbus';
 *
 * export const isWhole = (message: SeenMessage): boolean => message.dataLength === message.wholeLength;
 * ```
 */
export type SeenMessage = Message & {
  /** Length in bytes of the data that was sent. */
  readonly wholeLength: number;
};

/**
 * Who uses a Ksock, and how much it has to do: spec 1 §11.2.
 *
 * @see {@link BusView} for an example
 */
export interface KsockInfo {
  readonly ksock: number;
  readonly mode: 'r' | 'rw';
  /** The program's name, or ''. */
  readonly program: string;
  /** Process id; 0: unknown. */
  readonly pid: number;
  /** User id; -1: unknown. */
  readonly uid: number;
  /** Whether the program itself says so: then it may lie. */
  readonly claimed: boolean;
  /** How many messages its queue may hold. */
  readonly maxMessages: number;
  readonly once: boolean;
  /** Unread messages. */
  readonly unread: number;
  /** Messages that it has missed since it was opened. */
  readonly missed: number;
  /** Requests that it sent and that are not answered yet. */
  readonly outstanding: number;
  /** Requests that it has read and not answered. */
  readonly unreplied: number;
  /** A message of it waits for room in a queue (ALL_OR_WAIT). */
  readonly sending: boolean;
}

/**
 * A binding of a bus.
 *
 * @see {@link BusView} for an example
 */
export interface BindingInfo {
  /** Tells the bindings of a bus apart: rises with each. */
  readonly binding: number;
  readonly ksock: number;
  readonly replier: boolean;
  readonly name: string;
}

/**
 * Messages of which something is told: `count` ids, which rise by one from `id` on.
 *
 * @example
 * ```ts
 * import { MessageId, type SeenIds } from 'kbus';
 *
 * // The ids that an event of several messages tells of.
 * export const idsOf = ({ id, count }: SeenIds): MessageId[] =>
 *   Array.from({ length: count }, (_, at) => new MessageId(id.networkId, id.serialNum + at));
 * ```
 */
export interface SeenIds {
  readonly id: MessageId;
  readonly count: number;
}

/**
 * What happened on a bus, by `type`. Numbers of unread messages, and of Requests, are those right after the event.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock, observe, type TapEvent } from 'kbus';
 *
 * function inWords(event: TapEvent): string {
 *   switch (event.type) {
 *     case 'begin':
 *       return `bus ${event.bus}, whose next Ksock is ${event.nextKsock}`;
 *     case 'bound':
 *       return `Ksock ${event.ksock} ${event.replier ? 'replies to' : 'listens to'} ${event.name}`;
 *     case 'unbound':
 *       return `${event.name} is unbound; ${event.dropped} messages left the queue`;
 *     case 'bindRefused':
 *       return `Ksock ${event.ksock} may not bind ${event.name}: ${event.errno}`;
 *     case 'messages':
 *       return `Ksock ${event.from} sends ${event.messages.map(({ name }) => name).join()}`;
 *     case 'queued':
 *       return `${event.count} queued for Ksock ${event.ksock}, which has ${event.unread} unread`;
 *     case 'sent':
 *       return `${event.id} is sent at the first ${event.attempt}`;
 *     case 'refused':
 *       return `Ksock ${event.ksock} could not send: ${event.errno}`;
 *     case 'waiting':
 *       return `${event.id} waits for room in a queue`;
 *     case 'discarded':
 *       return `${event.id} does not wait any more`;
 *     case 'missed':
 *       return `Ksock ${event.ksock} missed ${event.count}, in all ${event.missed}`;
 *     case 'read':
 *       return `Ksock ${event.ksock} read ${event.count}, and has ${event.unread} left`;
 *     case 'answered':
 *       return `Request ${event.request} got ${event.status || 'its Reply'}`;
 *     case 'givenUp':
 *       return `Ksock ${event.ksock} gave up ${event.request}`;
 *     case 'set':
 *       return `${event.setting} of ${event.ksock} is ${event.value}`;
 *     case 'lost':
 *       return `read too slowly: ${event.events} events are lost`;
 *     default:
 *       return event.type;
 *   }
 * }
 *
 * const bus = new Bus();
 * const tap = await observe(bus);
 * const ksock = await Ksock.open(bus);
 * await ksock.bind('$.Door');
 * await ksock.sendMsg(new Announcement('$.Door', 'open'));
 * await ksock.readNextMsg();
 * tap.finish();
 * for await (const event of tap) console.log(inWords(event));
 * // → bus 0, whose next Ksock is 1
 * // → ready
 * // → opened
 * // → Ksock 1 listens to $.Door
 * // → Ksock 1 sends $.Door
 * // → 1 queued for Ksock 1, which has 1 unread
 * // → [0:1] is sent at the first send
 * // → Ksock 1 read 1, and has 0 left
 * await ksock.close();
 * ```
 */
export type TapEvent = { readonly time: number } & (
  | BeginEvent
  | ({ readonly type: 'ksock' } & KsockInfo)
  | ({ readonly type: 'binding' } & BindingInfo)
  | { readonly type: 'ready' }
  | LostEvent
  | ({ readonly type: 'opened' } & KsockInfo)
  | { readonly type: 'closed'; readonly ksock: number }
  | ({ readonly type: 'bound' } & BindingInfo)
  | UnboundEvent
  | BindRefusedEvent
  | MessagesEvent
  | SentEvent
  | RefusedEvent
  | WaitingEvent
  | DiscardedEvent
  | QueuedEvent
  | MissedEvent
  | ReadEvent
  | AnsweredEvent
  | GivenUpEvent
  | SetEvent
);

/**
 * `TapEvent` of one type.
 *
 * @example
 * ```ts
 * import type { EventOf } from 'kbus';
 *
 * export const whoMissed = ({ ksock, count }: EventOf<'missed'>): string =>
 *   `Ksock ${ksock} missed ${count} messages`;
 * ```
 */
export type EventOf<T extends TapEvent['type']> = Extract<TapEvent, { readonly type: T }>;

/**
 * What is there now follows: forget what you knew. A `ksock` for each open Ksock and a `binding` for each binding come
 * until `ready`, between events of what happens meanwhile. An event about a Ksock or binding that is not known yet may be
 * ignored: what comes later has its effect.
 *
 * @see {@link TapEvent} for an example
 */
export interface BeginEvent {
  readonly type: 'begin';
  /** Number of the bus. */
  readonly bus: number;
  /** Milliseconds since 1970 at time 0 of this tap. */
  readonly startedAt: number;
  /** Size in bytes of the largest message that may be sent. */
  readonly maxMessageSize: number;
  readonly reportReplierBinds: boolean;
  readonly nextKsock: number;
  readonly nextSerial: number;
}

/**
 * Events were lost here, because they were not read in time: so many, with so many sent messages. `begin` follows.
 *
 * @see {@link TapEvent} for an example
 */
export interface LostEvent {
  readonly type: 'lost';
  readonly events: number;
  readonly messages: number;
}

/**
 * A binding is gone, and the unread messages that came by it have left the queue.
 *
 * @see {@link TapEvent} for an example
 */
export interface UnboundEvent extends BindingInfo {
  readonly type: 'unbound';
  /** How many messages left the queue. */
  readonly dropped: number;
  /** Unread messages that the Ksock still has. */
  readonly unread: number;
}

/**
 * The bus refused a bind, or an unbind.
 *
 * @see {@link TapEvent} for an example
 */
export interface BindRefusedEvent {
  readonly type: 'bindRefused';
  readonly ksock: number;
  readonly isBind: boolean;
  readonly replier: boolean;
  readonly name: string;
  readonly errno: number;
}

/**
 * Messages, once: the events that follow say what becomes of them, by their ids. Their common sender is `from`; 0 is KBUS.
 *
 * @see {@link TapEvent} for an example
 */
export interface MessagesEvent extends SeenIds {
  readonly type: 'messages';
  readonly from: number;
  readonly messages: readonly SeenMessage[];
}

/**
 * The send is done: everybody has got the messages who gets them.
 *
 * @see {@link TapEvent} for an example
 */
export interface SentEvent extends SeenIds {
  readonly type: 'sent';
  readonly ksock: number;
  readonly attempt: Attempt;
  /** Requests of the sender that are not answered yet. */
  readonly outstanding: number;
}

/**
 * The bus refused to send: nobody got the messages. Their ids may be unset.
 *
 * @see {@link TapEvent} for an example
 */
export interface RefusedEvent extends SeenIds {
  readonly type: 'refused';
  readonly ksock: number;
  readonly attempt: Attempt;
  readonly errno: number;
  readonly messages: readonly SeenMessage[];
}

/**
 * A message waits for room in a queue (ALL_OR_WAIT), or goes on waiting.
 *
 * @see {@link TapEvent} for an example
 */
export interface WaitingEvent extends SeenIds {
  readonly type: 'waiting';
  readonly ksock: number;
  readonly attempt: Attempt;
}

/**
 * The sender discarded the message that waited; an unset id: none did.
 *
 * @see {@link TapEvent} for an example
 */
export interface DiscardedEvent {
  readonly type: 'discarded';
  readonly ksock: number;
  readonly id: MessageId;
}

/**
 * The bus put messages into the queue of a Ksock.
 *
 * @see {@link TapEvent} for an example
 */
export interface QueuedEvent extends SeenIds {
  readonly type: 'queued';
  readonly ksock: number;
  /** The binding by which they came; 0: they are an answer to a Request of the Ksock, or a bind event that it asked for. */
  readonly binding: number;
  readonly atFront: boolean;
  /** Unread messages, these included. */
  readonly unread: number;
}

/**
 * A listener missed messages: its queue was full.
 *
 * @see {@link TapEvent} for an example
 */
export interface MissedEvent extends SeenIds {
  readonly type: 'missed';
  readonly ksock: number;
  /** Messages that it has missed in all. */
  readonly missed: number;
}

/**
 * A Ksock has read messages, or its client has consumed them: they are in its queue no longer.
 *
 * @see {@link TapEvent} for an example
 */
export interface ReadEvent extends SeenIds {
  readonly type: 'read';
  readonly ksock: number;
  /** They are Requests for the reader to answer. */
  readonly isAsked: boolean;
  /** Unread messages that are left. */
  readonly unread: number;
  readonly unreplied: number;
}

/**
 * Replies, or a Status of KBUS, ended Requests; `request` is the id of the first, and the others rise by one.
 *
 * @see {@link TapEvent} for an example
 */
export interface AnsweredEvent extends SeenIds {
  readonly type: 'answered';
  /** The requester. */
  readonly ksock: number;
  readonly request: MessageId;
  /** The name of the Status; '' for Replies. */
  readonly status: string;
  /** The answer went to the program at once, not through its queue. */
  readonly isDirect: boolean;
  readonly outstanding: number;
  /** Who answered; 0: KBUS. */
  readonly replier: number;
  /** Requests that the Replier has read and not answered. */
  readonly unreplied: number;
}

/**
 * The requester gave up a Request, or has left.
 *
 * @see {@link TapEvent} for an example
 */
export interface GivenUpEvent {
  readonly type: 'givenUp';
  /** The requester. */
  readonly ksock: number;
  readonly request: MessageId;
  /** The Replier has not read it, and never will. */
  readonly isTakenBack: boolean;
  /** The requester has left the bus. */
  readonly hasLeft: boolean;
  readonly outstanding: number;
  readonly replier: number;
  /** Unread messages, and Requests read and not answered, of the Replier. */
  readonly unread: number;
  readonly unreplied: number;
}

/**
 * A program set something to `value`, or asked for it.
 *
 * @see {@link TapEvent} for an example
 */
export interface SetEvent {
  readonly type: 'set';
  /** The Ksock that it is a setting of; 0: of the bus. */
  readonly ksock: number;
  readonly setting: Setting;
  readonly value: number;
  /** What it is, or was; or -errno. */
  readonly result: number;
}

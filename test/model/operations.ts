// The operations of a sequence. They are plain JSON. Arguments that depend on the state of the bus
// (which Request to answer, which binding to undo) are indices, resolved when the operation is done. So
// any part of a sequence is a sequence, which shrinking needs.

/**
 * The number of open Ksocks. `at` of an operation is the seat of the Ksock that does it; or, if the operation
 * has no meaning there (an empty seat, an empty queue, ...), the next seat where it
 * has one.
 */
export const SEATS = 5;

/** What the program of a Ksock does when the bus wakes its waiting send. */
export type Temper = 'waits' | 'polls' | 'sends again';

export interface Seat {
  readonly mode: 'r' | 'rw';
  readonly temper: Temper;
}

export interface SendFields {
  readonly name: string;
  readonly flags: number;
  /** Bytes of data. */
  readonly size: number;
  /** The id, as from a Limpet. */
  readonly network: number;
  readonly serial: number;
}

export type Operation =
  | { readonly do: 'open'; readonly at: number; readonly seat: Seat }
  | { readonly do: 'close'; readonly at: number }
  | { readonly do: 'bind'; readonly at: number; readonly name: string; readonly replier: boolean }
  | { readonly do: 'unbind'; readonly at: number; readonly name: string; readonly replier: boolean }
  /** Undoes one of its own bindings. */
  | { readonly do: 'unbind one'; readonly at: number; readonly which: number }
  | ({
      readonly do: 'send';
      readonly at: number;
      /** 0; the Ksock at seat `to` - 1; the Replier of that name; or an unused Ksock id. */
      readonly to: number | 'replier' | 'nobody';
      /** The answer comes by token, not through the queue. */
      readonly awaited: boolean;
    } & SendFields)
  | ({
      readonly do: 'reply';
      readonly at: number;
      /** Answers a Request that it has read; that is unread; of another Replier; or any earlier one. */
      readonly of: 'read' | 'unread' | 'anothers' | 'ever';
      readonly which: number;
      /** To another Ksock than the requester. */
      readonly astray: boolean;
    } & SendFields)
  | { readonly do: 'resend' | 'poll' | 'discard'; readonly at: number }
  /** Gives up an awaited Request, after `shown` unread messages were prefetched for its Replier. */
  | { readonly do: 'forget'; readonly at: number; readonly which: number; readonly shown: number }
  /** Takes the next message; or, if there are more than `over`, the one after the first `over`. */
  | { readonly do: 'take'; readonly at: number; readonly over?: number }
  /** Takes at most `count` at once. */
  | { readonly do: 'take many'; readonly at: number; readonly count: number }
  | { readonly do: 'max messages'; readonly at: number; readonly value: number }
  | { readonly do: 'once only'; readonly at: number; readonly value: number }
  | { readonly do: 'hear own'; readonly at: number; readonly value: number }
  | { readonly do: 'report binds'; readonly at: number; readonly value: number }
  | { readonly do: 'max size'; readonly value: number }
  | { readonly do: 'find replier'; readonly at: number; readonly name: string }
  /** Binds as Replier to many names before reports are turned on. */
  | { readonly do: 'crowd'; readonly at: number; readonly count: number };

export interface Sequence {
  /** The limit of every new Ksock's queue. */
  readonly limit: number;
  readonly nextSerial: number;
  readonly seats: readonly Seat[];
  readonly operations: readonly Operation[];
}

export const SIZES = { maxMessageSize: 1400, absoluteMaxMessageSize: 2400 } as const;

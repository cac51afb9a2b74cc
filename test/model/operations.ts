// What a sequence is made of. Everything is plain JSON, and everything that depends on how far the bus
// is (which Request to answer, which binding to undo) is an index that is resolved when it is done. So
// any part of a sequence is a sequence, which is what shrinking needs.

/**
 * How many Ksocks are open at a time. `at` of an operation is the seat of the Ksock that does it; or, if
 * it would mean nothing there (nobody sits there, there is nothing to take, ...), the next seat where it
 * means something.
 */
export const SEATS = 5;

/** What the program of a Ksock does when it is told that its send may go on. */
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
  /** The id it comes with. */
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
      /** 0; the Ksock at seat `to` - 1; the Replier of that name; or a Ksock id that nobody has. */
      readonly to: number | 'replier' | 'nobody';
      /** The answer is to be handed over, past the queue. */
      readonly awaited: boolean;
    } & SendFields)
  | ({
      readonly do: 'reply';
      readonly at: number;
      /** Answers a Request that it read; that is unread; of another; or any, of all there ever were. */
      readonly of: 'read' | 'unread' | 'anothers' | 'ever';
      readonly which: number;
      /** To another Ksock than the one who asked. */
      readonly astray: boolean;
    } & SendFields)
  | { readonly do: 'resend' | 'poll' | 'discard'; readonly at: number }
  /** Gives up an awaited Request, when the program of its Replier was shown so many unread messages. */
  | { readonly do: 'forget'; readonly at: number; readonly which: number; readonly shown: number }
  /** Takes the next message; or, if there are more than `over`, the one behind so many. */
  | { readonly do: 'take'; readonly at: number; readonly over?: number }
  /** Takes up to so many at once. */
  | { readonly do: 'take many'; readonly at: number; readonly count: number }
  | { readonly do: 'max messages'; readonly at: number; readonly value: number }
  | { readonly do: 'once only'; readonly at: number; readonly value: number }
  | { readonly do: 'report binds'; readonly at: number; readonly value: number }
  | { readonly do: 'max size'; readonly value: number }
  | { readonly do: 'find replier'; readonly at: number; readonly name: string }
  /** Binds as Replier to many names, without a report of it; then reports are on. */
  | { readonly do: 'crowd'; readonly at: number; readonly count: number };

export interface Sequence {
  /** Of every new Ksock's queue. */
  readonly limit: number;
  readonly nextSerial: number;
  readonly seats: readonly Seat[];
  readonly operations: readonly Operation[];
}

export const SIZES = { maxMessageSize: 1400, absoluteMaxMessageSize: 2400 } as const;

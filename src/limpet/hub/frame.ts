import type { Message } from '../../message/message.ts';
import type { RecordBatch } from '../../message/record-batch.ts';
import type { Address } from './address.ts';

/**
 * One message in the stream of a Limpet. Every Limpet numbers what it puts into its stream from 1 on, without gaps; the
 * other Limpets get the stream in this order.
 */
export interface Entry {
  readonly n: number;
  /** How many entries up to this one are for listeners: the difference tells how many they have missed. */
  readonly heard: number;
  /** Its id has a network, and its orig_from is set. */
  readonly message: Message;
  /** A Request to answer: the Limpet on whose bus its Replier is. A Reply: that of the requester. Otherwise null. */
  readonly dest: Address | null;
  /** A Reply: the number of the Request in the stream of `dest`. EARLIER_LIFE: what `dest` has missed (names.ts). Otherwise 0. */
  readonly answers: number;
  /**
   * 0, or why a link on the way did not carry this message; `dest` answers a Request with it. EADDRNOTAVAIL: a filter kept back a
   * Request, and its copies are heard no more. EMSGSIZE: it is too large, and without its data; other buses are told that they miss it.
   */
  readonly refusal: number;
  /** In a federation of mode `stream`: how many Announcements this Limpet put into the stream before; otherwise 0. */
  readonly after: number;
}

/** Announcements that follow each other in a stream. They pass as they are, where nobody needs to look at each. */
export interface BatchEntry {
  /** Of the first: both rise by one with each. */
  readonly n: number;
  readonly heard: number;
  readonly batch: RecordBatch;
}

/** What a Limpet tells all others of one of its links. */
export interface LinkState {
  readonly peer: Address;
  readonly cost: number;
  /** What may go from this Limpet to the peer. */
  readonly filters: readonly string[];
}

/** What a Limpet tells all others of itself. */
export interface HubState {
  readonly hub: Address;
  /** Counts the changes, from 1 on. 0: nothing is known of the Limpet, and the neighbour shall tell. */
  readonly seq: number;
  readonly links: readonly LinkState[];
  /** The Limpet that spoke for the same bus before this one did. What still comes of it would be out of order. */
  readonly replaces: Address | null;
  /** The names for which this Limpet can get Requests answered without another Limpet. */
  readonly repliers: readonly string[];
}

/** What goes over a native link, in the order in which it was sent. */
export type Frame =
  | { readonly kind: 'state'; readonly state: HubState }
  | {
      readonly kind: 'links';
      readonly hub: Address;
      readonly seq: number;
      readonly links: readonly LinkState[];
      readonly replaces: Address | null;
    }
  | {
      readonly kind: 'replier';
      readonly hub: Address;
      readonly seq: number;
      readonly isBound: boolean;
      readonly name: string;
    }
  /**
   * Asks for the stream of `origin` from this number on; 0: from now on. `wantsNow`: only the origin can say what is now. `isRelay`:
   * others get the stream through this Limpet, so it needs what is for them, too.
   */
  | {
      readonly kind: 'subscribe';
      readonly origin: Address;
      readonly token: number;
      readonly from: number;
      readonly wantsNow: boolean;
      readonly isRelay: boolean;
    }
  | { readonly kind: 'unsubscribe'; readonly origin: Address }
  /**
   * What follows begins with number `from`; `heard` entries for listeners came before. `token`: of the last subscribe.
   * `isGap`: nobody has what comes before any more.
   * `now` and `heardNow` are the same for who had asked from now on: the end of the stream, as its origin knew it.
   */
  | {
      readonly kind: 'begin';
      readonly origin: Address;
      readonly token: number;
      readonly from: number;
      readonly heard: number;
      readonly isGap: boolean;
      readonly now: number;
      readonly heardNow: number;
    }
  | { readonly kind: 'entries'; readonly origin: Address; readonly entries: readonly Entry[] }
  | { readonly kind: 'batch'; readonly origin: Address; readonly entry: BatchEntry }
  /** A filter has kept back the entries up to `to`. */
  | {
      readonly kind: 'skip';
      readonly origin: Address;
      readonly to: number;
      readonly heard: number;
    }
  /**
   * In a federation of mode `stream`: entries that follow come after `announced` Announcements of the sender. Of those, the
   * first `stored` are settled: the stream has them before its number `seq`, or never will.
   */
  | {
      readonly kind: 'after';
      readonly announced: number;
      readonly stored: number;
      readonly seq: number;
    }
  /** `hub` has all of the stream of `origin` up to `to`. */
  | {
      readonly kind: 'acknowledge';
      readonly origin: Address;
      readonly hub: Address;
      readonly to: number;
    };

import type { Address } from './address.ts';
import type { Filter } from './patterns.ts';
import type { SizeLimit } from './size-limit.ts';

/** A native link, as the hub sees it. */
export interface Link {
  readonly number: number;
  /** The number of the federation in which the two have met; 0: in none. */
  readonly federation: number;
  readonly peer: Address;
  readonly key: string;
  readonly cost: number;
  /** What may go to the peer. */
  readonly out: Filter;
  /** What it refuses to carry; null: it carries messages of any size. */
  readonly limit: SizeLimit | null;
  /** The peer reads slowly: send no messages of this bus until it has caught up. */
  isCongested: boolean;
  /** So much is in its way that it gets no messages of other buses either: the driver sets it. */
  isFlooded: boolean;
  /** The peer was told that entries come after this many Announcements in the stream of the federation. */
  after: number;
}

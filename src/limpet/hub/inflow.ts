import { type Address, keyOf } from './address.ts';
import type { Link } from './link.ts';

/** A neighbour that gets a stream from here. */
export interface Subscriber {
  readonly link: Link;
  token: number;
  /** The number of the next entry that it needs; 0: from now on. */
  next: number;
  /** It gets nothing until the stream comes from `next` on. */
  isWaiting: boolean;
  /**
   * It, or one behind it, begins now. That may be a new life of a Limpet that has delivered more than this one knows of:
   * only the origin can say what "now" is.
   */
  readonly wantsNow: boolean;
  /** Others get the stream through it. */
  readonly isRelay: boolean;
  /**
   * What it needs may have been left out for this Limpet, since it was for others. So the stream begins for it when the origin
   * has been asked later than in the subscription `asOf` of this Limpet.
   */
  readonly asOf: number;
  /** It has just begun: it gets the next entries however slowly the peer reads, so that each attempt gets further. */
  isFresh: boolean;
  /** How many entries before `next` it was not sent, and not told of, since they are for others. */
  untold: number;
  /** What comes before this number may wait: copies of Requests that another neighbour carries out. */
  deferredTo: number;
}

/** The stream of another Limpet. */
export class Inflow {
  readonly origin: Address;
  readonly key: string;
  readonly subscribers = new Map<Link, Subscriber>();
  /** By key: how far the Limpets behind here have the stream. */
  readonly acknowledged = new Map<string, number>();
  /** The same, as far as the neighbour that the stream comes from knows it. */
  readonly passed = new Map<string, number>();
  /** The neighbour that the stream comes from. */
  upstream: Link | null = null;
  token = 0;
  /** The answer to the last subscription has not come yet. */
  isAwaited = false;
  /** Nobody has what came before the place where the stream began last. */
  isGap = false;
  /** The stream has begun: this Limpet is there, for the other one. */
  hasBegun = false;
  /** This Limpet has everything up to here, and of that, `heard` entries were for listeners. */
  have = 0;
  heard = 0;
  /** How many entries were for listeners before this life of this Limpet began to hear. */
  heardBeforeLife = 0;
  /** The next number that may come from upstream, and the `heard` before it. */
  next = 0;
  heardBeforeNext = 0;
  /** The end of the stream when the last subscription reached its origin, and the `heard` before it. */
  now = 0;
  heardNow = 0;
  /** What the entries that this Limpet has got and not acknowledged take at their origin, in bytes; 0: there are none. */
  unacknowledged = 0;

  constructor(origin: Address) {
    this.origin = origin;
    this.key = keyOf(origin);
  }
}

import type { Identity } from './identity.ts';

/**
 * All memory that programs cause, in bytes (spec 1 §14.1): what buses keep for them, what is on its way to them, and what
 * the bus holds of them. The buses of a daemon have one memory together.
 */
export class Memory {
  /** Beyond it, everything is refused but small Replies, and Statuses. */
  readonly limit: number;
  readonly shares: Share[] = [];
  /** Bytes that no program is charged for, and that are not free. */
  slack = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get held(): number {
    let held = this.slack;
    // Mostly there is one. To add up here costs less than to count twice, which every message does.
    for (let at = 0; at < this.shares.length; at++) held += (this.shares[at] as Share).held;
    return held;
  }

  get free(): number {
    return this.limit - this.held;
  }

  /** The share of another access point, for the Ksocks that are opened there. */
  share(ksocks: ReadonlyMap<number, Holder>): Share {
    const share = new Share(this, ksocks);
    this.shares.push(share);
    return share;
  }

  /** Forgets a share that holds nothing, of a bus that nobody will use. */
  forget(share: Share): void {
    const at = this.shares.indexOf(share);
    if (at >= 0) this.shares.splice(at, 1);
  }

  /**
   * The Ksock, or the program that observes, that holds the most; null when none holds any. It looks at some only, in the
   * largest share.
   */
  get mostGreedy(): Holder | null {
    const [largest] = [...this.shares].sort((a, b) => b.held - a.held);
    if (largest === undefined) return null;
    let most: Holder | null = null;
    let weighed = 0;
    for (const holders of [largest.observers, largest.ksocks.values()]) {
      for (const one of holders) {
        if (++weighed > MAX_WEIGHED_KSOCKS) break;
        if (one.share === largest && one.held > (most?.held ?? 0)) most = one;
      }
    }
    return most;
  }
}

const MAX_WEIGHED_KSOCKS = 1000;

/** A Ksock that holds less than this part of what is free is not refused because of others at its access point. */
const NEWCOMERS_PART = 1 / 64;

/** What the Ksocks of one access point hold together. */
export class Share {
  readonly memory: Memory;
  /** The open Ksocks of its bus, also those of other access points. */
  readonly ksocks: ReadonlyMap<number, Holder>;
  /** Programs that observe the bus at this access point. */
  readonly observers = new Set<Holder>();
  held = 0;

  constructor(memory: Memory, ksocks: ReadonlyMap<number, Holder>) {
    this.memory = memory;
    this.ksocks = ksocks;
  }

  get free(): number {
    return this.memory.free;
  }

  hold(bytes: number): void {
    this.held += bytes;
  }

  /**
   * Whether a Ksock, which then would hold `held` bytes, may hold `more` than it does. It may hold as much as then is still
   * free: so one alone gets half, two get a third each, and so on. All Ksocks of an access point may hold twice as much;
   * a newcomer finds room all the same.
   */
  allows(held: number, more: number): boolean {
    const free = this.memory.free - more;
    if (held > free) return false;
    return this.held + more <= 2 * free || held <= free * NEWCOMERS_PART;
  }
}

/** A Ksock, or a program that observes, as those see it that count memory. */
export interface Holder {
  /** 0: it observes. */
  readonly id: number;
  readonly who: Identity;
  readonly share: Share;
  /** Bytes. */
  readonly held: number;
  /** Unread messages; of one that observes, 0. */
  readonly numMessages: number;
}

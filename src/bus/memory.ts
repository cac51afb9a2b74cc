import type { Identity } from './identity.ts';
import { COSTS } from './settings.ts';

/** A Ksock may hold so many bytes beside what it costs itself, however much others hold. */
export const LEAST_BYTES = 4096;
const LITTLE_BYTES = COSTS.ksock + LEAST_BYTES;

/** Twice as many are kept for it: some may come before anybody looks what it holds. */
const KEPT_BYTES = 2 * LEAST_BYTES;

/** Part of all memory that is kept for slack: that grows without a look at what is free. */
const SPARE_PART = 1 / 32;

/**
 * All memory that programs cause, in bytes (spec 1 §14.1): what buses keep for them, what is on its way to them, and what
 * the bus holds of them. The buses of a daemon have one memory together.
 */
export class Memory {
  /** Beyond it, everything is refused but small Replies, and Statuses. */
  readonly limit: number;
  /** The open Ksocks of each bus by id. */
  readonly buses = new Set<ReadonlyMap<number, Holder>>();
  /** Bytes by which `slack` may grow at once. */
  readonly spare: number;
  /** Bytes that no program is charged for, and that are not free. */
  slack = 0;
  /** Buses on which somebody waits for room. */
  private readonly waiting = new Set<WaitsForRoom>();
  /** With no more room than this, nobody who waits can go on. */
  private tooLittle = 0;
  private readonly named = new Map<string, Share>();
  private readonly shares: Share[] = [];
  /** Of what is free, this is kept for those who hold little. */
  private kept: number;

  constructor(limit: number) {
    this.limit = limit;
    this.spare = limit * SPARE_PART;
    this.kept = this.spare;
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

  /** What is free for those who hold more than a little. */
  get room(): number {
    return this.free - this.kept;
  }

  /** Somebody waits until others let go of memory: {@link tell} tells of that. */
  await(bus: WaitsForRoom): void {
    this.tooLittle = this.waiting.size === 0 ? this.room : Math.min(this.tooLittle, this.room);
    this.waiting.add(bus);
  }

  stopAwaiting(bus: WaitsForRoom): void {
    this.waiting.delete(bus);
  }

  /** Call it when somebody may have let go of memory. */
  tell(): void {
    if (this.waiting.size === 0) return;
    const { room } = this;
    const isMore = room > this.tooLittle;
    this.tooLittle = room;
    if (isMore) for (const bus of [...this.waiting]) bus.tellOfMemory();
  }

  /** For errors. */
  get says(): string {
    return `programs hold ${this.held} bytes of the ${this.limit} that they may hold together (max-memory), and ${this.kept} are kept for those that hold little`;
  }

  /** Whether one that then would hold `held` bytes may hold `more` than it does: as much as then is still free, or little. */
  allows(held: number, more: number): boolean {
    return held <= LITTLE_BYTES || held <= this.room - more;
  }

  /** Whether so many bytes may come that soon go: half of what is kept for those who hold little may serve for that. */
  allowsBriefly(bytes: number): boolean {
    return bytes <= this.free - this.kept / 2;
  }

  /** What the Ksocks that are opened at this access point hold together, on all buses. */
  share(accessPoint: string): Share {
    let share = this.named.get(accessPoint);
    if (share === undefined) {
      share = new Share(this);
      this.named.set(accessPoint, share);
      this.shares.push(share);
    }
    return share;
  }

  /** Room is kept for a Ksock while it is open: 1 when it opens, -1 when nothing is left of it. */
  keepFor(ksocks: 1 | -1): void {
    this.kept += ksocks * KEPT_BYTES;
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
    const ksocks = [...this.buses].map((bus) => bus.values());
    for (const holders of [largest.observers, ...ksocks]) {
      for (const one of holders) {
        if (one.share !== largest) continue;
        if (++weighed > MAX_WEIGHED_KSOCKS) break;
        if (one.held > (most?.held ?? 0)) most = one;
      }
    }
    return most;
  }
}

const MAX_WEIGHED_KSOCKS = 1000;

/** Is told when there is more room than there was. */
export interface WaitsForRoom {
  tellOfMemory(): void;
}

/** A Ksock that holds less than this part of the room, beside what it costs itself, is not refused because of others at its access point. */
const NEWCOMERS_PART = 1 / 64;

/** What the Ksocks of one access point hold together. */
export class Share {
  readonly memory: Memory;
  /** Programs that observe a bus at this access point. */
  readonly observers = new Set<Holder>();
  held = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  get room(): number {
    return this.memory.room;
  }

  hold(bytes: number): void {
    this.held += bytes;
  }

  /** Whether a Ksock, which then would hold `held` bytes, may hold `more` than it does. Little it may always hold. */
  allows(held: number, more: number): boolean {
    return held <= LITTLE_BYTES || this.hasRoom(held, more);
  }

  /** Whether another Ksock may come in. */
  get admits(): boolean {
    return this.hasRoom(COSTS.ksock, COSTS.ksock + KEPT_BYTES);
  }

  /** Why no further Ksock may come in; '' if one may. */
  get full(): string {
    return this.admits ? '' : `no memory is free for another Ksock: ${this.memory.says}`;
  }

  /**
   * A Ksock may hold as much as then is still free: so one alone gets half, two get a third each, and so on. All Ksocks of an
   * access point may hold twice as much; a newcomer finds room all the same.
   */
  hasRoom(held: number, more: number): boolean {
    const room = this.memory.room - more;
    if (held > room) return false;
    return this.held + more <= 2 * room || held - COSTS.ksock <= room * NEWCOMERS_PART;
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

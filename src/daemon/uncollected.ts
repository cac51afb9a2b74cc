import type { Memory } from '../bus/memory.ts';

/** So much may wait to be collected however little room there is: V8 must not be at it all the time. */
const MIN_WAITING_BYTES = 32 * 1024 * 1024;

/** Part of the room that programs have left. */
const MAX_WAITING_PART = 1 / 2;

/** What collects the garbage of this process. */
export interface Collector {
  /** Bytes in use, with garbage. */
  used(): number;
  /** Begins a collection beside other work; `done` is called once it is over. */
  collect(done: () => void): void;
}

/**
 * What programs have released, but V8 has not collected yet. By itself, V8 lets its heap grow to several times what was
 * in use before; with what programs hold meanwhile, that would be more than the daemon may use.
 */
export class Uncollected {
  private readonly memory: Memory;
  private readonly collector: Collector;
  /** What this process uses beside what programs hold: the least that was seen since the last collection. */
  private own = Number.POSITIVE_INFINITY;
  private isCollecting = false;

  constructor(memory: Memory, collector: Collector) {
    this.memory = memory;
    this.collector = collector;
  }

  /** Begins a collection if too much waits for it. Call it often enough. */
  look(): void {
    if (this.isCollecting) return;
    const { limit, held } = this.memory;
    const more = this.collector.used() - held;
    this.own = Math.min(this.own, more);
    if (more - this.own <= Math.max(MIN_WAITING_BYTES, (limit - held) * MAX_WAITING_PART)) return;
    this.isCollecting = true;
    this.collector.collect(() => {
      this.isCollecting = false;
      this.own = Number.POSITIVE_INFINITY;
    });
  }
}

import type { Memory } from '../bus/memory.ts';

/** Less is not worth a collection, however little room there is: V8 must not be at it all the time. */
const MIN_GARBAGE_BYTES = 32 * 1024 * 1024;

/** Part of the room that programs have left which garbage may take. */
const MAX_GARBAGE_PART = 1 / 2;

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
  /** What this process uses by itself. */
  private readonly base: number;
  /** What it uses beside what is counted: the least that was seen since the last collection. */
  private uncounted = Number.POSITIVE_INFINITY;
  private isCollecting = false;

  /** Make it while programs hold nothing. */
  constructor(memory: Memory, collector: Collector) {
    this.memory = memory;
    this.collector = collector;
    this.base = collector.used();
  }

  /** Begins a collection if too much waits for it. Call it often enough. */
  look(): void {
    if (this.isCollecting) return;
    const { limit, held } = this.memory;
    const used = this.collector.used();
    this.uncounted = Math.min(this.uncounted, used - held);
    if (used - held - this.uncounted <= MIN_GARBAGE_BYTES) return;
    if (used - this.base <= held + (limit - held) * MAX_GARBAGE_PART) return;
    this.isCollecting = true;
    this.collector.collect(() => {
      this.isCollecting = false;
      this.uncounted = Number.POSITIVE_INFINITY;
    });
  }
}

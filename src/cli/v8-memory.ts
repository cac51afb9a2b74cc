import {
  constants,
  type NodeGCPerformanceDetail,
  type PerformanceEntry,
  PerformanceObserver,
} from 'node:perf_hooks';
import process from 'node:process';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import type { Collector } from '../daemon/uncollected.ts';

/** The newest Node that is known to have the flags; for an unknown flag, V8 prints an error. */
const NEWEST_KNOWN_NODE = 26;

function setFlag(flag: string): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major <= NEWEST_KNOWN_NODE) setFlagsFromString(flag);
}

/**
 * Keeps V8's young generation at its initial 2 MiB. By default it grows to 32 MiB (64 with Node 26), and V8 never returns
 * that memory. A daemon keeps unread messages and little else: it is no slower with 2 MiB, and each Ksock takes 2.6 KiB
 * less. One thread collects so little: to wake others, hundreds of times a second, takes longer than they save (4 % of a
 * daemon's time for `services`).
 */
export function keepYoungMemorySmall(): void {
  setFlag('--semi-space-growth-factor=1');
  setFlag('--no-parallel-scavenge');
}

/**
 * Lets V8 free dead buffers in the collection that finds them. By default a thread of its own frees them, and V8 counts them
 * until the next collection: so a process through which many bytes pass is at V8's limit for buffers again and again, and each
 * time V8 marks all of its heap. A Limpet then takes about 1.5 times the CPU time.
 */
function freeBuffersAtOnce(): void {
  setFlag('--no-concurrent-array-buffer-sweeping');
}

/** Of a heap of more bytes, V8 itself says how far it may grow. */
const SMALL_HEAP = 32 * 1024 * 1024;

/**
 * Lets a small heap grow to four times its size before V8 marks all of it. When a process was idle, V8 marks at 1.3 times: the
 * buffers of what passes through a Limpet count, and are more than that in a moment. So V8 marked the heap of a daemon with a Limpet
 * a dozen times a second, and an announcement cost 0.4 µs more, most of it in other threads. A daemon at full load now has 20 to 45
 * MiB more.
 */
function letSmallHeapGrow(): void {
  let percent = 0;
  const choose = (): void => {
    const before = percent;
    percent = getHeapStatistics().used_heap_size < SMALL_HEAP ? 300 : 0;
    if (percent !== before) setFlag(`--heap-growing-percent=${percent}`);
  };
  choose();
  new PerformanceObserver(choose).observe({ entryTypes: ['gc'] });
}

/** For a process with a Limpet, through which many buffers pass. */
export function expectManyBuffers(): void {
  freeBuffersAtOnce();
  letSmallHeapGrow();
}

/** When the heap has grown so many percent of the way to where V8 begins to mark by itself; 0: only there. */
const setMarking = (percent: number): void =>
  setFlag(`--incremental-marking-hard-trigger=${percent}`);

/** Lets V8 begin to mark before it would by itself: in small steps, and in other threads. */
export const v8Collector: Collector = {
  used() {
    const { used_heap_size, external_memory } = getHeapStatistics();
    return used_heap_size + external_memory;
  },
  collect(done) {
    let isBegun = false;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { kind } = (entry as PerformanceEntry & { detail: NodeGCPerformanceDetail }).detail;
        if (kind === constants.NODE_PERFORMANCE_GC_INCREMENTAL) {
          isBegun = true;
          // Or else the next one would begin at once.
          setMarking(0);
        }
        // One that was under way may keep what has been released since it began.
        if (kind !== constants.NODE_PERFORMANCE_GC_MAJOR || !isBegun) continue;
        observer.disconnect();
        done();
        return;
      }
    });
    observer.observe({ entryTypes: ['gc'] });
    setMarking(1);
  },
};

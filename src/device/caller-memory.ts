import { close, existsSync, open, read } from 'node:fs';
import { promisify } from 'node:util';
import { SlowMemory } from './slow-memory.ts';

const openFile = promisify(open);
const closeFile = promisify(close);

/** The most files of callers' memory kept open between reads: a kept one saves two of three calls to a thread. */
const MAX_OPEN_MEMORY_FILES = 64;

/**
 * The most reads by threads, of the four that Node has: each may wait for ever for memory that does not answer, and other
 * work of the daemon needs a thread, too.
 */
const MAX_THREADS = 2;

/** How long a read waits for a thread, or for the user's read before it, until another program does it: that is slower. */
const PATIENCE_MS = 20;
const USER_PATIENCE_MS = 1000;

/** User addresses are below this on every 64-bit Linux. */
const END_OF_USER_MEMORY = 1n << 63n;

/** The thread and user that made a request, and the open file that they used. */
export interface Caller {
  /** The open file's handle. */
  handle: number;
  pid: number;
  uid: number;
}

/**
 * Reads the memory of calling programs: the target of a pointer in an ioctl's argument or in a pointy message. It
 * reads /proc/<pid>/mem, for which the daemon needs permission to trace the program: as root or the same user, as a
 * rule.
 *
 * Another thread must do the reading, while this one serves requests. The address may lie in a mapping of a device
 * file: the kernel then requests that page from this daemon, and if the daemon waited for it, neither the daemon nor
 * the program could go on, or even be killed. So nothing here is synchronous, and a READ that `isOurs` must be refused.
 *
 * The address may also lie in a mapping of a slow filesystem that the program itself serves, and the read may never end.
 * So at most two threads read, for different users. While these are busy, other programs read, which can be killed. Each
 * user has one read in flight at a time: further reads of that user wait for it, for up to a second.
 */
export class CallerMemory {
  /** Idle open files of /proc/<pid>/mem by handle, the last used at the end. */
  private readonly kept = new Map<number, { pid: number; descriptor: number }>();
  /** The last read of each user that has one in flight. */
  private readonly last = new Map<number, Promise<unknown>>();
  /** The users for whom a thread reads, and since when, in milliseconds. */
  private readonly onThreads = new Map<number, number>();
  /** Reads that wait for a thread. */
  private readonly waiting: { uid: number; begin(): void }[] = [];
  private readonly slow = new SlowMemory();

  /**
   * The `length` bytes from `address` on; null, for EFAULT, if some are not mapped or the daemon may not read them.
   * Rejects if this process can't open another file (EMFILE, ENFILE).
   */
  read(caller: Caller, address: bigint, length: number): Promise<Uint8Array | null> {
    const before = this.last.get(caller.uid);
    const turn = before === undefined ? Promise.resolve() : settledWithin(before, USER_PATIENCE_MS);
    const fetch = () => this.fetch(caller, address, length);
    const mine = turn.then(fetch).finally(() => {
      if (this.last.get(caller.uid) === mine) this.last.delete(caller.uid);
    });
    this.last.set(caller.uid, mine);
    return mine;
  }

  /** Whether a request's thread reads a caller's memory for this process. */
  isOurs(pid: number): boolean {
    if (this.onThreads.size > 0 && existsSync(`/proc/self/task/${pid}`)) return true;
    return this.slow.has(pid);
  }

  /** The open file was closed. */
  forget(handle: number): void {
    const kept = this.kept.get(handle);
    if (kept === undefined) return;
    this.kept.delete(handle);
    close(kept.descriptor, () => {});
  }

  private async fetch(caller: Caller, address: bigint, length: number): Promise<Uint8Array | null> {
    if (address + BigInt(length) >= END_OF_USER_MEMORY) return null;
    const { uid, pid } = caller;
    if (!(await this.thread(uid))) return this.slow.read(uid, pid, address, length);
    try {
      const kept = this.take(caller);
      const bytes = kept === null ? null : await this.readFrom(kept, caller, address, length);
      if (bytes !== null) return bytes;
      // After an exec, a kept file still refers to the old memory.
      const opened = await this.open(caller.pid);
      return opened === null ? null : await this.readFrom(opened, caller, address, length);
    } finally {
      this.onThreads.delete(uid);
      this.nextOnThread();
    }
  }

  /** Waits for a thread to read for this user; false if none is free for a while. */
  private thread(uid: number): Promise<boolean> | true {
    if (this.onThreads.size < MAX_THREADS && !this.onThreads.has(uid)) {
      this.onThreads.set(uid, performance.now());
      return true;
    }
    if (this.areThreadsStuck) return Promise.resolve(false);
    return new Promise((resolve) => {
      const job = {
        uid,
        begin: () => {
          clearTimeout(timer);
          this.onThreads.set(uid, performance.now());
          resolve(true);
        },
      };
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(job), 1);
        resolve(false);
      }, PATIENCE_MS);
      this.waiting.push(job);
    });
  }

  /** All threads have waited for memory for so long that none will soon be free. */
  private get areThreadsStuck(): boolean {
    if (this.onThreads.size < MAX_THREADS) return false;
    const before = performance.now() - PATIENCE_MS;
    return [...this.onThreads.values()].every((since) => since < before);
  }

  private nextOnThread(): void {
    while (this.onThreads.size < MAX_THREADS) {
      const at = this.waiting.findIndex(({ uid }) => !this.onThreads.has(uid));
      if (at < 0) return;
      this.waiting.splice(at, 1)[0]?.begin();
    }
  }

  /** Opens a caller's memory; closes kept files as long as there is no free descriptor. */
  private async open(pid: number): Promise<number | null> {
    for (;;) {
      try {
        return await openFile(`/proc/${pid}/mem`, 'r');
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EMFILE' && code !== 'ENFILE') return null;
        const [oldest] = this.kept;
        if (oldest === undefined) throw error;
        this.kept.delete(oldest[0]);
        await closeFile(oldest[1].descriptor);
      }
    }
  }

  private async readFrom(
    descriptor: number,
    caller: Caller,
    address: bigint,
    length: number,
  ): Promise<Uint8Array | null> {
    const bytes = await readAll(descriptor, address, length);
    if (bytes === null) close(descriptor, () => {});
    else this.keep(caller, descriptor);
    return bytes;
  }

  /** A file is kept per handle, not per thread: after an exec a thread may have other permissions, and opens its own. */
  private take(caller: Caller): number | null {
    const kept = this.kept.get(caller.handle);
    if (kept?.pid !== caller.pid) return null;
    this.kept.delete(caller.handle);
    return kept.descriptor;
  }

  private keep(caller: Caller, descriptor: number): void {
    this.forget(caller.handle);
    this.kept.set(caller.handle, { pid: caller.pid, descriptor });
    if (this.kept.size > MAX_OPEN_MEMORY_FILES) this.forget(this.kept.keys().next().value!);
  }
}

/** Resolves when the promise settles, or after the time. */
function settledWithin(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    promise.then(done, done);
  });
}

async function readAll(
  descriptor: number,
  address: bigint,
  length: number,
): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const got = await readSome(descriptor, bytes.subarray(at), address + BigInt(at));
    if (got === 0) return null;
    at += got;
  }
  return bytes;
}

/** The number of bytes read; 0 if the address is not mapped, or the program has exited. */
function readSome(descriptor: number, bytes: Uint8Array, address: bigint): Promise<number> {
  return new Promise((resolve) => {
    read(descriptor, bytes, 0, bytes.length, address, (error, got) => resolve(error ? 0 : got));
  });
}

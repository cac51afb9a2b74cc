import { close, existsSync, open, read } from 'node:fs';
import { promisify } from 'node:util';

const openFile = promisify(open);
const closeFile = promisify(close);

/** The most files of callers' memory kept open between reads: a kept one saves two of three calls to a thread. */
const MAX_OPEN_MEMORY_FILES = 64;
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
 * The address may also lie in a mapping of a slow filesystem that the program itself serves. So each user has one read
 * in flight at a time: further reads of that user wait, and no other user's.
 */
export class CallerMemory {
  /** Idle open files of /proc/<pid>/mem by handle, the last used at the end. */
  private readonly kept = new Map<number, { pid: number; descriptor: number }>();
  /** The last read of each user that has one in flight. */
  private readonly last = new Map<number, Promise<unknown>>();
  private inFlight = 0;

  /**
   * The `length` bytes from `address` on; null, for EFAULT, if some are not mapped or the daemon may not read them.
   * Rejects if this process can't open another file (EMFILE, ENFILE).
   */
  read(caller: Caller, address: bigint, length: number): Promise<Uint8Array | null> {
    const before = this.last.get(caller.uid);
    const fetch = () => this.fetch(caller, address, length);
    const mine = (before ?? Promise.resolve()).then(fetch, fetch).finally(() => {
      if (this.last.get(caller.uid) === mine) this.last.delete(caller.uid);
    });
    this.last.set(caller.uid, mine);
    return mine;
  }

  /** Whether a request's thread belongs to this process, which is reading a caller's memory. */
  isOurs(pid: number): boolean {
    return this.inFlight > 0 && existsSync(`/proc/self/task/${pid}`);
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
    this.inFlight++;
    try {
      const kept = this.take(caller);
      const bytes = kept === null ? null : await this.readFrom(kept, caller, address, length);
      if (bytes !== null) return bytes;
      // After an exec, a kept file still refers to the old memory.
      const opened = await this.open(caller.pid);
      return opened === null ? null : await this.readFrom(opened, caller, address, length);
    } finally {
      this.inFlight--;
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

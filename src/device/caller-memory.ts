import { close, existsSync, open, read } from 'node:fs';
import { promisify } from 'node:util';

const openFile = promisify(open);
const closeFile = promisify(close);

/** How many callers' memory is kept open for the next time; it saves two of three trips to a thread. */
const KEPT = 64;
/** No user's address is as high as this on any 64-bit Linux. */
const END_OF_MEMORY = 1n << 63n;

/** Whose memory: the open file that was used, and the thread and user that used it. */
export interface Caller {
  /** The handle of the open file, as given out when it was opened. */
  handle: number;
  pid: number;
  uid: number;
}

/**
 * The memory of the programs that call us: what a pointer in an ioctl's argument, or in a pointy
 * message, points to. It is read from /proc/<pid>/mem, which takes the right to trace the program:
 * being root or the same user, as a rule.
 *
 * It must be read by another thread, with requests being served meanwhile. A program may hand over an
 * address inside a mapping of our own file: the kernel then asks *us* for that page, and if we were waiting
 * for it, neither we nor the program could ever go on, or even be killed. So nothing here is
 * synchronous, and a READ that `isOurs` must be refused.
 *
 * A program can also lend us memory that stands on a filesystem of its own, and take its time. So one user
 * has one read under way at a time: his others wait for it, and nobody else does.
 */
export class CallerMemory {
  /** Open /proc/<pid>/mem by handle, the one used last at the end. Never one that is being read. */
  private readonly kept = new Map<number, { pid: number; descriptor: number }>();
  /** The last read of each user that has one under way. */
  private readonly last = new Map<number, Promise<unknown>>();
  private inFlight = 0;

  /**
   * `length` bytes from `address` on, or null, which is EFAULT: some of them are not there, or we may
   * not look. Rejected when this process can open no more files (EMFILE, ENFILE).
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

  /** Is it ourselves, reading a caller's memory, that this thread's request comes from? */
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
    if (address + BigInt(length) >= END_OF_MEMORY) return null;
    this.inFlight++;
    try {
      const kept = this.take(caller);
      const bytes = kept === null ? null : await this.readFrom(kept, caller, address, length);
      if (bytes !== null) return bytes;
      // What was kept is the memory that the program had then; after an exec it has another.
      const opened = await this.open(caller.pid);
      return opened === null ? null : await this.readFrom(opened, caller, address, length);
    } finally {
      this.inFlight--;
    }
  }

  /** What is kept makes way for what is needed. */
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

  /**
   * What is kept belongs to an open file and not to a thread alone: a thread can become a program with
   * other rights, which opens its own.
   */
  private take(caller: Caller): number | null {
    const kept = this.kept.get(caller.handle);
    if (kept?.pid !== caller.pid) return null;
    this.kept.delete(caller.handle);
    return kept.descriptor;
  }

  private keep(caller: Caller, descriptor: number): void {
    this.forget(caller.handle);
    this.kept.set(caller.handle, { pid: caller.pid, descriptor });
    if (this.kept.size > KEPT) this.forget(this.kept.keys().next().value!);
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

/** How many bytes were read; 0 when that address is not there, or the program is no longer there. */
function readSome(descriptor: number, bytes: Uint8Array, address: bigint): Promise<number> {
  return new Promise((resolve) => {
    read(descriptor, bytes, 0, bytes.length, address, (error, got) => resolve(error ? 0 : got));
  });
}

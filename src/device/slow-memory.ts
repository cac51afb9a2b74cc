import { type ChildProcess, spawn } from 'node:child_process';
import { programPath } from '../system/program-path.ts';

/** The most programs that read at once; of users whose memory did not answer before, half as many. */
const MAX_READERS = 8;

/** How long a read may take; and that of a user whose memory did not answer before. */
const TIMEOUT_MS = 5000;
const SUSPECT_TIMEOUT_MS = 1000;

/** The most programs that could not be killed yet: with more, nothing is read. */
const MAX_STUCK = 32;

/** So many users are remembered whose memory did not answer. */
const MAX_SUSPECTS = 4096;

interface Job {
  readonly uid: number;
  begin(): void;
}

/**
 * Reads the memory of callers by another program (`dd`): a thread of this process that waits for memory can't be ended,
 * but a program can be killed. Each read ends after 5 seconds. Users whose memory did not answer then are suspects, until it
 * answers: they have only half of the readers, and a second each, so they can't keep others waiting.
 */
export class SlowMemory {
  private readonly waiting: Job[] = [];
  private readonly readers = new Set<ChildProcess>();
  private readonly suspects = new Set<number>();
  private reading = 0;
  private stuck = 0;

  /** Whether a process reads memory here. */
  has(pid: number): boolean {
    for (const reader of this.readers) if (reader.pid === pid) return true;
    return false;
  }

  /** The `length` bytes from `address` on; null if they can't be read, or not in time. */
  read(uid: number, pid: number, address: bigint, length: number): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        this.reading++;
        this.run(uid, [
          `if=/proc/${pid}/mem`,
          `bs=${Math.min(length, 1024 * 1024)}`,
          'iflag=skip_bytes,count_bytes,fullblock',
          `skip=${address}`,
          `count=${length}`,
          'status=none',
        ])
          .then((bytes) => (bytes?.length === length ? bytes : null))
          .then(resolve, reject)
          .finally(() => {
            this.reading--;
            this.next();
          });
      };
      this.waiting.push({ uid, begin });
      this.next();
    });
  }

  private next(): void {
    while (this.reading < MAX_READERS) {
      const onlyTrusted = this.reading >= MAX_READERS / 2;
      const at = this.waiting.findIndex(({ uid }) => !onlyTrusted || !this.suspects.has(uid));
      if (at < 0) return;
      this.waiting.splice(at, 1)[0]?.begin();
    }
  }

  /** The output of dd; null if it fails, or does not end in time. Rejects if it can't be started. */
  private run(uid: number, words: readonly string[]): Promise<Uint8Array | null> {
    const dd = programPath('dd', ['/usr/bin', '/bin']);
    if (dd === undefined || this.stuck >= MAX_STUCK) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const child = spawn(dd, words, { stdio: ['ignore', 'pipe', 'ignore'] });
      this.readers.add(child);
      const chunks: Buffer[] = [];
      let isLate = false;
      const timer = setTimeout(
        () => {
          isLate = true;
          this.stuck++;
          this.suspect(uid);
          child.kill('SIGKILL');
          resolve(null);
        },
        this.suspects.has(uid) ? SUSPECT_TIMEOUT_MS : TIMEOUT_MS,
      );
      // Without a free descriptor there is no stdout, and no `close`.
      child.once('error', (error) => {
        clearTimeout(timer);
        this.readers.delete(child);
        reject(error);
      });
      child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.once('close', (code) => {
        clearTimeout(timer);
        if (isLate) this.stuck--;
        this.readers.delete(child);
        if (code === 0) this.suspects.delete(uid);
        resolve(code === 0 ? new Uint8Array(Buffer.concat(chunks)) : null);
      });
    });
  }

  private suspect(uid: number): void {
    if (this.suspects.size >= MAX_SUSPECTS) this.suspects.clear();
    this.suspects.add(uid);
  }
}

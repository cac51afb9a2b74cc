import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pathOf } from './ground.ts';

/** A system call failed. */
export class SystemError extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/**
 * A program that makes system calls for a test: the process that serves a mount can't use it itself
 * without waiting for itself.
 */
export class Caller {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, Waiting>();
  private last = 0;

  constructor() {
    const child = spawn('python3', [pathOf('caller.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child = child;
    // A line can be very long: it is put together once.
    let begun: string[] = [];
    child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      const pieces = chunk.split('\n');
      for (const piece of pieces.slice(0, -1)) {
        this.answered([...begun, piece].join(''));
        begun = [];
      }
      begun.push(pieces.at(-1) as string);
    });
    child.on('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the caller has ended'));
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  private answered(line: string): void {
    const [number, result] = JSON.parse(line) as [number, unknown];
    const waiting = this.waiting.get(number) as Waiting;
    this.waiting.delete(number);
    const { errno } = (result ?? {}) as { errno?: number };
    if (errno === undefined) waiting.resolve(result);
    else waiting.reject(new SystemError(errno));
  }

  call<T>(name: string, ...words: unknown[]): Promise<T> {
    const number = ++this.last;
    this.child.stdin?.write(`${JSON.stringify([number, name, ...words])}\n`);
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve: resolve as (result: unknown) => void, reject });
    });
  }

  async end(): Promise<void> {
    this.child.stdin?.end();
    if (this.child.exitCode === null) await once(this.child, 'close');
  }
}

import { type ChildProcess, fork } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Ksock } from '../client/ksock.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { Announcement } from '../message/message.ts';
import { mark, serialOf } from './bench-data.ts';
import { ended, unlessAborted } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import type { FromFarEnd, Heard, Listen } from './far-end.ts';
import { Latency } from './latency.ts';

/** The program at the far end, as the measuring one sees it. */
export class FarEnd implements AsyncDisposable {
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;
  /** Aborted when it makes no sense to go on: the far end failed, or the command is to end. */
  private readonly trouble = new AbortController();

  /** It answers Requests of the name `ask`, of which so many may wait, with their own data. */
  constructor(bus: number, directory: string, ask: string, waiting: number) {
    const file = fileURLToPath(new URL('./far-end.cjs', import.meta.url));
    this.child = fork(file, [String(bus), directory, ask, String(waiting)], { execArgv: [] });
    this.exited = new Promise((resolve) => {
      this.child.once('error', resolve);
      this.child.once('exit', resolve);
    });
    const fail = (why: unknown): void => this.trouble.abort(why);
    void ended().then(fail);
    this.child.once('error', fail);
    this.child.on('message', (message: FromFarEnd) => {
      if ('failed' in message) fail(failureOf(message.failed, message.isGone));
    });
    this.child.once('exit', (code, signal) =>
      fail(new Failure(Exit.REFUSED, `the program at the far end was ended (${signal ?? code})`)),
    );
  }

  /** Settles as the promise does, unless the far end fails or the command is to end before that. */
  meanwhile<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(promise, this.trouble.signal);
  }

  /** Resolves when it can be sent to. */
  async ready(): Promise<void> {
    await this.hears((message) => 'ready' in message || null);
  }

  /** Lets it listen, to nothing else from now on. */
  async listen(listen: Listen): Promise<void> {
    const ready = this.ready();
    this.child.send(listen);
    await ready;
  }

  /** What it heard of the run that is under way, when it has heard the last message. */
  heard(): Promise<Heard> {
    return this.hears((message) => ('heard' in message ? message.heard : null));
  }

  private hears<T>(wanted: (message: FromFarEnd) => T | null): Promise<T> {
    const heard = new Promise<T>((resolve) => {
      const hear = (message: FromFarEnd): void => {
        const what = wanted(message);
        if (what === null) return;
        this.child.off('message', hear);
        resolve(what);
      };
      this.child.on('message', hear);
    });
    return this.meanwhile(heard);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

function failureOf(text: string, isGone: boolean): Error {
  if (isGone) return new KbusError('read', Errno.ECONNRESET, 'measure the bus');
  return new Failure(Exit.REFUSED, text);
}

export interface Asked {
  readonly seconds: number;
  /** Replies that were not to their Request. */
  readonly wrong: number;
  readonly latency: Latency;
}

/** Keeps so many Requests in flight for a while, in milliseconds: at least that many are sent. */
export async function ask(
  ksock: Ksock,
  name: string,
  size: number,
  inFlight: number,
  time: number,
): Promise<Asked> {
  const latency = new Latency();
  let serial = 0;
  let wrong = 0;
  const begin = performance.now();
  const askOneByOne = async (): Promise<void> => {
    const data = Buffer.alloc(size);
    do {
      const mine = ++serial;
      mark(data, mine, false);
      const since = performance.now();
      const reply = await ksock.request(name, data);
      latency.record(since);
      if (reply.data.length !== size || serialOf(reply.data) !== mine) wrong++;
    } while (performance.now() < begin + time);
  };
  await Promise.all(Array.from({ length: inFlight }, askOneByOne));
  return { seconds: (performance.now() - begin) / 1000, wrong, latency };
}

export interface Told {
  readonly sent: number;
  readonly seconds: number;
  readonly lost: number;
  readonly wrong: number;
}

/** Buffers that are used in turn: what was posted must not change before it was sent. */
const BUFFERS = 1024;
const BUFFERED = 16 * 1024 * 1024;
const LARGE = 65_536;

/**
 * How to announce as fast as the listener at the far end reads: nothing is missed. One call, with
 * milliseconds, is one run; serials go on from run to run.
 */
export function telling(
  ksock: Ksock,
  far: FarEnd,
  name: string,
  size: number,
): (time: number) => Promise<Told> {
  const count = Math.max(4, Math.min(BUFFERS, Math.floor(BUFFERED / size)));
  const buffers = Array.from({ length: count }, () => Buffer.alloc(size));
  /** Messages between two looks at the clock. */
  const between = size > LARGE ? 1 : 64;
  let serial = 0;
  return async (time) => {
    const before = serial;
    const heard = far.heard();
    const first = process.hrtime.bigint();
    const end = performance.now() + time;
    for (let isLast = false; !isLast; ) {
      serial++;
      isLast = serial % between === 0 && performance.now() >= end;
      const data = buffers[serial % count] as Buffer;
      mark(data, serial, isLast);
      const ready = ksock.post(new Announcement(name, data), { wait: true });
      if (ready !== undefined) await far.meanwhile(ready);
    }
    await far.meanwhile(ksock.flush());
    const { lost, wrong, last } = await heard;
    return { sent: serial - before, seconds: (last - Number(first)) / 1e9, lost, wrong };
  };
}

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Ksock } from '../client/ksock.ts';
import { announcing } from '../measure/announcing.ts';
import { type Asked, type Asking, asking } from '../measure/asking.ts';
import { Child, type ChildError } from '../measure/child.ts';
import type { Heard } from '../measure/hearing.ts';
import { Latency } from '../measure/latency.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { Announcement } from '../message/message.ts';
import { ended, unlessAborted } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import type { FromFarEnd, Listen } from './far-end.ts';

/** Where the far end finds the bus. */
interface Place {
  readonly bus: number;
  readonly directory: string;
  readonly access: string | undefined;
}

/** The program at the far end: a child process that answers Requests and receives Announcements. */
export class FarEnd implements AsyncDisposable {
  private readonly child: Child<FromFarEnd, Listen>;
  /** Aborted when the far end has failed, or the command must end. */
  private readonly trouble = new AbortController();

  /** The program answers Requests named `ask` with their own data; `waiting` is the length of its queue in messages. */
  constructor({ bus, directory, access }: Place, ask: string, waiting: number) {
    const file = fileURLToPath(new URL('./far-end.cjs', import.meta.url));
    const words = [String(bus), directory, ask, String(waiting)];
    if (access !== undefined) words.push(access);
    this.child = new Child(fork(file, words, { execArgv: [] }), 'the program at the far end');
    this.child.trouble.catch((error: ChildError<FromFarEnd>) => this.fail(failureOf(error)));
    void ended().then(this.fail);
  }

  /** Rejects all pending {@link meanwhile} promises with this reason. Only the first call counts. */
  readonly fail = (why: unknown): void => this.trouble.abort(why);

  /** Settles as the promise does, unless the far end fails or the command must end first. */
  meanwhile<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(promise, this.trouble.signal);
  }

  /** Resolves when the program is ready for messages. */
  async ready(): Promise<void> {
    await this.meanwhile(this.child.next('ready'));
  }

  /** Makes the program listen to this name only. */
  async listen(listen: Listen): Promise<void> {
    this.child.tell(listen);
    await this.ready();
  }

  /** What the far end heard in the current run, once it has heard the last message. */
  async heard(): Promise<Heard> {
    const { heard } = await this.meanwhile(this.child.next('heard'));
    return heard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.process.kill('SIGKILL');
    await this.child.ended;
  }
}

function failureOf({ said, how }: ChildError<FromFarEnd>): Error {
  if (said === null) {
    return new Failure(Exit.REFUSED, `the program at the far end has ended (${how})`);
  }
  if (said.isGone) return new KbusError('read', Errno.ECONNRESET, 'measure the bus');
  return new Failure(Exit.REFUSED, said.failed);
}

export interface TimedAsked extends Asked {
  readonly latency: Latency;
}

/** Gives a function that keeps Requests in flight for a time in milliseconds. */
export function timedAsking(
  ksock: Ksock,
  far: FarEnd,
  name: string,
  options: Asking,
): (time: number) => Promise<TimedAsked> {
  const run = asking((data, done) => {
    ksock
      .request(name, data)
      .then((reply) => done(reply.bytes, reply.dataAt, reply.dataLength), far.fail);
  }, options);
  return async (time) => {
    const latency = new Latency();
    return { ...(await far.meanwhile(run(time, latency))), latency };
  };
}

export interface Told {
  readonly sent: number;
  readonly seconds: number;
  readonly lost: number;
  readonly wrong: number;
}

/** The most buffers, and bytes, that are used in turn: posted data must not change before it is sent. */
const MAX_BUFFERS = 1024;
const MAX_BUFFER_BYTES = 16 * 1024 * 1024;

/**
 * Gives a function that announces for a time in milliseconds, as fast as the listener at the far end reads: it misses
 * nothing.
 */
export function telling(
  ksock: Ksock,
  far: FarEnd,
  name: string,
  size: number,
): (time: number) => Promise<Told> {
  const ring = Math.max(4, Math.min(MAX_BUFFERS, Math.floor(MAX_BUFFER_BYTES / size)));
  const announcer = {
    send(data: Buffer): Promise<void> | undefined {
      const ready = ksock.post(new Announcement(name, data), { wait: true });
      return ready && far.meanwhile(ready);
    },
    finish: () => far.meanwhile(ksock.flush()),
  };
  const run = announcing(announcer, { lengths: [size], ring });
  return async (time) => {
    const [heard, { count, first }] = await Promise.all([far.heard(), run(time)]);
    const { lost, wrong, last } = heard;
    return { sent: count, seconds: (last - first) / 1e9, lost, wrong };
  };
}

import { performance } from 'node:perf_hooks';
import { nanoseconds } from './clock.ts';
import { stamp } from './stamp.ts';

export interface Announcer {
  /**
   * Sends, or queues, one message to the name with this number. Undefined if the next may be sent at once; otherwise a
   * promise to await first: the back-pressure on a sender that is too fast.
   */
  send(data: Buffer, name: number): Promise<unknown> | undefined;
  /** Resolves when no message is queued in this process. */
  finish(): Promise<unknown>;
}

export interface Announcing {
  /** The length of each message's data in bytes: element (serial modulo the length of this array). */
  readonly lengths: readonly number[];
  /** The number of buffers, used in turn: the data of a message stays unchanged while this many others are sent. */
  readonly ring: number;
  /** The number of names, used in turn. */
  readonly names?: number;
  /** The number of this sender among all senders, from 0. */
  readonly sender?: number;
  readonly senders?: number;
}

export interface Announced {
  readonly count: number;
  /** When the first message was sent: see {@link nanoseconds}. */
  readonly first: number;
}

/** The clock is read after each message if one may have more data than this. */
const LARGE_BYTES = 65_536;

/** Gives a function that announces for `time` milliseconds, as fast as the bus accepts. Serials go on from run to run. */
export function announcing(
  announcer: Announcer,
  { lengths, ring, names = 1, sender = 0, senders = 1 }: Announcing,
): (time: number) => Promise<Announced> {
  if (ring % lengths.length !== 0) {
    throw new Error(`ring must be a multiple of the ${lengths.length} lengths, not ${ring}`);
  }
  const buffers = Array.from({ length: ring }, (_, at) =>
    Buffer.alloc(lengths[at % lengths.length] as number, at),
  );
  /** Messages between two readings of the clock. */
  const between = Math.max(...lengths) > LARGE_BYTES ? 1 : 64;
  // Each sender begins with another name, so that they don't all send the same one at once.
  let name = Math.floor((names * sender) / senders);
  let serial = 0;
  return async (time) => {
    const before = serial;
    const first = nanoseconds();
    const end = performance.now() + time;
    for (let isLast = false; !isLast; ) {
      serial++;
      isLast = serial % between === 0 && performance.now() >= end;
      const data = buffers[serial % ring] as Buffer;
      stamp(data, serial, isLast, sender);
      const wait = announcer.send(data, name);
      if (++name === names) name = 0;
      if (wait !== undefined) await wait;
    }
    await announcer.finish();
    return { count: serial - before, first };
  };
}

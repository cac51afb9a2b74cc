import { performance } from 'node:perf_hooks';
import { nanoseconds } from './clock.ts';
import { stamp } from './stamp.ts';

export interface Announcer {
  /**
   * Sends, or queues, one message, to the name with this number. Undefined when the next may be sent at once, else a
   * promise to wait for: this holds back a sender that is too fast.
   */
  send(data: Buffer, name: number): Promise<unknown> | undefined;
  /** Resolves when nothing waits in this process any more. */
  finish(): Promise<unknown>;
}

export interface Announcing {
  /** The length of each message's data, by its serial modulo the length of this. */
  readonly lengths: readonly number[];
  /** How many buffers are sent in turn: the data of a message stays unchanged while so many others are sent. */
  readonly ring: number;
  /** How many names they go to in turn. */
  readonly names?: number;
  /** Which of so many senders this is, from 0. */
  readonly sender?: number;
  readonly senders?: number;
}

export interface Announced {
  readonly count: number;
  /** When the first was sent; see {@link nanoseconds}. */
  readonly first: number;
}

/** From this size on, the clock is looked at after each message. */
const LARGE = 65_536;

/** How to announce for so many milliseconds, as fast as the bus takes it; serials go on from run to run. */
export function announcing(
  announcer: Announcer,
  { lengths, ring, names = 1, sender = 0, senders = 1 }: Announcing,
): (time: number) => Promise<Announced> {
  if (ring % lengths.length !== 0) {
    throw new Error(`a ring of ${ring} can't hold ${lengths.length} lengths in turn`);
  }
  const buffers = Array.from({ length: ring }, (_, at) =>
    Buffer.alloc(lengths[at % lengths.length] as number, at),
  );
  /** Messages between two looks at the clock. */
  const between = Math.max(...lengths) > LARGE ? 1 : 64;
  // Each begins with another name, so that they don't all send the same at once.
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

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Deadlines } from '../../src/base/deadlines.ts';
import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { Work } from '../../src/bus/work.ts';
import { AcceptedChannel } from '../../src/daemon/accepted-channel.ts';
import { Departures } from '../../src/daemon/departures.ts';
import { Turns } from '../../src/daemon/turns.ts';
import type { ChannelEvents } from '../../src/transport/channel.ts';
import { newFolder } from '../support/folder.ts';
import { receiveBuffers } from '../support/receive-buffers.ts';

const deadlines = new Deadlines<Socket>(5000, (socket) => socket.destroy());
const turns = new Turns(new Work(), setImmediate, new FlushScheduler());
const departures = new Departures(turns);

/** A connection, both its ends, and a way to close it all. */
async function connection(
  prepare: (accepted: Socket) => void,
  buffers = receiveBuffers(),
  leaving = deadlines,
) {
  const path = join(await newFolder(), 'socket');
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  const client = connect(path);
  const accepted = await new Promise<Socket>((resolve) => {
    server.once('connection', (socket) => {
      prepare(socket);
      resolve(socket);
    });
  });
  return {
    accepted,
    client,
    channel: new AcceptedChannel(accepted, buffers, leaving, departures),
    server,
  };
}

/** Collects what comes, and says that much, or nothing, is still to come. */
class Collector implements ChannelEvents {
  readonly pieces: Uint8Array[] = [];
  length = 0;
  missing = 0;
  isClosed = false;
  private readonly waiting: { until: () => boolean; resolve: () => void }[] = [];

  received(bytes: Uint8Array, from: number, to: number): number {
    this.pieces.push(bytes.subarray(from, to));
    this.length += to - from;
    this.tell();
    return this.missing;
  }

  drained(): void {}

  closed(): void {
    this.isClosed = true;
    this.tell();
  }

  private tell(): void {
    for (const { until, resolve } of this.waiting) if (until()) resolve();
  }

  when(until: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push({ until, resolve });
      this.tell();
    });
  }
}

/** Bytes that tell at which place they were written. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + seed) & 0xff;
  return bytes;
}

const asItIs = (): void => {};
/** As it would be in a Node whose sockets are otherwise inside. */
const unlikeOurs = (accepted: Socket): void => {
  const { _handle } = accepted as unknown as { _handle: object };
  Object.defineProperty(_handle, 'useUserBuffer', { value: undefined });
};

describe.each([
  ['into receive buffers', asItIs, 0],
  ['into memory that Node allocates', unlikeOurs, 1],
] as const)("The daemon's end of a connection, which reads %s,", (_, prepare, listeners) => {
  it('reads this way and no other.', async () => {
    const { accepted, client, server } = await connection(prepare);
    // Node passes the bytes that it has read into its own memory to listeners of 'data'.
    expect(accepted.listenerCount('data')).toBe(listeners);
    client.destroy();
    server.close();
  });

  it('is closed when the peer has ended, and never reads what was sent.', async () => {
    const leaving = new Deadlines<Socket>(10, (socket) => socket.destroy());
    const { accepted, channel, client, server } = await connection(prepare, undefined, leaving);
    const collector = new Collector();
    channel.open(collector);
    client.pause();
    channel.write([pattern(4_000_000, 1)]);
    expect(accepted.writableLength).toBeGreaterThan(0);
    client.end();
    await collector.when(() => collector.isClosed);
    client.destroy();
    server.close();
  });

  it('keeps received bytes unchanged, whatever their number, and whatever is received after them.', async () => {
    const { channel, client, server } = await connection(prepare);
    const collector = new Collector();
    channel.open(collector);
    const sent: Buffer[] = [];
    const send = async (length: number, missing: number): Promise<void> => {
      collector.missing = missing;
      const bytes = pattern(length, sent.length);
      sent.push(bytes);
      client.write(bytes);
      const total = sent.reduce((sum, { length: each }) => sum + each, 0);
      await collector.when(() => collector.length === total);
    };
    for (const missing of [0, 1_000_000]) {
      for (const length of [1, 12, 4096, 4097, 20_000, 70_000, 3_000_000, 100, 5]) {
        await send(length, missing);
      }
    }
    await send(300_000, 0);
    await send(1, 0);
    expect(Buffer.concat(collector.pieces).equals(Buffer.concat(sent))).toBe(true);
    client.end();
    await collector.when(() => collector.isClosed);
    server.close();
  });

  it('sends all that it was given to a peer that says nothing more, but still reads.', async () => {
    const { channel, client, server } = await connection(prepare);
    const collector = new Collector();
    channel.open(collector);
    const long = pattern(5_000_000, 5);
    channel.write([long]);
    expect(channel.backlog).toBeGreaterThan(0);
    client.end();
    const heard: Buffer[] = [];
    client.on('data', (chunk: Buffer) => heard.push(chunk));
    await collector.when(() => collector.isClosed);
    await once(client, 'end');
    expect(Buffer.concat(heard).equals(long)).toBe(true);
    server.close();
  });

  it('reads nothing while it is paused, and the rest when it is resumed.', async () => {
    const { channel, client, server } = await connection(prepare);
    const collector = new Collector();
    channel.open(collector);
    client.write('one');
    await collector.when(() => collector.length === 3);
    channel.pause();
    const long = pattern(5_000_000, 3);
    const isWritten = client.write(long);
    expect(isWritten).toBe(false);
    const before = collector.length;
    // What was read before the pause is at most what the kernel had; the writer is still not done.
    await new Promise((resolve) => setImmediate(resolve));
    expect(collector.length - before).toBeLessThan(long.length);
    channel.resume();
    await collector.when(() => collector.length === 3 + long.length);
    expect(Buffer.concat(collector.pieces).subarray(3).equals(long)).toBe(true);
    channel.end();
    await collector.when(() => collector.isClosed);
    client.destroy();
    server.close();
  });
});

it('A connection does not change the bytes that another one has received.', async () => {
  const buffers = receiveBuffers();
  const ends = await Promise.all([1, 2, 3, 4].map(() => connection(asItIs, buffers)));
  const collectors = ends.map(({ channel }) => {
    const collector = new Collector();
    channel.open(collector);
    return collector;
  });
  const sent: Buffer[][] = ends.map(() => []);
  for (let round = 0; round < 50; round++) {
    for (const [who, { client }] of ends.entries()) {
      const bytes = pattern((round * 977 * (who + 1)) % 90_000, round + who);
      (collectors[who] as Collector).missing = (round * (who + 3)) % 5 === 0 ? 100_000 : 0;
      sent[who]?.push(bytes);
      client.write(bytes);
    }
  }
  for (const [who, collector] of collectors.entries()) {
    const whole = Buffer.concat(sent[who] as Buffer[]);
    await collector.when(() => collector.length === whole.length);
    expect(Buffer.concat(collector.pieces).equals(whole)).toBe(true);
  }
  for (const { client, server } of ends) {
    client.destroy();
    server.close();
  }
});

describe('A connection from which much comes at once', () => {
  const POOL_BYTES = 256 * 1024;
  const LONG = 40_000;

  /** What each of so many connections has received; all of them share the buffers of one daemon. */
  async function connections(count: number) {
    const buffers = receiveBuffers();
    return await Promise.all(
      Array.from({ length: count }, async () => {
        const one = await connection(asItIs, buffers);
        const collector = new Collector();
        one.channel.open(collector);
        return { ...one, collector, sent: [] as Buffer[] };
      }),
    );
  }
  type One = Awaited<ReturnType<typeof connections>>[number];

  async function send({ client, collector, sent }: One, length: number): Promise<void> {
    const bytes = pattern(length, sent.length);
    sent.push(bytes);
    const total = collector.length + length;
    client.write(bytes);
    await collector.when(() => collector.length === total);
  }

  const hasOwn = ({ collector }: One): boolean =>
    collector.pieces.at(-1)?.buffer.byteLength === POOL_BYTES;

  function end(all: readonly One[]): void {
    for (const { client, collector, sent, server } of all) {
      expect(Buffer.concat(collector.pieces).equals(Buffer.concat(sent))).toBe(true);
      client.destroy();
      server.close();
    }
  }

  it('has memory of its own, until little comes.', async () => {
    const all = await connections(1);
    const [one] = all as [One];
    await send(one, LONG);
    await send(one, LONG);
    expect(hasOwn(one)).toBe(true);
    await send(one, 100);
    await send(one, LONG);
    expect(hasOwn(one)).toBe(false);
    end(all);
  });

  it('takes it from one that has been idle for long, if too many have some, and both go on reading.', async () => {
    const all = await connections(17);
    for (const one of all) await send(one, LONG);
    const last = all.at(-1) as One;
    await send(last, LONG);
    expect(hasOwn(last)).toBe(false);
    for (let times = 0; times < 300; times++) await send(last, LONG);
    expect(hasOwn(last)).toBe(true);
    for (const one of all) {
      await send(one, 70_000);
      await send(one, 7);
    }
    end(all);
  });
});

describe("The daemon's end of a connection to a client that does not read", () => {
  it('says when the client has been sent all, however little had to wait.', async () => {
    const { channel, client, server } = await connection(asItIs);
    const collector = new Collector();
    const drained = new Promise<number>((resolve) => {
      collector.drained = () => resolve(channel.backlog);
    });
    channel.open(collector);
    client.pause();
    let written = 0;
    for (; channel.backlog === 0; written += 1000) channel.write([pattern(1000, written)]);
    expect(channel.backlog).toBeLessThanOrEqual(1000);
    expect(channel.held).toBeGreaterThan(0);
    let read = 0;
    client.on('data', ({ length }) => {
      read += length;
      if (read === written) client.end();
    });
    client.resume();
    expect(await drained).toBe(0);
    expect(channel.held).toBe(0);
    server.close();
  });
});

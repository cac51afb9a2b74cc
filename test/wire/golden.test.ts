import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { systemTimers } from '../../src/base/timers.ts';
import { Bus } from '../../src/bus/bus.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { observeChannel } from '../../src/client/observe-channel.ts';
import { FramePort } from '../../src/client/ports/frame-port.ts';
import { LocalBatches } from '../../src/client/ports/local-batches.ts';
import { LocalPort } from '../../src/client/ports/local-port.ts';
import type { Tap, TapOptions } from '../../src/client/tap.ts';
import { TransportKsock } from '../../src/client/transport-ksock.ts';
import { Session } from '../../src/daemon/session.ts';
import { Op } from '../../src/message/calls.ts';
import { knownNames } from '../../src/message/codec/known-names.ts';
import { Field } from '../../src/message/codec/records.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { BatchedNames, type RecordBatch } from '../../src/message/record-batch.ts';
import type { Channel } from '../../src/transport/channel.ts';
import { FrameKind, SendDetail } from '../../src/wire/protocol.ts';
import { ToldNames } from '../../src/wire/told-names.ts';
import { Host, Peer } from '../daemon/peer.ts';
import { batched } from '../limpet/simulator/bowl.ts';
import { wholeFramesOf } from '../support/frames.ts';
import { PipeEnd } from '../support/pipe.ts';
import { refused } from '../support/refused.ts';

// Compares the bytes in docs/protocol.md with those that a Ksock and a session of the daemon send.

/** A frame of the page: its connection, its direction, its kind, and its bytes. */
interface Golden {
  readonly ksock: string;
  readonly isClients: boolean;
  readonly kind: string;
  readonly hex: string;
}

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** The frames of each conversation: a named block of code. */
const CONVERSATIONS = new Map<string, Golden[]>();
for (const [, name, block] of page.matchAll(/^```text conversation (\w+)\n(.*?)^```$/gms)) {
  const frames: { ksock: string; isClients: boolean; kind: string; hex: string }[] = [];
  for (const line of (block as string).split('\n').filter((one) => one !== '')) {
    const title = /^(\w*)([<>]) ([A-Z_]+)\b/.exec(line);
    const words = /^ {2}((?:[0-9a-f]{8} ?)+)(?: |$)/.exec(line)?.[1];
    if (title !== null) {
      const [, ksock = '', way, kind = ''] = title;
      frames.push({ ksock, isClients: way === '>', kind, hex: '' });
    } else if (words !== undefined && frames.length > 0) {
      (frames.at(-1) as { hex: string }).hex += words.replaceAll(' ', '');
    } else {
      throw new Error(`docs/protocol.md: neither a frame nor its bytes: ${line}`);
    }
  }
  CONVERSATIONS.set(name as string, frames);
}

const goldenOf = (name: string): readonly Golden[] => CONVERSATIONS.get(name) as Golden[];
const told = ({ ksock, isClients, kind, hex }: Golden): string =>
  `${ksock}${isClients ? '>' : '<'} ${kind} ${hex.replaceAll(/.{8}/g, '$& ')}`;

/** The ends of all connections of a conversation. */
let ends: PipeEnd[] = [];

/**
 * Resolves when no frame is on its way. A client may delay a report by one turn of the event loop, so
 * all ends must be idle for two turns in a row.
 */
async function settled(): Promise<void> {
  for (let idle = 0; idle < 2; ) {
    await new Promise((resolve) => setImmediate(resolve));
    idle = ends.every((end) => end.isIdle) ? idle + 1 : 0;
  }
}

/** One end of a connection, which records its frames. */
class Recorded implements Channel {
  private readonly inner: PipeEnd;
  private readonly said: (bytes: Buffer) => void;

  constructor(inner: PipeEnd, said: (bytes: Buffer) => void) {
    this.inner = inner;
    this.said = said;
  }

  get backlog(): number {
    return this.inner.backlog;
  }

  write(pieces: readonly Uint8Array[]): void {
    this.said(Buffer.concat(pieces));
    this.inner.write(pieces);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  end(): void {
    this.inner.end();
  }
}

/** Ksocks on a bus, and all frames between them and the daemon. */
class World {
  private readonly host = new Host();
  private readonly bus = new Bus();
  readonly heard: Golden[] = [];

  /** A connection that observes the bus; the daemon's clock goes on by 100 µs with each event. */
  async observe(name: string, options: TapOptions): Promise<Tap> {
    let now = 0;
    Object.assign(this.host, { timers: { ...systemTimers, now: () => (now += 0.1) } });
    const clock = vi.spyOn(Date, 'now').mockReturnValue(1_800_000_000_000);
    const tap = await observeChannel((toldTo) => {
      const [client, daemon] = PipeEnd.pair();
      ends.push(client, daemon);
      const recorded = new Recorded(daemon, this.note(name, false));
      daemon.open(new Session(this.host, this.bus, recorded));
      return new Recorded(client.open(toldTo), this.note(name, true));
    }, options);
    await settled();
    clock.mockRestore();
    return tap;
  }

  /** A Limpet brings messages of another bus. */
  bring(batch: RecordBatch): void {
    const events = { closed: () => {}, missed: () => {} };
    const port = new LocalPort(this.bus, { mode: 'rw', program: '', manage: false }, events);
    new LocalBatches(port, new BatchedNames(() => true)).post(batch, false, () => {});
  }

  private note(ksock: string, isClients: boolean): (bytes: Buffer) => void {
    return (bytes) => {
      for (const { kind, detail, consumed, token, body } of wholeFramesOf(bytes).whole) {
        const head = Buffer.alloc(12);
        head.writeUInt32BE(12 + body.length);
        head[4] = FrameKind[kind as keyof typeof FrameKind];
        head[5] = detail;
        head.writeUInt16BE(consumed, 6);
        head.writeUInt32BE(token, 8);
        const hex = Buffer.concat([head, body]).toString('hex');
        this.heard.push({ ksock, isClients, kind, hex });
      }
    };
  }

  async open(name = '', told?: ToldNames): Promise<Ksock> {
    const options = { pid: 4711, program: 'example', defer: process.nextTick, told };
    const ksock = await Ksock.open(
      (mode, events, signal) =>
        FramePort.open(
          (toldTo) => {
            const [client, daemon] = PipeEnd.pair();
            ends.push(client, daemon);
            const tapped = new Recorded(daemon, this.note(name, false));
            daemon.open(new Session(this.host, this.bus, tapped));
            return new Recorded(client.open(toldTo), this.note(name, true));
          },
          { ...options, mode, deferLonger: setImmediate },
          events,
          signal,
        ),
      { onMissed: () => {} },
    );
    await settled();
    return ksock;
  }
}

/** The programs of the conversations. */
const PROGRAMS: Record<string, (world: World) => Promise<unknown>> = {
  simple: async (world) => {
    const ksock = await world.open();
    await ksock.bind('$.News');
    await ksock.sendMsg(new Announcement('$.News', 'hello'));
    await ksock.readNextMsg();
    await ksock.bind('$.Ask', true);
    await ksock.sendMsg(new Request('$.Ask', 'time?'));
    const request = await ksock.waitForMsg();
    await ksock.sendMsg(replyTo(request as Request, 'noon'));
    await ksock.waitForMsg();
    await ksock.readNextMsg();
    await refused(ksock.sendMsg(new Request('$.Nobody')), 'EADDRNOTAVAIL');
    await refused(ksock.setMaxMessageSize(50), 'EINVAL');
    await ksock.close();
  },

  many: async (world) => {
    const ksock = await world.open();
    await ksock.bind('$.Sensor.*');
    const iterator = ksock[Symbol.asyncIterator]();
    const first = iterator.next();
    await settled();
    await Promise.all([
      ksock.sendMsg(new Announcement('$.Sensor.Hall', '21.5')),
      ksock.sendMsg(new Announcement('$.Sensor.Hall', '21.6')),
      ksock.sendMsg(new Announcement('$.Sensor.Attic', '19')),
    ]);
    await first;
    await ksock.sendMsg(new Announcement('$.Sensor.Smoke', 'fire', { flags: Flag.URGENT }));
    await settled();
    await iterator.next();
    await settled();
    await ksock.unbind('$.Sensor.*');
  },

  carried: async (world) => {
    const ksock = await world.open();
    await ksock.listener('$.Sensor.*', () => {});
    await settled();
    const sensors = [
      { name: '$.Sensor.Hall', text: '21.5' },
      { name: '$.Sensor.Hall', text: '21.6' },
      { name: '$.Sensor.Attic', text: '19' },
    ];
    let batch: RecordBatch | null = null;
    for (const [at, { name, text }] of sensors.entries()) {
      const id = new MessageId(0, 41 + at);
      batch = batched(new Announcement(name, text, { id, from: 3 }), batch);
    }
    world.bring((batch as RecordBatch).carriedBy(7));
    await settled();
  },

  told: async (world) => {
    const ksock = await world.open('', new ToldNames());
    await ksock.listener('$.Sensor.*', () => {});
    await settled();
    for (const text of ['21.5', '21.6', '21.7']) {
      await ksock.sendMsg(new Announcement('$.Sensor.Hall', text));
      await settled();
    }
  },

  answered: async (world) => {
    const requester = await world.open('A');
    const replier = await world.open('B');
    await replier.replier('$.Upper', (request) => request.text().toUpperCase());
    await settled();
    await Promise.all([requester.request('$.Upper', 'one'), requester.request('$.Upper', 'two')]);
    await settled();
    await refused(requester.request('$.Nobody', '', { wait: false }), 'EADDRNOTAVAIL');
    await requester.bind('$.Self', true);
    await refused(requester.request('$.Self', '?', { timeout: 1 }), 'ETIMEDOUT');
  },

  waits: async (world) => {
    const ksock = await world.open();
    await ksock.bind('$.Jobs');
    await ksock.setMaxMessages(1);
    await ksock.sendMsg(new Announcement('$.Jobs', '1'));
    await ksock.sendMsg(new Announcement('$.Jobs', '2'));
    await settled();
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = ksock.sendMsg(new Announcement('$.Jobs', '3'), { wait: true, signal });
    await settled();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await settled();
    await ksock.readNextMsg();
    await ksock.post(new Announcement('$.Jobs', '4'));
    await ksock.flush();
    await ksock.readNextMsg();
    await ksock.waitForMsg({ timeout: 1 });
  },

  observed: async (world) => {
    const ksock = await world.open('A');
    await ksock.bind('$.News');
    const tap = await world.observe('O', { names: '$.News', data: 4 });
    await ksock.sendMsg(new Announcement('$.News', 'hello'));
    const events = tap[Symbol.asyncIterator]();
    for (let event = await events.next(); event.value?.type !== 'sent'; )
      event = await events.next();
    await ksock.close();
    for (let event = await events.next(); event.value?.type !== 'closed'; )
      event = await events.next();
  },
};

/** The conversations of Ksocks begin with these frames; the page shows them once. */
const isGreeting = ({ kind, ksock }: Golden): boolean =>
  (kind === 'HELLO' || kind === 'WELCOME') && ksock !== 'O';

describe('The bytes in docs/protocol.md', () => {
  it.for(Object.keys(PROGRAMS))(
    'are those that programs and the daemon send: %s.',
    async (name) => {
      ends = [];
      knownNames.clear();
      const world = new World();
      await PROGRAMS[name]?.(world);
      await settled();
      const golden = goldenOf(name);
      const heard = world.heard.filter((one) => name === 'simple' || !isGreeting(one));
      // The order between two connections does not matter.
      for (const of of new Set([...golden, ...heard].map(({ ksock }) => ksock))) {
        const those = (all: readonly Golden[]) => all.filter(({ ksock }) => ksock === of).map(told);
        expect(those(heard)).toEqual(those(golden));
      }
    },
  );

  it('show the farewell for a client that breaks a rule, and the client reads it.', async () => {
    const [wrong, farewell] = goldenOf('farewell').map(({ hex }) => Buffer.from(hex, 'hex'));
    const [hello, welcome] = goldenOf('simple').map(({ hex }) => Buffer.from(hex, 'hex'));
    const peer = new Peer(new Host(), new Bus());
    peer.say(hello as Buffer, wrong as Buffer);
    const [, ...heard] = peer.hear();
    const [expected] = wholeFramesOf(farewell as Buffer).whole;
    expect(heard).toEqual([expected]);

    const [client, daemon] = PipeEnd.pair();
    daemon.open({ received: () => 0, drained: () => {}, closed: () => {} });
    daemon.write([welcome as Buffer, farewell as Buffer]);
    const opening = Ksock.open((mode, events, signal) =>
      FramePort.open(
        (toldTo) => client.open(toldTo),
        { mode, pid: 1, program: '', defer: process.nextTick, deferLonger: setImmediate },
        events,
        signal,
      ),
    );
    expect((await refused(opening, 'EPROTO')).message).toContain(
      '(URGENT_ACK without a PREFETCH_URGENT)',
    );
  });

  it('show the first frame over WebSocket.', async () => {
    const sent: string[] = [];
    const opening = TransportKsock.open(0, {
      url: 'http://127.0.0.1:1',
      token: 'example-token',
      WebSocket: class {
        binaryType = '';
        bufferedAmount = 0;
        onopen: (() => void) | null = null;
        onmessage = null;
        onclose: ((event: object) => void) | null = null;
        onerror = null;

        constructor() {
          queueMicrotask(() => this.onopen?.());
        }

        send(data: string | Uint8Array): void {
          sent.push(Buffer.from(data as Uint8Array).toString('hex'));
          queueMicrotask(() => this.onclose?.({ code: 1000, reason: '' }));
        }

        close(): void {}
      },
    });
    await refused(opening, 'ECONNRESET');
    expect(sent.slice(0, 1)).toEqual(goldenOf('enter').map(({ hex }) => hex));
  });

  it('show every kind of frame, under its name.', () => {
    const all = [...CONVERSATIONS.values()].flat();
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(Object.keys(FrameKind)));
    for (const { kind, hex } of all) {
      const bytes = Buffer.from(hex, 'hex');
      expect([bytes.readUInt32BE(0), bytes[4]]).toEqual([
        bytes.length,
        FrameKind[kind as keyof typeof FrameKind],
      ]);
    }
    expect([...CONVERSATIONS.keys()].sort()).toEqual(
      [...Object.keys(PROGRAMS), 'enter', 'farewell'].sort(),
    );
  });
});

describe('The tables in docs/protocol.md', () => {
  /** The rows of a table, each as its cells. */
  const rows = [...page.matchAll(/^\|(.*)\|$/gm)].map(([, row]) =>
    (row as string).split('|').map((cell) => cell.trim()),
  );

  it('have every kind of frame, with its number.', () => {
    for (const [name, kind] of Object.entries(FrameKind)) {
      const named = rows.filter((row) => row[1] === name).map(([number]) => Number(number));
      expect([name, named.length > 0, ...new Set(named)]).toEqual([name, true, kind]);
    }
  });

  it('have every call, with its number.', () => {
    const calls = rows.filter(
      ([number, name]) => /^\d+$/.test(number as string) && !((name as string) in FrameKind),
    );
    const told = calls.map(([number, name]) => [name, Number(number)]);
    for (const call of Object.entries(Op)) expect(told).toContainEqual(call);
  });

  it('have every bit of SEND, of flags and of fields.', () => {
    const bits = rows.map(([bit, name]) => [name, Number(bit)]);
    for (const bit of Object.entries(SendDetail)) expect(bits).toContainEqual(bit);
    for (const bit of Object.entries(Flag)) expect(bits).toContainEqual(bit);
    const fields = Object.entries(Field).map(([name, bit]) => `${bit} ${name}`);
    expect(page).toContain(`fields: ${fields.join(', ')}`);
  });
});

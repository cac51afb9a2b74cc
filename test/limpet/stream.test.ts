import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import type { Limpet, LinkOptions } from '../../src/limpet/limpet.ts';
import { Announcement, replyTo } from '../../src/message/message.ts';
import { Bowls, isJoined, next } from './bowls.ts';
import { HAS_NATS, MemoryEngine, NATS_SERVER, NatsServer } from './engines.ts';

let bowls: Bowls;
beforeEach(() => {
  bowls = new Bowls();
});
afterEach(() => bowls.end());

/** A bus with a Limpet in the federation, and a program that hears what is announced. */
interface Place {
  readonly bus: Bus;
  readonly ksock: Ksock;
  limpet: Limpet;
}

/** Kinds of engine: one in memory, and a real server. */
interface Kind {
  readonly title: string;
  readonly skip: boolean;
  start(): Promise<{
    readonly link: LinkOptions;
    kill(): Promise<void>;
    start(): Promise<void>;
    end(): Promise<void>;
  }>;
}

const KINDS: readonly Kind[] = [
  {
    title: 'an engine in memory',
    skip: false,
    start: async () => {
      const memory = new MemoryEngine();
      return {
        link: { engine: memory.connect },
        kill: async () => memory.stop(),
        start: async () => memory.start(),
        end: async () => {},
      };
    },
  },
  {
    title: NATS_SERVER,
    skip: !HAS_NATS,
    start: async () => {
      const server = await NatsServer.start();
      await server.kill();
      await server.start(server.jetStream);
      return {
        link: { nats: server.url },
        kill: () => server.kill(),
        start: () => server.start(server.jetStream),
        end: () => server.end(),
      };
    },
  },
];

describe.each(KINDS)('mode stream over $title', { skip: false }, (kind) => {
  let engine: Awaited<ReturnType<Kind['start']>>;
  beforeEach(async (context) => {
    context.skip(kind.skip);
    engine = await kind.start();
  });
  afterEach(() => engine?.end());

  const linkOf = (id: number): LinkOptions => {
    const state = join(bowls.folder, `${id}.cursor`);
    return { ...engine.link, federation: 'plant', mode: 'stream', state };
  };

  async function join2(count: number): Promise<Place[]> {
    const places: Place[] = [];
    for (let id = 1; id <= count; id++) {
      const bus = new Bus({ number: id });
      const ksock = await bowls.open(bus);
      await ksock.setMaxMessages(10_000);
      places.push({ bus, ksock, limpet: await bowls.limpet(id, bus, [linkOf(id)]) });
    }
    await allJoined(places);
    return places;
  }

  const allJoined = (places: readonly Place[]): Promise<void> =>
    bowls.until(() =>
      places.every(
        ({ limpet }) => isJoined(limpet) && limpet.report().paths.length === places.length - 1,
      ),
    );

  it('every bus hears what comes from elsewhere in one order, each message once', async () => {
    const places = await join2(4);
    const listeners = await Promise.all(places.map(({ bus }) => bowls.open(bus)));
    for (const listener of listeners) {
      await listener.setMaxMessages(1000);
      await listener.bind('$.Count');
    }
    for (let at = 0; at < 100; at++) {
      for (const [from, { ksock }] of places.entries()) {
        await ksock.sendMsg(new Announcement('$.Count', `${from}:${at}`));
      }
      if (at % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const heard: string[][] = [];
    for (const listener of listeners) {
      const all: string[] = [];
      while (all.length < 400) all.push((await next(listener)).text());
      heard.push(all);
    }
    // Of the buses 3 and 4, both have heard what comes from 1 and 2 in the same order.
    const from = (texts: string[] = [], ...senders: number[]): string[] =>
      texts.filter((text) => senders.includes(Number(text.split(':')[0])));
    expect(from(heard[2], 0, 1)).toEqual(from(heard[3], 0, 1));
    expect(from(heard[0], 2, 3)).toEqual(from(heard[1], 2, 3));
    expect(new Set(heard[0]).size).toBe(400);
  });

  it('a bus whose Limpet was away catches up', async () => {
    const [one, other] = (await join2(2)) as [Place, Place];
    const listener = await bowls.open(other.bus);
    await listener.bind('$.Level');
    await one.ksock.sendMsg(new Announcement('$.Level', '1'));
    expect((await next(listener)).text()).toBe('1');
    await other.limpet.stop();
    await one.ksock.sendMsg(new Announcement('$.Level', '2'));
    await one.ksock.sendMsg(new Announcement('$.Level', '3'));
    await one.limpet.stop();
    // Now even the sender's Limpet is gone.
    other.limpet = await bowls.limpet(2, other.bus, [linkOf(2)]);
    expect((await next(listener)).text()).toBe('2');
    expect((await next(listener)).text()).toBe('3');
    expect(other.limpet.report().missed).toBe(0);
  });

  it('what is announced while the server is away comes when it is back', async () => {
    const [one, other] = (await join2(2)) as [Place, Place];
    const listener = await bowls.open(other.bus);
    await listener.bind('$.Level');
    await engine.kill();
    await one.ksock.sendMsg(new Announcement('$.Level', 'while it was away'));
    await engine.start();
    expect((await next(listener)).text()).toBe('while it was away');
  });

  it('a Request comes after what its sender announced before, and its Reply after what the Replier did', async () => {
    const [one, other] = (await join2(2)) as [Place, Place];
    const replier = await bowls.open(other.bus);
    const heard: string[] = [];
    await replier.listener('$.Level', (message) => {
      heard.push(message.text());
    });
    await replier.replier('$.Ask', async (request) => {
      await replier.sendMsg(new Announcement('$.Answering', request.text()));
      return heard.at(-1) ?? '';
    });
    const asker = await bowls.open(one.bus);
    const answering: string[] = [];
    await asker.listener('$.Answering', (message) => {
      answering.push(message.text());
    });
    await bowls.replier(asker, '$.Ask');
    for (let at = 0; at < 50; at++) {
      await asker.sendMsg(new Announcement('$.Level', String(at)));
      const reply = await asker.request('$.Ask', `question ${at}`);
      expect(reply.text()).toBe(String(at));
      expect(answering.at(-1)).toBe(`question ${at}`);
    }
  });

  it('an Announcement comes after the Request that its sender sent before', async () => {
    const [one, other] = (await join2(2)) as [Place, Place];
    const listener = await bowls.open(other.bus);
    await listener.bind('$.Ask', true);
    await listener.bind('$.Level');
    await bowls.replier(one.ksock, '$.Ask');
    for (let at = 0; at < 50; at++) {
      const asked = one.ksock.request('$.Ask', String(at));
      await one.ksock.sendMsg(new Announcement('$.Level', String(at)));
      const request = await next(listener);
      expect([request.name, request.text()]).toEqual(['$.Ask', String(at)]);
      expect((await next(listener)).name).toBe('$.Level');
      await listener.sendMsg(replyTo(request, 'yes'));
      expect((await asked).text()).toBe('yes');
    }
  });
});

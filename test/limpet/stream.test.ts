import { readFileSync, writeFileSync } from 'node:fs';
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

describe.each(KINDS)('mode stream over $title', (kind) => {
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

describe('mode stream', () => {
  const linkOf = (engine: MemoryEngine, more: LinkOptions = {}): LinkOptions => {
    return { engine: engine.connect, federation: 'plant', mode: 'stream', ...more };
  };

  async function joinBoth(link: LinkOptions): Promise<[Ksock, Ksock]> {
    const buses = [new Bus({ number: 1 }), new Bus({ number: 2 })];
    for (const [at, bus] of buses.entries()) await bowls.limpet(at + 1, bus, [link]);
    await bowls.until(() => bowls.limpets.every(isJoined));
    return Promise.all(buses.map((bus) => bowls.open(bus))) as Promise<[Ksock, Ksock]>;
  }

  it('carries what is longer than the engine takes in pieces', async () => {
    const memory = new MemoryEngine();
    memory.maxPayload = 3000;
    const [sender, listener] = await joinBoth(linkOf(memory));
    await listener.bind('$.Picture');
    const picture = Buffer.alloc(300_000, 'kbus');
    await sender.sendMsg(new Announcement('$.Picture', picture));
    expect(Buffer.compare((await next(listener)).data, picture)).toBe(0);
    expect(Math.max(...memory.stored.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(3000);
  });

  it('a bus is told how many Announcements the stream does not hold any more', async () => {
    const memory = new MemoryEngine();
    const bus = new Bus();
    const state = join(bowls.folder, 'cursor');
    const away = await bowls.limpet(2, bus, [linkOf(memory, { state })]);
    const other = new Bus();
    await bowls.limpet(1, other, [linkOf(memory)]);
    const sender = await bowls.open(other);
    const listener = await bowls.open(bus);
    await listener.bind('$.Level');
    await sender.sendMsg(new Announcement('$.Level', 'heard'));
    expect((await next(listener)).text()).toBe('heard');
    await away.stop();
    for (let at = 1; at <= 5; at++) {
      await sender.sendMsg(new Announcement('$.Level', String(at)));
      await bowls.until(() => memory.stored.length >= 1 + at);
    }
    memory.first = 6;
    await listener.bind('$.KBUS.Limpet.Missed');
    const back = await bowls.limpet(2, bus, [linkOf(memory, { state })]);
    const missed = await next(listener);
    expect([missed.name, missed.text()]).toEqual(['$.KBUS.Limpet.Missed', '4']);
    expect((await next(listener)).text()).toBe('5');
    expect(back.report().missed).toBe(4);
    const { text } = await bowls.event(/does not hold/);
    expect(text).toContain('4 messages');
  });

  it('a Limpet that stops waits until the stream has what it took', async () => {
    const memory = new MemoryEngine();
    const bus = new Bus();
    const limpet = await bowls.limpet(1, bus, [linkOf(memory)]);
    const sender = await bowls.open(bus);
    await bowls.event(/the stream KBUS_plant is open/);
    let open = (): void => {};
    memory.gate = new Promise((resolve) => {
      open = resolve;
    });
    for (const text of ['one', 'two']) await sender.sendMsg(new Announcement('$.Level', text));
    const waiting = (): number => limpet.report().links[0]?.stream?.waiting ?? 0;
    await bowls.until(() => waiting() > 0);
    let hasStopped = false;
    const stopped = limpet.stop().then(() => {
      hasStopped = true;
    });
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([hasStopped, memory.stored.length]).toEqual([false, 0]);
    open();
    await stopped;
    expect(memory.stored.length).toBeGreaterThan(0);
    expect(waiting()).toBe(0);
    expect(bowls.events.filter(({ text }) => /are lost/.test(text))).toEqual([]);
  });

  it('keeps a part of what is announced while the stream is away, and the others are told of the rest', async () => {
    const memory = new MemoryEngine();
    const buses = [new Bus(), new Bus()];
    for (const [at, bus] of buses.entries()) {
      await bowls.limpet(at + 1, bus, [linkOf(memory)], { buffer: 20_000 });
    }
    await bowls.until(() => bowls.limpets.every(isJoined));
    const sender = await bowls.open(buses[0] as Bus);
    const listener = await bowls.open(buses[1] as Bus);
    await listener.setMaxMessages(1000);
    await listener.bind('$.Level');
    await listener.bind('$.KBUS.Limpet.Missed');
    memory.stop();
    const data = Buffer.alloc(1000);
    for (let at = 0; at < 100; at++) {
      await sender.sendMsg(new Announcement('$.Level', data));
      await new Promise((resolve) => setImmediate(resolve));
    }
    memory.start();
    let heard = 0;
    let missed = 0;
    while (heard + missed < 100) {
      const message = await next(listener);
      if (message.name === '$.Level') heard++;
      else missed += Number(message.text());
    }
    expect(heard).toBeGreaterThan(10);
    expect(missed).toBeGreaterThan(0);
    const { links = [] } = bowls.limpets[0]?.report() ?? {};
    expect(links.find(({ stream }) => stream)?.stream?.dropped).toBe(missed);
  });

  it('lets only pass what the filters let pass', async () => {
    const memory = new MemoryEngine();
    const [sender, listener] = await joinBoth(
      linkOf(memory, { out: ['$.Public.*', '$.Late'], in: ['$.Public.*'] }),
    );
    for (const name of ['$.Secret', '$.Late', '$.Public.A']) await listener.bind(name);
    for (const name of ['$.Secret', '$.Late', '$.Public.A']) {
      await sender.sendMsg(new Announcement(name, name));
    }
    expect((await next(listener)).name).toBe('$.Public.A');
    expect(await listener.numMessages()).toBe(0);
  });

  it('does not join Limpets of different modes, and says so', async () => {
    const memory = new MemoryEngine();
    await bowls.limpet(1, new Bus(), [linkOf(memory)]);
    await bowls.limpet(2, new Bus(), [{ engine: memory.connect, federation: 'plant' }]);
    const { text } = await bowls.event(/mode core/);
    expect(text).toContain('give both the same --nats-mode');
    expect(bowls.limpets.map((limpet) => limpet.report().paths)).toEqual([[], []]);
  });

  it('a Limpet that takes over goes on where the one before it ended', async () => {
    const memory = new MemoryEngine();
    const state = join(bowls.folder, 'cursor');
    const bus = new Bus();
    const other = new Bus();
    const first = await bowls.limpet(1, bus, [linkOf(memory, { state })]);
    await bowls.limpet(3, other, [linkOf(memory)]);
    const second = await bowls.limpet(2, bus, [linkOf(memory, { state })]);
    const sender = await bowls.open(other);
    const listener = await bowls.open(bus);
    await listener.setMaxMessages(1000);
    await listener.bind('$.Count');
    for (let at = 0; at < 100; at++) {
      await sender.sendMsg(new Announcement('$.Count', String(at)));
      if (at === 50) void first.stop();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let at = 0; at < 100; at++) expect((await next(listener)).text()).toBe(String(at));
    expect(second.report().isSpeaker).toBe(true);
  });

  const beyond = (limpet: Limpet): string =>
    limpet.report().links.flatMap(({ stream }) => stream?.beyond ?? [])[0] ?? '';

  it('says which Limpets the stream does not reach, since another Limpet of the bus is joined with them', async () => {
    const memory = new MemoryEngine();
    const path = join(bowls.folder, 'link.sock');
    const [bus, far, aside] = [new Bus(), new Bus(), new Bus()];
    const one = await bowls.limpet(1, bus, [linkOf(memory)]);
    await bowls.limpet(2, far, [linkOf(memory)]);
    await bowls.until(() => isJoined(one));
    expect(beyond(one)).toBe('');
    await bowls.limpet(3, bus, [{ server: path }]);
    const other = await bowls.limpet(4, aside, [{ client: path }]);
    const { level, text } = await bowls.event(/no Announcement/);
    expect(level).toBe('warn');
    expect(text).toBe(
      'link plant: no Announcement goes from the stream to Limpet 4, or the reverse: another Limpet of this bus is joined with it; let that bus join the federation',
    );
    expect(text).toContain(beyond(one));
    await other.stop();
    await bowls.until(() => beyond(one) === '');
  });

  it('says that nothing comes from the stream while a Limpet speaks for the bus that is not in the federation', async () => {
    const memory = new MemoryEngine();
    const [bus, far] = [new Bus(), new Bus()];
    const first = await bowls.limpet(1, bus, [{ server: join(bowls.folder, 'link.sock') }]);
    const second = await bowls.limpet(2, bus, [linkOf(memory)]);
    await bowls.limpet(3, far, [linkOf(memory)]);
    await bowls.event(/Limpet 1 speaks for the bus, and is not in the federation/);
    expect(beyond(second)).toContain('no Announcement goes from this bus to the stream');
    await first.stop();
    await bowls.until(() => beyond(second) === '');
  });

  it('says at once that its file can not be made, also where a folder can be there and not be made', async () => {
    const link = linkOf(new MemoryEngine(), { state: '/proc/kbus/plant/cursor' });
    await expect(bowls.limpet(1, new Bus(), [link])).rejects.toThrow(
      /can't keep in \/proc\/kbus\/plant\/cursor .*ENOENT.*--state names another file/,
    );
  });

  it.each([
    [{ mode: 'fast' as 'core' }, /core or stream/],
    [{ mode: 'core', maxAge: 5 }, /maxAge is for a federation of mode stream/],
    [{ maxBytes: 0 }, /maxBytes is a whole number from 1/],
    [{ discard: 'all' as 'old' }, /discard is old or new/],
  ] as const)('says what is wrong with %o', async (more, says) => {
    const link = linkOf(new MemoryEngine(), more);
    await expect(bowls.limpet(1, new Bus(), [link])).rejects.toThrow(says);
  });

  it('has no other link beside it', async () => {
    const links = [linkOf(new MemoryEngine()), { server: join(bowls.folder, 'other') }];
    await expect(bowls.limpet(1, new Bus(), links)).rejects.toThrow(/has no other link/);
  });

  it('says that the file of the cursor cannot be used', async () => {
    const file = join(bowls.folder, 'file');
    writeFileSync(file, '');
    const link = linkOf(new MemoryEngine(), { state: join(file, 'cursor') });
    await expect(bowls.limpet(1, new Bus(), [link])).rejects.toThrow(/--state names another/);
  });
});

describe.skipIf(!HAS_NATS)(`mode stream over a server: ${NATS_SERVER}`, () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await NatsServer.start();
    await server.kill();
  });
  afterEach(() => server.end());

  const link = (more: LinkOptions = {}): LinkOptions => {
    return { nats: server.url, federation: 'plant', mode: 'stream', ...more };
  };

  it('says that the server offers no JetStream', async () => {
    await server.start();
    await bowls.limpet(1, new Bus(), [link()]);
    const { text } = await bowls.event(/can't open the stream/);
    expect(text).toContain('start it with -js');
  });

  it('makes the stream with its limits, and says where one that is there has others', async () => {
    await server.start(server.jetStream);
    await bowls.limpet(1, new Bus(), [link({ maxBytes: 1_000_000, maxAge: 60 })]);
    await bowls.event(/the stream KBUS_plant is open/);
    await bowls.limpet(2, new Bus(), [link({ maxBytes: 2_000_000, discard: 'new' })]);
    const { text } = await bowls.event(/was there already/);
    expect(text).toContain('max_bytes is 1000000, not 2000000');
    expect(text).toContain('discard is old, not new');
  });

  it('with the permissions of docs/machines.md, a bus can only speak for itself', async () => {
    const page = readFileSync(new URL('../../docs/machines.md', import.meta.url), 'utf8');
    const [, config = ''] = /```text\njetstream \{\}\n([\s\S]*?)```/.exec(page) ?? [];
    expect(config).toContain('kbus.plant.stream.1');
    await server.start(`${server.jetStream}${config}`);
    const urlOf = (user: string): string =>
      server.url.replace('nats://', `nats://${user}:${user}-password@`);
    const [one, other] = [new Bus(), new Bus()];
    await bowls.limpet(1, one, [link({ nats: urlOf('boiler') })]);
    await bowls.event(/the stream KBUS_plant is open/);
    await bowls.limpet(2, other, [link({ nats: urlOf('office') })]);
    await bowls.until(() => bowls.limpets.every(isJoined));
    const sender = await bowls.open(one);
    const listener = await bowls.open(other);
    await listener.bind('$.Level');
    await sender.sendMsg(new Announcement('$.Level', '7'));
    expect((await next(listener)).text()).toBe('7');
    expect(bowls.events.filter(({ text }) => /[Pp]ermission/.test(text))).toEqual([]);
    // The office says that it is Limpet 1.
    await bowls.limpet(1, new Bus(), [link({ nats: urlOf('office') })]);
    await bowls.event(/[Pp]ermission/);
  });
});

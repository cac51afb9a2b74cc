import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import type { Limpet, LinkOptions } from '../../src/limpet/limpet.ts';
import { Announcement } from '../../src/message/message.ts';
import { Bowls, isJoined, next } from './bowls.ts';
import { MemoryEngine } from './engines.ts';

const MISSED = '$.KBUS.Limpet.Missed';
const MAX_PAYLOAD = 3000;
const FITS = Buffer.alloc(MAX_PAYLOAD - '$.Picture'.length, 'fits');
const TOO_LARGE = Buffer.alloc(FITS.length + 1, 'large');
const LARGE = Buffer.alloc(MAX_PAYLOAD, 'large');

let bowls: Bowls;
beforeEach(() => {
  bowls = new Bowls();
});
afterEach(() => bowls.end());

interface Joined {
  readonly memory: MemoryEngine;
  readonly limpets: readonly Limpet[];
  readonly buses: readonly Bus[];
  /** One on each bus. */
  readonly ksocks: readonly [Ksock, Ksock, Ksock];
}

/** Three buses in one federation, whose engine takes 3,000 bytes. */
async function join(options: Partial<LinkOptions>): Promise<Joined> {
  const memory = new MemoryEngine();
  memory.maxPayload = MAX_PAYLOAD;
  const buses = [1, 2, 3].map((number) => new Bus({ number }));
  const link = { engine: memory.connect, federation: 'plant', ...options };
  const limpets = await Promise.all(buses.map((bus, at) => bowls.limpet(at + 1, bus, [link])));
  await bowls.until(() =>
    limpets.every((limpet) => isJoined(limpet) && limpet.report().paths.length === 2),
  );
  const ksocks = (await Promise.all(buses.map((bus) => bowls.open(bus)))) as [Ksock, Ksock, Ksock];
  return { memory, limpets, buses, ksocks };
}

describe.each(['core', 'stream'] as const)('large messages in mode %s', (mode) => {
  it('go in pieces, unless the setting says otherwise', async () => {
    const { ksocks, memory } = await join({ mode });
    const [one, two, three] = ksocks;
    await two.bind('$.Picture');
    await three.replier('$.Ask', (request) => Buffer.concat([request.data, LARGE]));
    await bowls.replier(one, '$.Ask');
    await one.sendMsg(new Announcement('$.Picture', TOO_LARGE));
    expect(Buffer.compare((await next(two)).data, TOO_LARGE)).toBe(0);
    expect((await one.request('$.Ask', LARGE)).dataLength).toBe(2 * LARGE.length);
    expect(Math.max(...memory.published.map(({ length }) => length))).toBeLessThanOrEqual(3000);
  });

  it('refused: the far buses hear of an Announcement that they miss, in its place; the log names it once, and the Limpet counts', async () => {
    const { ksocks, limpets } = await join({ mode, large: 'refuse' });
    const [one, two, three] = ksocks;
    for (const ksock of [one, two, three]) {
      await ksock.bind('$.Picture');
      await ksock.bind(MISSED);
    }
    for (const data of ['before', FITS, TOO_LARGE, TOO_LARGE, 'after']) {
      await one.sendMsg(new Announcement('$.Picture', data));
    }
    for (const far of [two, three]) {
      expect((await next(far)).text()).toBe('before');
      expect((await next(far)).dataLength).toBe(FITS.length);
      for (let count = 0; count < 2; count++) {
        const missed = await next(far);
        expect([missed.name, missed.text(), missed.origFrom.networkId]).toEqual([MISSED, '1', 1]);
      }
      expect((await next(far)).text()).toBe('after');
    }
    // Its own bus misses nothing.
    for (let count = 0; count < 5; count++) expect((await next(one)).name).toBe('$.Picture');
    expect(limpets.map((limpet) => limpet.report().missed)).toEqual([2, 2, 2]);
    const told = bowls.events.filter(({ text }) => text.includes("'$.Picture'"));
    expect(told.map(({ level }) => level)).toEqual(['warn']);
    expect(told[0]?.text).toContain('name and data have 3001 bytes, and the server takes 3000');
  });

  it('refused: a Request gets RemoteError.EMSGSIZE, its Replier nothing, and listeners elsewhere are told', async () => {
    const { ksocks, buses, limpets } = await join({ mode, large: 'refuse' });
    const [one, two, three] = ksocks;
    let asked = 0;
    await two.replier('$.Ask', () => {
      asked++;
      return 'yes';
    });
    await bowls.replier(one, '$.Ask');
    const listener = await bowls.open(buses[2] as Bus);
    await listener.bind('$.Ask');
    await three.bind(MISSED);
    await expect(one.request('$.Ask', LARGE)).rejects.toThrow('$.KBUS.RemoteError.EMSGSIZE');
    expect((await one.request('$.Ask', 'small')).text()).toBe('yes');
    expect(asked).toBe(1);
    expect((await next(three)).text()).toBe('1');
    expect((await next(listener)).text()).toBe('small');
    expect(limpets[0]?.report().inFlight).toBe(0);
  });

  it('refused: a Reply becomes RemoteError.EMSGSIZE for its requester', async () => {
    const [one, two] = (await join({ mode, large: 'refuse' })).ksocks;
    await two.replier('$.Ask', (request) => (request.text() === 'much' ? LARGE : FITS));
    await bowls.replier(one, '$.Ask');
    await expect(one.request('$.Ask', 'much')).rejects.toThrow('$.KBUS.RemoteError.EMSGSIZE');
    expect((await one.request('$.Ask', 'less')).dataLength).toBe(FITS.length);
  });

  it('refused: what an Announcement holds up is carried all the same', async () => {
    const { ksocks, buses } = await join({ mode, large: 'refuse' });
    const [one, two] = ksocks;
    const replier = await bowls.open(buses[1] as Bus);
    await replier.replier('$.Ask', async () => (await next(two)).name);
    await bowls.replier(one, '$.Ask');
    await two.bind(MISSED);
    await one.sendMsg(new Announcement('$.Picture', TOO_LARGE));
    expect((await one.request('$.Ask', 'what came before?')).text()).toBe(MISSED);
  });
});

describe('a Limpet in a federation that refuses large messages, and in a link that does not', () => {
  it('passes on as much as each of them carries', async () => {
    const memory = new MemoryEngine();
    memory.maxPayload = MAX_PAYLOAD;
    const federated = { engine: memory.connect, federation: 'plant', large: 'refuse' } as const;
    const path = `${bowls.folder}/link.sock`;
    const [near, middle, far] = [1, 2, 3].map((number) => new Bus({ number })) as [Bus, Bus, Bus];
    await bowls.limpet(1, near, [{ client: path }]);
    await bowls.limpet(2, middle, [{ server: path }, federated]);
    await bowls.limpet(3, far, [federated]);
    await bowls.until(() => bowls.limpets.every((limpet) => limpet.report().paths.length === 2));
    await bowls.until(() => bowls.limpets.every(isJoined));
    const [sender, between, listener] = await Promise.all(
      [near, middle, far].map((bus) => bowls.open(bus)),
    );
    if (sender === undefined || between === undefined || listener === undefined) throw new Error();
    for (const ksock of [between, listener]) await ksock.bind('$.Picture');
    await listener.bind(MISSED);
    const repliers = await Promise.all([middle, far].map((bus) => bowls.open(bus)));
    await repliers[0]?.replier('$.Middle', () => LARGE);
    await repliers[1]?.replier('$.Far', () => LARGE);
    for (const name of ['$.Middle', '$.Far']) await bowls.replier(sender, name);
    await sender.sendMsg(new Announcement('$.Picture', TOO_LARGE));
    expect((await next(between)).dataLength).toBe(TOO_LARGE.length);
    expect((await next(listener)).name).toBe(MISSED);
    expect((await sender.request('$.Middle', LARGE)).dataLength).toBe(LARGE.length);
    // Nobody at the far bus has heard that Request, and they are told.
    expect((await next(listener)).name).toBe(MISSED);
    await expect(sender.request('$.Far', LARGE)).rejects.toThrow('RemoteError.EMSGSIZE');
    await expect(sender.request('$.Far', 'small')).rejects.toThrow('RemoteError.EMSGSIZE');
  });
});

it.each([
  [
    { nats: 'nats://a', federation: 'plant', large: 'some' as 'pieces' },
    /pieces or refuse, not some/,
  ],
  [{ server: './a.sock', large: 'refuse' as const }, /large is for a link over NATS/],
])('refuses a setting that makes no sense: %j', async (link, why) => {
  await expect(bowls.limpet(1, new Bus(), [link])).rejects.toThrow(why);
});

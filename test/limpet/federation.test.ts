import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { decodePeerMessage, HEADER, PeerWire } from '../../src/limpet/federation/peer-wire.ts';
import type { LinkOptions } from '../../src/limpet/limpet.ts';
import { Announcement } from '../../src/message/message.ts';
import { FrameHost } from '../support/frame-host.ts';
import { Bowls, isJoined, next } from './bowls.ts';
import { certificate } from './certificate.ts';
import { HAS_NATS, MemoryEngine, NATS_SERVER, NatsServer } from './engines.ts';

let bowls: Bowls;
beforeEach(() => {
  bowls = new Bowls();
});
afterEach(() => bowls.end());

/** As many buses, each with a Limpet in the federation; waits until all are joined with all. */
async function joinAll(count: number, link: LinkOptions): Promise<Bus[]> {
  const buses = Array.from({ length: count }, (_, number) => new Bus({ number }));
  for (const [at, bus] of buses.entries()) await bowls.limpet(at + 1, bus, [link]);
  await allJoined(count);
  return buses;
}

const allJoined = (count: number): Promise<void> =>
  bowls.until(() =>
    bowls.limpets.every((limpet) => isJoined(limpet) && limpet.report().paths.length === count - 1),
  );

describe('a wire of a federation', () => {
  it('lets the other end go on when its reader pauses at each piece, without the clock', async () => {
    const ends: PeerWire[] = [];
    const toOther = (from: number) => ({
      maxPayload: 64 * 1024,
      publish: (bytes: Uint8Array) => {
        const message = decodePeerMessage(bytes);
        if (message !== null) ends[1 - from]?.received(message);
      },
      forget: () => {},
    });
    const [writer, reader] = [new PeerWire(1, toOther(0)), new PeerWire(1, toOther(1))];
    ends.push(writer, reader);
    let read = 0;
    reader.events = {
      received: (bytes) => {
        read += bytes.length;
        reader.pause();
      },
      drained: () => {},
      closed: () => {},
    };
    let drained = 0;
    writer.events = { received: () => {}, drained: () => drained++, closed: () => {} };
    const MEGABYTE = 1024 * 1024;
    writer.write(new Uint8Array(MEGABYTE));
    await new Promise((resolve) => setImmediate(resolve));
    expect(writer.backlog).toBe(MEGABYTE);
    while (read < MEGABYTE) reader.resume();
    reader.resume();
    expect(drained).toBe(1);
    expect(writer.backlog).toBeLessThan(64 * 1024);
  });

  it('ends a message where a frame does, if the next one does not fit', async () => {
    const published: number[] = [];
    const wire = new PeerWire(1, {
      maxPayload: HEADER + 100,
      publish: ({ length }) => published.push(length - HEADER),
      forget: () => {},
    });
    const bytes = (length: number): Uint8Array => new Uint8Array(length);
    wire.write(bytes(60));
    wire.write(bytes(10), bytes(40));
    wire.write(bytes(50));
    wire.write(bytes(30), bytes(250));
    wire.write(bytes(20), bytes(0));
    wire.flush();
    expect(published).toEqual([60, 100, 100, 100, 100]);
    expect(wire.backlog).toBe(460);
  });
});

describe('spec 3 §7: a link with many ends', () => {
  it('joins any number of buses: each hears each Announcement once, and asks each Replier', async () => {
    const { connect: engine } = new MemoryEngine();
    const buses = await joinAll(4, { engine, federation: 'plant' });
    const ksocks = await Promise.all(buses.map((bus) => bowls.open(bus)));
    for (const ksock of ksocks) await ksock.bind('$.Level');
    const replier = await bowls.open(buses[2] as Bus);
    await replier.replier('$.Ask', (request) => `${request.text()}!`);
    await ksocks[0]?.sendMsg(new Announcement('$.Level', '5'));
    await ksocks[0]?.sendMsg(new Announcement('$.Level', '6'));
    for (const ksock of ksocks) {
      expect((await next(ksock)).text()).toBe('5');
      expect((await next(ksock)).text()).toBe('6');
    }
    for (const ksock of [ksocks[0], ksocks[1], ksocks[3]]) {
      if (ksock === undefined) continue;
      await bowls.replier(ksock, '$.Ask');
      expect((await ksock.request('$.Ask', 'yes')).text()).toBe('yes!');
    }
    expect(bowls.limpets.map((limpet) => limpet.report().duplicates)).toEqual([0, 0, 0, 0]);
  });

  it('brings batches of Announcements as they are, wherever the engine leaves them in memory', async () => {
    const { connect: engine } = new MemoryEngine();
    const buses = [new Bus({ number: 0 }), new Bus({ number: 1 })] as const;
    for (const [at, bus] of buses.entries()) {
      const connect = new FrameHost().connectTo(bus);
      await bowls.limpet(at + 1, connect, [{ engine, federation: 'plant' }]);
    }
    await allJoined(2);
    const sender = await bowls.open(new FrameHost().connectTo(buses[0]));
    const listener = await bowls.open(buses[1]);
    await listener.bind('$.Batch.*');
    await listener.setMaxMessages(1000);
    const messages = Array.from({ length: 40 }, (_, round) =>
      Array.from({ length: 20 }, (_, at) => {
        const text = `${round}:${at}`.repeat((at * 7) % 13);
        return new Announcement(`$.Batch.Name${(round + (at >> 1)) % 9}`, text);
      }),
    );
    for (const some of messages) {
      await sender.sendAll(some);
      for (const { name, data } of some) {
        const heard = await next(listener);
        expect([heard.name, heard.data]).toEqual([name, data]);
        expect(String(heard.origFrom)).toBe(`(1,${sender.id})`);
      }
    }
  });

  it('tells a bus whose Limpet was away how much it has missed', async () => {
    const { connect: engine } = new MemoryEngine();
    const link = { engine, federation: 'plant' };
    const [near, far] = (await joinAll(2, link)) as [Bus, Bus];
    const [sender, listener] = [await bowls.open(near), await bowls.open(far)];
    await listener.bind('$.Level');
    await listener.bind('$.KBUS.Limpet.Missed');
    await sender.sendMsg(new Announcement('$.Level', 'heard'));
    expect((await next(listener)).text()).toBe('heard');
    await bowls.limpets.pop()?.stop();
    for (let at = 0; at < 3; at++) await sender.sendMsg(new Announcement('$.Level', 'missed'));
    await bowls.until(() => bowls.limpets[0]?.report().paths.length === 0);
    await bowls.limpet(2, far, [link]);
    const missed = await next(listener);
    expect(`${missed.name} ${missed.text()} ${missed.origFrom}`).toBe(
      '$.KBUS.Limpet.Missed 3 (1,0)',
    );
    await allJoined(2);
    await sender.sendMsg(new Announcement('$.Level', 'heard again'));
    expect((await next(listener)).text()).toBe('heard again');
  });

  it('goes on where it broke when the engine loses a message: nothing is missing, and nothing comes twice', async () => {
    const memory = new MemoryEngine();
    const [one, other] = await joinAll(2, { engine: memory.connect, federation: 'plant' });
    const sender = await bowls.open(one as Bus);
    const listener = await bowls.open(other as Bus);
    await listener.setMaxMessages(1000);
    await listener.bind('$.Count');
    let sent = 0;
    let lost = 0;
    memory.lose = (subject) => {
      if (!subject.endsWith('.2.1') || ++sent % 40 !== 0) return false;
      lost++;
      return true;
    };
    for (let at = 0; at < 300; at++) {
      await sender.sendMsg(new Announcement('$.Count', String(at)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let at = 0; at < 300; at++) expect((await next(listener)).text()).toBe(String(at));
    expect(lost).toBeGreaterThan(0);
    expect(bowls.events.some(({ text }) => /messages were lost on the way/.test(text))).toBe(true);
  });

  it('a Request on its way when the engine is lost gets LinkLost, and one after that EADDRNOTAVAIL', async () => {
    const memory = new MemoryEngine();
    const [one, other] = await joinAll(2, { engine: memory.connect, federation: 'plant' });
    const asker = await bowls.open(one as Bus);
    const replier = await bowls.open(other as Bus);
    await replier.bind('$.Ask', true);
    await bowls.replier(asker, '$.Ask');
    const asked = asker.request('$.Ask', 'now?').catch((error: Error) => error);
    await next(replier);
    memory.stop();
    expect(String(await asked)).toContain('$.KBUS.Limpet.LinkLost');
    await bowls.until(async () => (await asker.findReplier('$.Ask')) === null);
    await expect(asker.request('$.Ask', 'now?')).rejects.toThrow(/EADDRNOTAVAIL/);
    memory.start();
    await bowls.replier(asker, '$.Ask');
  });

  it('keeps what is announced while the engine is away', async () => {
    const memory = new MemoryEngine();
    const [one, other] = await joinAll(2, { engine: memory.connect, federation: 'plant' });
    const sender = await bowls.open(one as Bus);
    const listener = await bowls.open(other as Bus);
    await listener.bind('$.Level');
    memory.stop();
    await sender.sendMsg(new Announcement('$.Level', 'while it was away'));
    memory.start();
    expect((await next(listener)).text()).toBe('while it was away');
  });

  it('sends an answer to the bus that asked, and not to the others', async () => {
    const memory = new MemoryEngine();
    const [one, two] = await joinAll(3, { engine: memory.connect, federation: 'plant' });
    const asker = await bowls.open(one as Bus);
    const replier = await bowls.open(two as Bus);
    await replier.replier('$.Ask', () => 'yes');
    await bowls.replier(asker, '$.Ask');
    const before = memory.published.length;
    for (let at = 0; at < 50; at++) await asker.request('$.Ask', 'well?');
    const sent = memory.published.slice(before);
    const to = (subject: string): number => sent.filter((each) => each.subject === subject).length;
    expect(to('kbus.plant.to.1.2')).toBeGreaterThanOrEqual(50);
    expect(to('kbus.plant.to.3.2')).toBeLessThan(10);
  });

  it('sends a Request to the bus of its Replier at once, and to the listeners of others with the next ones', async () => {
    const memory = new MemoryEngine();
    const [one, two, three] = await joinAll(3, { engine: memory.connect, federation: 'plant' });
    const asker = await bowls.open(one as Bus);
    const replier = await bowls.open(two as Bus);
    const listener = await bowls.open(three as Bus);
    await listener.setMaxMessages(1000);
    await listener.bind('$.Ask');
    await replier.replier('$.Ask', () => 'yes');
    await bowls.replier(asker, '$.Ask');
    const before = memory.published.length;
    for (let at = 0; at < 200; at++) await asker.request('$.Ask', String(at));
    for (let at = 0; at < 200; at++) expect((await next(listener)).text()).toBe(String(at));
    const to = (subject: string): number =>
      memory.published.slice(before).filter((each) => each.subject === subject).length;
    expect(to('kbus.plant.to.2.1')).toBeGreaterThanOrEqual(200);
    expect(to('kbus.plant.to.3.1')).toBeLessThan(150);
  });

  it('cuts what is longer than the engine carries into pieces', async () => {
    const memory = new MemoryEngine();
    memory.maxPayload = 1000;
    const [one, other] = await joinAll(2, { engine: memory.connect, federation: 'plant' });
    const sender = await bowls.open(one as Bus);
    const listener = await bowls.open(other as Bus);
    await listener.bind('$.Picture');
    const picture = Buffer.alloc(300_000, 'kbus');
    await sender.sendMsg(new Announcement('$.Picture', picture));
    expect(Buffer.compare((await next(listener)).data, picture)).toBe(0);
    expect(Math.max(...memory.published.map(({ length }) => length))).toBeLessThanOrEqual(1000);
  });

  it('sends no faster than the slowest Limpet reads: its window bounds what is on the way', async () => {
    const memory = new MemoryEngine();
    const [one] = await joinAll(2, { engine: memory.connect, federation: 'plant' });
    const sender = await bowls.open(one as Bus);
    // The other Limpet hears nothing more, as if it were stopped.
    memory.lose = (subject) => subject.endsWith('.1.2');
    const before = memory.published.length;
    const data = Buffer.alloc(64 * 1024);
    for (let at = 0; at < 100; at++) {
      await sender.sendMsg(new Announcement('$.Fast', data));
      await new Promise((resolve) => setImmediate(resolve));
    }
    let onTheWay = 0;
    for (const { length } of memory.published.slice(before)) onTheWay += length;
    expect(onTheWay).toBeLessThan(2 * 1024 * 1024);
  });

  it('two Limpets of one bus are not joined through the engine, and one stands by', async () => {
    const { connect: engine } = new MemoryEngine();
    const link = { engine, federation: 'plant' };
    const [one] = await joinAll(2, link);
    const third = await bowls.limpet(3, one as Bus, [link]);
    await bowls.until(() => third.report().links.some(({ kind }) => kind === 'sibling'));
    await bowls.until(() => third.report().paths.length === 2);
    expect(third.report().isSpeaker).toBe(false);
    const listener = await bowls.open(one as Bus);
    await listener.bind('$.Level');
    const sender = await bowls.open(one as Bus);
    await sender.sendMsg(new Announcement('$.Level', 'once'));
    expect((await next(listener)).text()).toBe('once');
    expect(await listener.numMessages()).toBe(0);
  });

  it('warns when two Limpets of a federation have one id', async () => {
    const { connect: engine } = new MemoryEngine();
    await bowls.limpet(1, new Bus(), [{ engine, federation: 'plant' }]);
    await bowls.limpet(1, new Bus(), [{ engine, federation: 'plant' }]);
    const { text } = await bowls.event(/also has the network id 1/);
    expect(text).toContain('give one of them another --id');
    // Both say so: whoever has come last hears of it at once.
    await bowls.until(() => bowls.events.filter((event) => event.text === text).length === 2);
  });

  it('federations of other names stay apart', async () => {
    const { connect: engine } = new MemoryEngine();
    await joinAll(2, { engine, federation: 'plant' });
    const other = await bowls.limpet(3, new Bus(), [{ engine, federation: 'lab' }]);
    await bowls.until(() => other.report().links[0]?.state === 'waiting');
    await bowls.until(() => bowls.limpets.slice(0, 2).every(isJoined));
    expect(other.report().paths).toEqual([]);
  });

  it.each([
    [{ nats: 'nats://a:4222' }, /a federation needs a name/],
    [{ nats: 'nats://a:4222', federation: 'a.b' }, /'a\.b' is no name of a federation/],
    [{ federation: 'plant' }, /one of them/],
    [{ nats: 'nats//127.0.0.1:4222', federation: 'plant' }, /give nats:\/\/host:4222/],
    [{ nats: 'nats://', federation: 'plant' }, /give nats:\/\/host:4222/],
    [{ nats: 'http://a', federation: 'plant' }, /begins with nats:\/\/ or tls:\/\//],
    [{ nats: 'nats://a:4222', client: '/a', federation: 'plant' }, /one of them/],
    [{ nats: 'nats://a:4222', federation: 'plant', classic: true }, /classic/],
    [{ nats: 'nats://a:4222', federation: 'plant', cert: 'a.pem' }, /needs its key/],
  ])('says what is wrong with %o', async (link, says) => {
    await expect(bowls.limpet(1, new Bus(), [link])).rejects.toThrow(says);
  });
});

describe.skipIf(!HAS_NATS)(`over a server: ${NATS_SERVER}`, () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await NatsServer.start();
  });
  afterEach(() => server.end());

  it('three buses keep their promises while the server is killed and comes back', async () => {
    const buses = await joinAll(3, { nats: server.url, federation: 'plant' });
    const [one, two, three] = await Promise.all(buses.map((bus) => bowls.open(bus)));
    if (one === undefined || two === undefined || three === undefined) return;
    await three.bind('$.Level');
    await two.bind('$.Ask', true);
    await bowls.replier(one, '$.Ask');
    const asked = one.request('$.Ask', 'now?').catch((error: Error) => error);
    await next(two);
    await server.kill();
    expect(String(await asked)).toContain('$.KBUS.Limpet.LinkLost');
    await bowls.until(async () => (await one.findReplier('$.Ask')) === null);
    await one.sendMsg(new Announcement('$.Level', 'while it was away'));
    await server.start();
    expect((await next(three)).text()).toBe('while it was away');
    await bowls.replier(one, '$.Ask');
    await two.unbind('$.Ask', true);
    await bowls.until(async () => (await one.findReplier('$.Ask')) === null);
    await two.replier('$.Ask', () => 'here again');
    await bowls.replier(one, '$.Ask');
    expect((await one.request('$.Ask', 'now?')).text()).toBe('here again');
  });

  it('connects when a server comes later, and says meanwhile that it is not in reach', async () => {
    await server.kill();
    const limpet = await bowls.limpet(1, new Bus(), [{ nats: server.url, federation: 'plant' }]);
    await bowls.event(/can't connect to NATS at 127\.0\.0\.1:\d+/);
    expect(limpet.report().links).toMatchObject([{ state: 'lost' }]);
    await server.start();
    await bowls.event(/the engine is in reach/);
    expect(limpet.report().links).toMatchObject([{ state: 'waiting' }]);
  });

  it('says that the server does not accept its credentials', async () => {
    await server.kill();
    await server.start('authorization { user: gulp, password: secret }');
    await bowls.limpet(1, new Bus(), [{ nats: server.url, federation: 'plant' }]);
    const event = await bowls.event(/does not accept these credentials/);
    expect(event.isFinal).toBe(true);
    const url = server.url.replace('nats://', 'nats://gulp:secret@');
    await bowls.limpet(2, new Bus(), [{ nats: url, federation: 'plant' }]);
    await bowls.event(/the engine is in reach/);
  });

  it('with the permissions of docs/machines.md, a bus can only speak for itself', async () => {
    const page = readFileSync(new URL('../../docs/machines.md', import.meta.url), 'utf8');
    const [, config = ''] = /```text\n(authorization \{[\s\S]*?)```/.exec(page) ?? [];
    expect(config).toContain('plant');
    await server.kill();
    await server.start(config);
    const urlOf = (user: string): string =>
      server.url.replace('nats://', `nats://${user}:${user}-password@`);
    await bowls.limpet(1, new Bus(), [{ nats: urlOf('boiler'), federation: 'plant' }]);
    await bowls.limpet(2, new Bus(), [{ nats: urlOf('office'), federation: 'plant' }]);
    await allJoined(2);
    // The office says that it is Limpet 1.
    await bowls.limpet(1, new Bus(), [{ nats: urlOf('office'), federation: 'plant' }]);
    await bowls.event(
      /does not allow this Limpet to publish on kbus\.plant\.hello\.1: .*permissions/,
    );
    await bowls.event(/does not allow this Limpet to subscribe to kbus\.plant\.to\.1\.\*/);
  });

  it('the permissions of docs/machines.md let a program of the office do nothing else', async () => {
    const page = readFileSync(new URL('../../docs/machines.md', import.meta.url), 'utf8');
    const [, config = ''] =
      /```text\n(jetstream \{\}\nauthorization \{[\s\S]*?)```/.exec(page) ?? [];
    expect(config).toContain('plant');
    await server.kill();
    await server.start(config.replace('jetstream {}\n', server.jetStream));
    const { connect } = await import('@nats-io/transport-node');
    const options = { servers: server.url.replace('nats://', ''), pass: 'office-password' };
    const office = await connect({ ...options, user: 'office', maxReconnectAttempts: 0 });
    const refused: string[] = [];
    const statuses = office.status();
    void (async () => {
      for await (const status of statuses) {
        if (status.type === 'error') refused.push(status.error.message);
      }
    })();
    const may = [
      'kbus.plant.hello.2',
      'kbus.plant.to.1.2',
      'kbus.plant.to.9.2',
      'kbus.plant.stream.2',
    ];
    const mayNot = [
      'kbus.plant.hello.1',
      'kbus.plant.to.2.1',
      'kbus.plant.to.9.1',
      'kbus.plant.stream.1',
      'kbus.plant.answer.1.x',
      'kbus.other.hello.2',
      '$JS.API.STREAM.CREATE.KBUS_plant',
      '$JS.API.STREAM.DELETE.KBUS_plant',
      '$JS.API.STREAM.PURGE.KBUS_plant',
      '$JS.API.STREAM.MSG.DELETE.KBUS_plant',
      'anything',
    ];
    for (const subject of [...may, ...mayNot]) office.publish(subject, 'x');
    const mayHear = ['kbus.plant.hello.*', 'kbus.plant.to.2.*', 'kbus.plant.answer.2.>'];
    const mayNotHear = ['kbus.plant.to.1.*', 'kbus.plant.to.*.2', 'kbus.plant.answer.1.>', '>'];
    for (const subject of [...mayHear, ...mayNotHear]) {
      office.subscribe(subject, { callback: () => {} });
    }
    await office.flush();
    const isRefused = (subject: string): boolean =>
      refused.some((text) => text.includes(`"${subject}"`));
    const all = [...may, ...mayHear, ...mayNot, ...mayNotHear];
    await bowls.until(() => [...mayNot, ...mayNotHear].every(isRefused));
    expect(all.filter(isRefused)).toEqual([...mayNot, ...mayNotHear]);
    await office.close();
  });

  it('joins over TLS, and refuses a server that it does not trust', async () => {
    const { cert, key, ca } = certificate(bowls.folder);
    await server.kill();
    await server.start(`tls { cert_file: "${cert}", key_file: "${key}" }`);
    const url = server.url.replace('nats://127.0.0.1', 'tls://localhost');
    await joinAll(2, { nats: url, federation: 'plant', ca });
    await bowls.limpet(3, new Bus(), [{ nats: url, federation: 'plant' }]);
    await bowls.event(/can't connect to NATS at localhost:\d+: .*certificate.*--ca/);
  });

  it('checks over TLS that the certificate is for the address that was given', async () => {
    const restart = async (names: string): Promise<LinkOptions> => {
      const { cert, key, ca } = certificate(bowls.folder, names);
      await server.kill();
      await server.start(`tls { cert_file: "${cert}", key_file: "${key}" }`);
      return { nats: server.url.replace('nats://', 'tls://'), federation: 'plant', ca };
    };
    await joinAll(2, await restart('IP:127.0.0.1'));
    await bowls.limpet(3, new Bus(), [await restart('DNS:localhost')]);
    await bowls.event(/can't connect to NATS at 127\.0\.0\.1:\d+: .*is not for this address/);
  });

  it.each([
    [{ credentials: 'bad.key' }, /bad\.key holds no credentials as nsc makes them/],
    [{ nkey: 'bad.key' }, /bad\.key holds no seed of an nkey/],
    [{ credentials: 'none.key' }, /can't read .*none\.key/],
    [{ ca: 'none.key' }, /can't read .*none\.key/],
  ])('says at once what is wrong with the file of %o', async (option, says) => {
    writeFileSync(join(bowls.folder, 'bad.key'), 'garbage');
    const files = Object.entries(option).map(([key, file]) => [key, join(bowls.folder, file)]);
    const link = { nats: server.url, federation: 'plant', ...Object.fromEntries(files) };
    await bowls.limpet(1, new Bus(), [link]);
    const event = await bowls.event(says);
    expect(event.isFinal).toBe(true);
  });
});

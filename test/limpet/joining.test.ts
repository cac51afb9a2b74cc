import { chmodSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../harness/nats-server.mjs';
import { Bus } from '../../src/bus/bus.ts';
import { LinkProxy } from '../../src/cli/link-proxy.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import { observe } from '../../src/client/observe.ts';
import { Limpet } from '../../src/limpet/limpet.ts';
import { encodeClassic, encodeGreeting } from '../../src/limpet/link/classic-codec.ts';
import { ClientPlace } from '../../src/limpet/socket-places.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Message, Request, replyTo } from '../../src/message/message.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { Bowls, isJoined, LINK_KINDS, type LinkKind, next } from './bowls.ts';
import { certificate } from './certificate.ts';

const NATIVE = LINK_KINDS.find(
  ({ name }) => name === 'a native link over a Unix socket',
) as LinkKind;

let bowls: Bowls;
beforeEach(() => {
  bowls = new Bowls();
});
afterEach(() => bowls.end());

const at = (name: string): string => join(bowls.folder, name);

/** Waits until the Limpet has paths to so many others, all of them ready. */
async function reaches(limpet: Limpet, count: number): Promise<void> {
  await bowls.until(() => {
    const { paths } = limpet.report();
    return paths.length === count && paths.every(({ isReady }) => isReady);
  });
}

describe('spec 3 §1: what a Limpet is', () => {
  it('refuses a network id of 0, and says what to do', () => {
    expect(() => new Limpet({ id: 0, links: [] })).toThrow(/from 1 to 4294967295, not 0: each/);
  });

  it('refuses a network id that another Limpet of the bus has', async () => {
    const bus = new Bus();
    await bowls.limpet(1, bus, []);
    await expect(bowls.limpet(1, bus, [])).rejects.toThrow(
      /id 1 is on bus 0 already: .*another --id/,
    );
  });
});

describe('spec 3 §1: the Ksock of a Limpet', () => {
  it('reads and writes, hears each message once, and all names or those it was given', async () => {
    const bus = new Bus();
    const ksock = await bowls.open(bus);
    expect(await ksock.reportReplierBinds()).toBe(false);
    await bowls.limpet(1, bus, [], { names: ['$.A.*', '$.B'] });
    await bowls.until(() => ksock.reportReplierBinds());
    const view = new BusView();
    for await (const event of await observe(bus)) {
      view.apply(event);
      if (view.isComplete) break;
    }
    const of = [...view.ksocks.values()].filter(({ ksock: id }) => id !== ksock.id);
    expect(of.map(({ mode, once }) => [mode, once])).toEqual([['rw', true]]);
    const heard = [...view.bindings.values()].filter(({ replier }) => !replier);
    const names = heard.map(({ name }) => name).filter((name) => !name.startsWith('$.KBUS'));
    expect(names.sort()).toEqual(['$.A.*', '$.B']);
  });
});

describe('spec 3 §5: the classic link', () => {
  it('spec 3 §5.1: refuses a partner whose id equals its own', async () => {
    await bowls.limpet(1, new Bus(), [{ server: at('a') }]);
    await bowls.limpet(1, new Bus(), [{ client: at('a') }]);
    const event = await bowls.event(/both Limpets have the network id 1/);
    expect(event.text).toContain('give one of them another --id');
    await bowls.limpet(7, new Bus(), [{ server: at('b'), classic: true }]);
    await bowls.limpet(7, new Bus(), [{ client: at('b'), classic: true }]);
    await bowls.event(/both Limpets have the network id 7/);
  });

  it('spec 3 §7: a server recognises a classic Limpet by its HELO, and sends its own greeting', async () => {
    const bus = new Bus();
    await bowls.limpet(1, bus, [{ server: at('a') }]);
    const listener = await bowls.open(bus);
    await listener.bind('$.Gulp');
    const socket = connect({ path: at('a') });
    const received = new Promise<Buffer>((resolve) => socket.once('data', resolve));
    socket.write(encodeGreeting(9));
    expect((await received).toString('hex')).toBe('48454c4f00000001');
    const sent = new Announcement('$.Gulp', 'hi', { id: new MessageId(9, 5) });
    expect(Buffer.from(encodeClassic(sent)).toString('hex')).toBe(
      '7375624b0000000900000005000000000000000000000000000000000000000000000000000000000000000000000000000000000000000600000002' +
        '4b627573242e47756c70000068690000' +
        '4b627573',
    );
    socket.write(encodeClassic(sent));
    const heard = await next(listener);
    expect([String(heard.id), heard.text()]).toEqual(['[9:5]', 'hi']);
    socket.destroy();
  });

  it('a native client that meets a classic server says so, and a classic one that meets a native', async () => {
    await bowls.limpet(1, new Bus(), [{ server: at('a'), classic: true }]);
    await bowls.limpet(2, new Bus(), [{ client: at('a') }]);
    await bowls.event(/the other Limpet is a classic one: start this one with --classic/);
  });

  it('spec 3 §8: a forged bind event, or one with short data, binds nothing', async () => {
    const bus = new Bus();
    await bowls.limpet(1, bus, [{ server: at('a') }]);
    const ksock = await bowls.open(bus);
    const socket = connect({ path: at('a') });
    socket.write(encodeGreeting(9));
    const name = '$.KBUS.ReplierBindEvent';
    const id = new MessageId(9, 1);
    socket.write(
      encodeClassic(new Message(name, new Uint8Array(3), { id, flags: Flag.SYNTHETIC })),
    );
    const data = Uint8Array.from([1, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0x24, 0x2e, 0x51, 0]);
    socket.write(encodeClassic(new Message(name, data, { id, from: 4 })));
    await ksock.bind('$.After');
    socket.write(encodeClassic(new Announcement('$.After', '', { id: new MessageId(9, 2) })));
    await next(ksock);
    expect(await ksock.findReplier('$.Q')).toBe(null);
    socket.write(encodeClassic(new Message(name, data, { id, flags: Flag.SYNTHETIC })));
    await bowls.replier(ksock, '$.Q');
    socket.destroy();
    await bowls.until(async () => (await ksock.findReplier('$.Q')) === null);
  });

  it('spec 3 §8: an answer with a bad name becomes a RemoteError of the right Request', async () => {
    const bus = new Bus();
    await bowls.limpet(1, bus, [{ server: at('a') }]);
    const asker = await bowls.open(bus);
    const socket: Socket = connect({ path: at('a') });
    socket.write(encodeGreeting(9));
    const data = Uint8Array.from([1, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0x24, 0x2e, 0x51, 0]);
    const flags = Flag.SYNTHETIC;
    socket.write(encodeClassic(new Message('$.KBUS.ReplierBindEvent', data, { flags })));
    await bowls.replier(asker, '$.Q');
    const id = await asker.sendMsg(new Request('$.Q'));
    const inReplyTo = new MessageId(1, id.serialNum);
    socket.write(encodeClassic(new Message('$.KBUS.Bad Name', null, { inReplyTo })));
    expect((await next(asker)).name).toBe('$.KBUS.RemoteError.EBADMSG');
    await asker.sendMsg(new Request('$.Q'));
    socket.destroy();
    expect((await next(asker)).name).toBe('$.KBUS.Limpet.LinkLost');
  });

  it('spec 3 §7.1: a message that comes back over a classic link is dropped, with a warning', async () => {
    const bus = new Bus();
    const limpet = await bowls.limpet(1, bus, [{ server: at('a') }]);
    const listener = await bowls.open(bus);
    await listener.bind('$.*');
    const socket = connect({ path: at('a') });
    socket.write(encodeGreeting(9));
    const sent = encodeClassic(new Announcement('$.Round', '', { id: new MessageId(9, 5) }));
    socket.write(sent);
    socket.write(sent);
    await bowls.event(/came back over the classic link to Limpet 9/);
    expect(limpet.report().links[0]?.duplicates).toBe(1);
    socket.destroy();
  });
});

describe('spec 3 §7.1: any topology', () => {
  it('a ring of three buses delivers each message once, and goes on when a link is lost', async () => {
    const buses = [new Bus(), new Bus(), new Bus()];
    const [x, y, z] = buses as [Bus, Bus, Bus];
    const a = await bowls.limpet(1, x, [{ server: at('ab') }, { server: at('ca') }]);
    const proxy = new LinkProxy(at('proxy'), at('ab'));
    await proxy.open();
    const b = await bowls.limpet(2, y, [{ client: proxy.path }, { server: at('bc') }]);
    const c = await bowls.limpet(3, z, [{ client: at('bc') }, { client: at('ca') }]);
    for (const limpet of [a, b, c]) await reaches(limpet, 2);
    const sender = await bowls.open(x);
    const listeners = await Promise.all(buses.map((bus) => bowls.open(bus)));
    for (const listener of listeners) await listener.bind('$.N');
    for (let n = 0; n < 300; n++) {
      sender.post(new Announcement('$.N', String(n)));
      if (n === 150) proxy.cut();
      if (n % 10 === 0) await sender.flush();
    }
    await sender.flush();
    for (const listener of listeners) {
      for (let n = 0; n < 300; n++) expect((await next(listener)).text()).toBe(String(n));
      expect(await listener.numMessages()).toBe(0);
    }
    proxy.close();
  });

  it('a bus is never joined to itself', async () => {
    const bus = new Bus();
    await bowls.limpet(1, bus, [{ server: at('a') }]);
    await bowls.limpet(2, bus, [{ client: at('a') }]);
    const event = await bowls.event(/are on the same bus, which can't be joined with itself/);
    expect([event.isFinal, event.text]).toEqual([true, expect.stringContaining('another --bus')]);
  });

  it('two Limpets of a bus join three bowls in a row, and the second speaks when the first dies', async () => {
    const buses = [new Bus(), new Bus(), new Bus()];
    const [x, y, z] = buses as [Bus, Bus, Bus];
    const first = await bowls.limpet(1, x, [{ server: at('a') }]);
    const left = await bowls.limpet(2, y, [{ client: at('a') }]);
    const right = await bowls.limpet(3, y, [{ server: at('b') }]);
    const last = await bowls.limpet(4, z, [{ client: at('b') }]);
    for (const limpet of [first, left, right, last]) await reaches(limpet, 3);
    expect([left.report().isSpeaker, right.report().isSpeaker]).toEqual([true, false]);
    const [g, middle, a] = (await Promise.all(buses.map((bus) => bowls.open(bus)))) as [
      Ksock,
      Ksock,
      Ksock,
    ];
    await middle.bind('$.*');
    await g.replier('$.Gulp', (request) => request.text());
    await bowls.replier(a, '$.Gulp');
    expect((await a.request('$.Gulp', 'through two')).text()).toBe('through two');
    expect((await next(middle)).text()).toBe('through two');
    await left.stop();
    await bowls.until(() => right.report().isSpeaker);
    await reaches(last, 1);
    await a.sendMsg(new Announcement('$.Still', 'here'));
    for (;;) if ((await next(middle)).text() === 'here') break;
  });
});

describe('spec 3 §7.1: links that are doubled', () => {
  it('one carries, the other stands by, and takes over when the first is lost', async () => {
    const [x, y] = [new Bus(), new Bus()];
    const proxy = new LinkProxy(at('proxy'), at('one'));
    await proxy.open();
    const a = await bowls.limpet(1, x, [{ server: at('one') }, { server: at('two') }]);
    const b = await bowls.limpet(2, y, [{ client: proxy.path }, { client: at('two') }]);
    const states = () => b.report().links.map(({ state }) => state);
    await bowls.until(() => isJoined(a) && isJoined(b) && !states().includes('greeting'));
    await bowls.until(() => states().sort().join() === 'standby,up');
    const [near, far] = [await bowls.open(x), await bowls.open(y)];
    await far.bind('$.N');
    for (let n = 0; n < 40; n++) {
      if (n === 20) proxy.cut();
      await near.sendMsg(new Announcement('$.N', String(n)));
    }
    for (let n = 0; n < 40; n++) expect((await next(far)).text()).toBe(String(n));
    expect([await far.numMessages(), states().includes('up')]).toEqual([0, true]);
    proxy.close();
  });
});

describe('spec 3 §7.4: several Repliers', () => {
  it('a bus asks the one over the fewest links, and the next one when that is gone', async () => {
    const [x, y, z] = [new Bus(), new Bus(), new Bus()];
    // Both are there before the buses are joined: then no proxy has the name.
    const [asker, near, far] = [await bowls.open(x), await bowls.open(y), await bowls.open(z)];
    await far.replier('$.Q', () => 'far');
    await near.replier('$.Q', () => 'near');
    const a = await bowls.limpet(1, x, [{ server: at('xy') }]);
    await bowls.limpet(2, y, [{ client: at('xy') }, { server: at('yz') }]);
    await bowls.limpet(3, z, [{ client: at('yz') }]);
    await reaches(a, 2);
    await bowls.until(() => a.report().paths.every(({ repliers }) => repliers === 1));
    expect((await asker.request('$.Q')).text()).toBe('near');
    await near.close();
    await bowls.until(async () => {
      const answer = await asker.request('$.Q').catch(() => null);
      return answer?.text() === 'far';
    });
  });

  it('of those over as many links, it asks the one of the smallest network id', async () => {
    const middle = new Bus();
    const hub = await bowls.limpet(4, middle, [{ server: at('hub') }]);
    const asker = await bowls.open(middle);
    for (const id of [9, 3, 7]) {
      const bus = new Bus();
      await bowls.limpet(id, bus, [{ client: at('hub') }]);
      await (await bowls.open(bus)).replier('$.Q', () => String(id));
    }
    await reaches(hub, 3);
    await bowls.until(() => hub.report().paths.every(({ repliers }) => repliers === 1));
    for (let n = 0; n < 3; n++) expect((await asker.request('$.Q')).text()).toBe('3');
  });
});

describe('spec 3 §7.3, spec 3 §7.5: lost links', () => {
  it('a client that finds nobody waits longer and longer, each time by chance', () => {
    const delays: number[] = [];
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((_: unknown, delay: number) => {
      delays.push(delay);
    }) as never);
    try {
      const place = new ClientPlace(0, { client: at('nobody') }, { tell() {} } as never);
      for (let attempt = 0; attempt < 12; attempt++) place.lost('nobody is there', false);
    } finally {
      vi.restoreAllMocks();
    }
    let longest = 200;
    for (const delay of delays) {
      expect(delay).toBeGreaterThan(longest / 2 - 1);
      expect(delay).toBeLessThanOrEqual(longest);
      longest = Math.min(longest * 2, 10_000);
    }
    expect(delays.length).toBe(12);
  });

  async function joined(buffer?: number) {
    const [x, y] = [new Bus(), new Bus()];
    const a = await bowls.limpet(1, x, [{ server: at('a') }], { buffer });
    const proxy = new LinkProxy(at('proxy'), at('a'));
    await proxy.open();
    const b = await bowls.limpet(2, y, [{ client: proxy.path }]);
    await bowls.until(() => isJoined(a) && isJoined(b));
    return { a, b, proxy, near: await bowls.open(x), far: await bowls.open(y) };
  }

  it('a Request under way gets $.KBUS.Limpet.LinkLost, and its late Reply is dropped', async () => {
    const { a, proxy, near, far } = await joined();
    await far.bind('$.Q', true);
    await bowls.replier(near, '$.Q');
    await near.sendMsg(new Request('$.Q'));
    const asked = await next(far);
    proxy.cut();
    expect((await next(near)).name).toBe('$.KBUS.Limpet.LinkLost');
    await bowls.until(async () => (await near.findReplier('$.Q')) === null);
    await far.sendMsg(replyTo(asked, 'late'));
    proxy.mend();
    await bowls.until(() => a.report().late === 1);
    expect(await near.numMessages()).toBe(0);
    proxy.close();
  });

  it('Announcements are kept while the link is lost, and heard in order when it is back', async () => {
    const { a, proxy, near, far } = await joined();
    await far.bind('$.N');
    proxy.cut();
    await bowls.until(() => a.report().paths.length === 0);
    for (let n = 0; n < 50; n++) await near.sendMsg(new Announcement('$.N', String(n)));
    proxy.mend();
    for (let n = 0; n < 50; n++) expect((await next(far)).text()).toBe(String(n));
    proxy.close();
  });

  it('the far bus hears $.KBUS.Limpet.Missed with the number of those that were not kept', async () => {
    const { a, proxy, near, far } = await joined(0);
    await far.bind('$.*');
    proxy.cut();
    await bowls.until(() => a.report().paths.length === 0);
    for (let n = 0; n < 50; n++) await near.sendMsg(new Announcement('$.N', String(n)));
    await bowls.until(() => a.report().missed === 50);
    proxy.mend();
    const missed = await next(far);
    expect([missed.name, missed.text()]).toEqual(['$.KBUS.Limpet.Missed', '50']);
    proxy.close();
  });

  it('reconnects when the first attempt fails: the other Limpet starts later', async () => {
    const [x, y] = [new Bus(), new Bus()];
    const b = await bowls.limpet(2, y, [{ client: at('a') }]);
    await bowls.event(/ENOENT/);
    const a = await bowls.limpet(1, x, [{ server: at('a') }]);
    await bowls.until(() => isJoined(a) && isJoined(b));
  });
});

describe('spec 3 §7.6: the queue of the Limpet itself', () => {
  it('is bounded in bytes; what it misses is counted, and the far bus hears of it', async () => {
    const [x, y] = [new Bus({ maxQueuedBytesPerKsock: 100_000 }), new Bus()];
    await bowls.join(x, y, NATIVE);
    const [a] = bowls.limpets as [Limpet];
    const [near, far] = [await bowls.open(x), await bowls.open(y)];
    await far.bind('$.*');
    // In one turn of the event loop, in which the Limpet reads nothing.
    for (let n = 0; n < 300; n++) near.post(new Announcement('$.N', new Uint8Array(1000)));
    await near.flush();
    let [heard, missed] = [0, 0];
    while (heard + missed < 300) {
      const message = await next(far);
      if (message.name === '$.N') heard++;
      else if (message.name === '$.KBUS.Limpet.Missed') missed += Number(message.text());
    }
    expect(missed).toBeGreaterThan(100);
    expect([heard + missed, a.report().missed]).toEqual([300, missed]);
  });
});

describe('spec 3 §7.7: filters', () => {
  it('each direction has filters, of several wildcards each', async () => {
    const [x, y] = [new Bus(), new Bus()];
    const out = ['$.A.*', '$.B'];
    const a = await bowls.limpet(1, x, [{ server: at('a'), out, in: ['$.C', '$.Ask.%'] }]);
    const b = await bowls.limpet(2, y, [{ client: at('a') }]);
    await bowls.until(() => isJoined(a) && isJoined(b));
    const [near, far] = [await bowls.open(x), await bowls.open(y)];
    await near.bind('$.*');
    await far.bind('$.*');
    await near.replier('$.Ask.*', () => 'answered');
    await bowls.replier(far, '$.Ask.%');
    for (const name of ['$.A.x', '$.X', '$.B', '$.C']) await near.sendMsg(new Announcement(name));
    expect([(await next(far)).name, (await next(far)).name]).toEqual(['$.A.x', '$.B']);
    const other = await bowls.open(y);
    for (const name of ['$.A.x', '$.C']) await other.sendMsg(new Announcement(name));
    expect((await other.request('$.Ask.me')).text()).toBe('answered');
    await expect(other.request('$.Ask.me.more')).rejects.toThrow(/nobody replies/);
  });
});

describe('spec 3 §7.8: nobody uninvited', () => {
  const key = (name: string, text: string, mode = 0o600): string => {
    writeFileSync(at(name), text);
    chmodSync(at(name), mode);
    return at(name);
  };

  it('TCP with a key file that both ends share', async () => {
    const keyFile = key('key', 'ab'.repeat(32));
    const address = `127.0.0.1:${await freePort()}`;
    const a = await bowls.limpet(1, new Bus(), [{ server: address, keyFile }]);
    const b = await bowls.limpet(2, new Bus(), [{ client: address, keyFile }]);
    await bowls.until(() => isJoined(a) && isJoined(b));
  });

  it('a wrong key ends the link, with a line that says so, and nothing else', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const a = await bowls.limpet(1, new Bus(), [
      { server: address, keyFile: key('one', 'ab'.repeat(32)) },
    ]);
    await bowls.limpet(2, new Bus(), [{ client: address, keyFile: key('two', 'cd'.repeat(32)) }]);
    await bowls.event(/a peer could not connect/);
    expect(a.report().links.map(({ state }) => state)).toEqual(['waiting']);
  });

  it('a link whose other end stops is lost for a while, not for good', async () => {
    const link = at('link');
    const a = await bowls.limpet(1, new Bus(), [{ server: link }]);
    const b = await bowls.limpet(2, new Bus(), [{ client: link }]);
    await bowls.until(() => isJoined(a) && isJoined(b));
    await a.stop();
    const event = await bowls.event(/the other Limpet stops/);
    expect(event).toMatchObject({ level: 'warn', isFinal: false });
    const again = await bowls.limpet(3, new Bus(), [{ server: link }]);
    await bowls.until(() => isJoined(again) && isJoined(b));
  });

  it('TCP with certificates of an authority that both ends trust', async () => {
    const tls = certificate(bowls.folder);
    const address = `127.0.0.1:${await freePort()}`;
    const a = await bowls.limpet(1, new Bus(), [{ server: address, ...tls }]);
    const b = await bowls.limpet(2, new Bus(), [{ client: address, ...tls }]);
    await bowls.until(() => isJoined(a) && isJoined(b));
  });

  it('without either, TCP is for loopback only, unless the Limpet is told so', () => {
    const links = [{ client: '10.0.0.1:7000' }];
    expect(() => new Limpet({ id: 1, links })).toThrow(/anybody could connect .* --insecure/);
    new Limpet({ id: 1, links: [{ client: '10.0.0.1:7000', insecure: true }] });
  });

  it('a key file that others can read is refused', () => {
    const keyFile = key('open', 'ab'.repeat(32), 0o644);
    const links = [{ client: '10.0.0.1:7000', keyFile }];
    expect(() => new Limpet({ id: 1, links })).toThrow(/others can read .* chmod 600/);
  });

  it('an address that is taken is named', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('taken'), resolve));
    const started = bowls.limpet(1, new Bus(), [{ server: at('taken') }]);
    await expect(started).rejects.toThrow(/another program listens at .*taken: stop it/);
    server.close();
  });

  it('a peer that sends garbage, or another version, ends its link with a line that says what it did', async () => {
    const a = await bowls.limpet(1, new Bus(), [{ server: at('a') }]);
    connect({ path: at('a') }).end('GET / HTTP/1.1\r\n\r\n');
    await bowls.event(/what answers there is no Limpet/);
    const socket = connect({ path: at('a') });
    const hello = Buffer.from(JSON.stringify({ version: 99 }));
    const frame = Buffer.alloc(9 + hello.length);
    frame.write('KLMP');
    frame.writeUInt32BE(5 + hello.length, 4);
    frame[8] = 1;
    hello.copy(frame, 9);
    socket.write(frame);
    await bowls.event(/version 99 of the link, and this one version 2/);
    expect(a.report().isSpeaker).toBe(true);
    socket.destroy();
  });
});

describe('spec 3 §2: the termination message', () => {
  it('stops the Limpet, and no message of a name that begins like it does', async () => {
    const bus = new Bus();
    const limpet = await bowls.limpet(1, bus, [], { termination: '$.Stop' });
    const ksock = await bowls.open(bus);
    await ksock.sendMsg(new Announcement('$.Stop.Not'));
    await ksock.sendMsg(new Announcement('$.Sto'));
    expect(limpet.report().isSpeaker).toBe(true);
    await ksock.sendMsg(new Announcement('$.Stop'));
    await limpet.ended;
  });
});

describe('spec 3 §3.5: answers of the Limpet', () => {
  it('a Request that the far bus refuses gets $.KBUS.RemoteError and the name of the error', async () => {
    const [x, y] = [new Bus(), new Bus()];
    await bowls.join(x, y, NATIVE);
    const [asker, replier] = [await bowls.open(x), await bowls.open(y)];
    await replier.setMaxMessages(1);
    await replier.bind('$.Q', true);
    await bowls.replier(asker, '$.Q');
    await asker.sendMsg(new Request('$.Q'));
    await asker.sendMsg(new Request('$.Q'));
    const status = await next(asker);
    expect(status.name).toBe('$.KBUS.RemoteError.EBUSY');
    expect(String(status.origFrom)).toBe('(0,0)');
  });
});

import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../harness/nats-server.mjs';
import { QUIET_BUS } from '../../harness/quiet-bus.mjs';
import { Bus } from '../../src/bus/bus.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import { ClassicPort } from '../../src/limpet/hub/classic-port.ts';
import { Hub } from '../../src/limpet/hub/hub.ts';
import { RecentIds } from '../../src/limpet/hub/recent-ids.ts';
import type { Limpet } from '../../src/limpet/limpet.ts';
import { parseAddress } from '../../src/limpet/run-a-limpet.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import {
  Announcement,
  Message,
  REPLIER_BIND_EVENT,
  Reply,
  Request,
  replyTo,
  statefulRequest,
} from '../../src/message/message.ts';
import { Bowls, next } from './bowls.ts';
import { ClassicPeer } from './classic-peer.ts';

const ASKED = Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY;

describe.each(['a Unix socket', 'TCP'])('spec 3 §5, spec 3 §8: a classic link over %s', (kind) => {
  let bowls: Bowls;
  let bus: Bus;
  let limpet: Limpet;
  let peer: ClassicPeer;
  let ksock: Ksock;
  let count = 0;
  const address = async (): Promise<string> =>
    kind === 'TCP' ? `127.0.0.1:${await freePort()}` : join(bowls.folder, `${++count}`);

  beforeEach(async () => {
    bowls = new Bowls();
    bus = new Bus();
    const server = await address();
    limpet = await bowls.limpet(1, bus, [{ server }]);
    const [at] = parseAddress(server);
    peer = await ClassicPeer.greet(9, at);
    ksock = await bowls.open(bus);
  });
  afterEach(async () => {
    peer.end();
    await bowls.end();
  });

  /** Three buses in a row, the middle one with both links; each has a Ksock. */
  async function row(): Promise<[Ksock, Ksock, Ksock]> {
    const [x, y, z] = [new Bus(), new Bus(), new Bus()];
    const [left, right] = [await address(), await address()];
    await bowls.limpet(11, x, [{ server: left, classic: true }]);
    await bowls.limpet(12, y, [
      { client: left, classic: true },
      { server: right, classic: true },
    ]);
    await bowls.limpet(13, z, [{ client: right, classic: true }]);
    await bowls.until(() =>
      bowls.limpets
        .slice(-3)
        .every((one) => one.report().links.every(({ state }) => state === 'classic')),
    );
    return [await bowls.open(x), await bowls.open(y), await bowls.open(z)];
  }

  it('spec 3 §2: passes a message on with its network id and its sender, and not what came from there', async () => {
    const id = await ksock.sendMsg(new Announcement('$.Gulp', 'hi', { flags: 0x10000 }));
    const passed = await peer.next();
    expect([String(passed.id), String(passed.origFrom), passed.flags, passed.text()]).toEqual([
      `[1:${id.serialNum}]`,
      `(1,${ksock.id})`,
      0x10000,
      'hi',
    ]);
    await ksock.bind('$.*');
    peer.send(new Announcement('$.Back', '', { id: peer.nextId() }));
    expect((await next(ksock)).id.networkId).toBe(9);
    await ksock.sendMsg(new Announcement('$.Last'));
    const last = await peer.next();
    expect([last.name, last.id.serialNum > id.serialNum, peer.unread()]).toEqual([
      '$.Last',
      true,
      [],
    ]);
  });

  it('spec 3 §3.1: binds by proxy, tells nobody of it, and hears no word of its own bind', async () => {
    await ksock.bind(REPLIER_BIND_EVENT);
    peer.bind('$.Q');
    await bowls.replier(ksock, '$.Q');
    const event = await ksock.waitForMsg();
    // That of this bus, for the proxy; not the one that came.
    expect(event?.toJSON().event?.binder).not.toBe(5);
    peer.bind('$.Q', false);
    expect((await ksock.waitForMsg())?.toJSON().event?.isBind).toBe(false);
    expect(await ksock.numMessages()).toBe(0);
    const other = await bowls.open(bus);
    await other.bind('$.Own', true);
    const told = await peer.next(true);
    expect([told.toJSON().event?.name, peer.unread()]).toEqual(['$.Own', []]);
  });

  it('spec 3 §8: a second bind event, one for a name with a Replier here, and an unbind of nothing end nothing', async () => {
    await ksock.replier('$.Both', () => 'here');
    expect((await peer.next(true)).toJSON().event?.name).toBe('$.Both');
    peer.bind('$.None', false);
    for (const name of ['$.Q', '$.Q', '$.Both']) peer.bind(name);
    await bowls.replier(ksock, '$.Q');
    const asker = await bowls.open(bus);
    expect((await asker.request('$.Both')).text()).toBe('here');
    expect(limpet.report().links[0]?.state).toBe('classic');
  });

  it('spec 3 §5.2: only the three words of a bind event are in network order', async () => {
    await ksock.bind('$.Own', true);
    const { data } = await peer.next(true);
    // Turned back as it was decoded; so it is what spec 2 §7 has, in the order of this machine.
    expect(new Uint32Array(data.slice(0, 12).buffer)[2]).toBe(5);
    const words = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
    await ksock.sendMsg(new Announcement('$.Words', words));
    expect([...(await peer.next()).data]).toEqual([...words]);
  });

  it('spec 3 §3.2: passes an answer on to whoever asked, once, and ignores the copy of a listener', async () => {
    peer.bind('$.Q');
    await bowls.replier(ksock, '$.Q');
    const id = await ksock.sendMsg(new Request('$.Q', 'one'));
    const asked = await peer.next();
    expect([asked.wantsUsToReply(), String(asked.id)]).toEqual([true, `[1:${id.serialNum}]`]);
    const origFrom = new OrigFrom(9, 44);
    const answer = { inReplyTo: asked.id, to: 3, id: peer.nextId(), origFrom };
    peer.send(new Reply('$.Q', 'copy', { ...answer, inReplyTo: new MessageId(1, 999) }));
    peer.send(new Reply('$.Q', 'yes', answer));
    peer.send(new Reply('$.Q', 'yes, a second time', answer));
    const reply = await next(ksock);
    expect([reply.text(), reply.to, String(reply.inReplyTo), String(reply.origFrom)]).toEqual([
      'yes',
      ksock.id,
      String(id),
      '(9,44)',
    ]);
    peer.send(new Announcement('$.Q', 'after', { id: peer.nextId() }));
    await ksock.bind('$.After');
    peer.send(new Announcement('$.After', '', { id: peer.nextId() }));
    expect((await next(ksock)).name).toBe('$.After');
  });

  it('spec 3 §3.3: a stateful Request that has arrived goes to the Replier it names, or to nobody', async () => {
    const asking = (to: number, localId: number) =>
      new Request('$.Q', '', {
        id: peer.nextId(),
        from: 77,
        to,
        finalTo: new OrigFrom(1, localId),
        flags: ASKED,
      });
    const early = asking(1, ksock.id);
    peer.send(early);
    const gone = await peer.next();
    expect([gone.name, String(gone.inReplyTo), gone.to]).toEqual([
      '$.KBUS.Replier.GoneAway',
      String(early.id),
      77,
    ]);
    await ksock.bind('$.Q', true);
    peer.send(asking(1, ksock.id + 1));
    expect((await peer.next()).name).toBe('$.KBUS.Replier.NotSameKsock');
    peer.send(asking(1, ksock.id));
    const arrived = await next(ksock);
    // spec 3 §9: final_to.network becomes 0 on arrival.
    expect([arrived.to, String(arrived.finalTo)]).toEqual([ksock.id, `(0,${ksock.id})`]);
    await ksock.sendMsg(replyTo(arrived, 'it is me'));
    expect((await peer.next()).text()).toBe('it is me');
  });

  it('spec 3 §3.3: a stateful Request goes on to the next Limpet, through a bus between', async () => {
    const [a, , g] = await row();
    await g.bind('$.Q', true);
    await bowls.replier(a, '$.Q');
    await a.sendMsg(new Request('$.Q', 'first'));
    await g.sendMsg(replyTo(await next(g), 'one'));
    const first = await next(a);
    expect(String(first.origFrom)).toBe(`(13,${g.id})`);
    await a.sendMsg(statefulRequest(first, '$.Q', 'again'));
    const asked = await next(g);
    expect([asked.text(), asked.to]).toEqual(['again', g.id]);
    await g.sendMsg(replyTo(asked, 'two'));
    expect((await next(a)).text()).toBe('two');
  });

  it('spec 3 §8: three buses in a row do not echo: each hears a message once, and asks once', async () => {
    const [a, middle, z] = await row();
    for (const one of [middle, z]) await one.bind('$.News.*');
    for (let n = 0; n < 20; n++) await a.sendMsg(new Announcement('$.News.N', String(n)));
    for (const one of [middle, z]) {
      for (let n = 0; n < 20; n++) expect((await next(one)).text()).toBe(String(n));
    }
    let asked = 0;
    await middle.unbind('$.News.*');
    await middle.bind('$.Ask', true);
    await bowls.replier(a, '$.Ask');
    await bowls.replier(z, '$.Ask');
    for (const one of [a, z]) {
      await one.sendMsg(new Request('$.Ask'));
      await middle.sendMsg(replyTo(await next(middle), String(++asked)));
      for (;;) {
        const heard = await next(one);
        if (heard.isReply()) {
          expect(heard.text()).toBe(String(asked));
          break;
        }
      }
    }
    expect(await middle.numMessages()).toBe(0);
  });

  it('spec 3 §7.1, spec 3 §8: in a ring of classic links nothing circulates, a bind ends nobody, and a warning names the link', async () => {
    const buses = [new Bus(), new Bus(), new Bus()];
    const links = [await address(), await address(), await address()];
    const ring: Limpet[] = [];
    for (let n = 0; n < 3; n++)
      ring.push(
        await bowls.limpet(21 + n, buses[n] as Bus, [
          { server: links[n] as string, classic: true },
          { client: links[(n + 1) % 3] as string, classic: true },
        ]),
      );
    const isUp = (one: Limpet) => one.report().links.every(({ state }) => state === 'classic');
    await bowls.until(() => ring.every(isUp));
    const ksocks = await Promise.all(buses.map((one) => bowls.open(one)));
    const [a, b, c] = ksocks as [Ksock, Ksock, Ksock];
    for (const one of [b, c]) await one.bind('$.Round');
    for (let n = 0; n < 10; n++) await a.sendMsg(new Announcement('$.Round', String(n)));
    for (const one of [b, c]) {
      for (let n = 0; n < 10; n++) expect((await next(one)).text()).toBe(String(n));
    }
    await bowls.event(
      /'\$\.Round' .* came back over the classic link to Limpet 2\d: links form a cycle/,
    );
    await b.replier('$.Ask', () => 'yes');
    await bowls.replier(a, '$.Ask');
    await bowls.replier(c, '$.Ask');
    expect((await (await bowls.open(buses[0] as Bus)).request('$.Ask')).text()).toBe('yes');
    expect(ring.every(isUp)).toBe(true);
    for (const one of [b, c]) expect(await one.numMessages()).toBe(0);
  });

  it('spec 3 §8: a link that is lost ends neither Limpet: Requests get LinkLost, later ones EADDRNOTAVAIL', async () => {
    peer.bind('$.Q');
    await bowls.replier(ksock, '$.Q');
    await ksock.sendMsg(new Request('$.Q'));
    await peer.next();
    peer.end();
    expect((await next(ksock)).name).toBe('$.KBUS.Limpet.LinkLost');
    await bowls.until(async () => (await ksock.findReplier('$.Q')) === null);
    await expect(ksock.sendMsg(new Request('$.Q'))).rejects.toThrow(/EADDRNOTAVAIL/);
    expect(limpet.report()).toMatchObject({ isSpeaker: true, inFlight: 0 });
  });

  it('spec 3 §8: a local stateful Request is a message like others for the listeners over there', async () => {
    await ksock.bind('$.Q', true);
    const asker = await bowls.open(bus);
    await asker.sendMsg(new Request('$.Q'));
    await ksock.sendMsg(replyTo(await next(ksock), 'one'));
    const first = await next(asker);
    await asker.sendMsg(statefulRequest(first, '$.Q', 'again'));
    await ksock.sendMsg(replyTo(await next(ksock), 'two'));
    expect((await next(asker)).text()).toBe('two');
    for (let seen = ''; seen !== 'again'; ) {
      const copy = await peer.next();
      seen = copy.text();
      expect(copy.wantsUsToReply()).toBe(false);
    }
  });

  it('spec 3 §8: an ALL_OR_WAIT message onto a full queue does not silence its direction', async () => {
    const slow = await bowls.open(bus);
    await slow.setMaxMessages(1);
    await slow.bind('$.Full');
    await ksock.bind('$.After');
    const flags = Flag.ALL_OR_WAIT;
    for (const text of ['1', '2'])
      peer.send(new Announcement('$.Full', text, { id: peer.nextId(), flags }));
    peer.send(new Announcement('$.After', '', { id: peer.nextId() }));
    expect((await next(ksock)).name).toBe('$.After');
  });

  it('spec 3 §8: large messages that cross both ways at once arrive', async () => {
    const large = new Uint8Array(2_000_000).fill(7);
    await ksock.bind('$.In');
    for (let n = 0; n < 5; n++) {
      peer.send(new Announcement('$.In', large, { id: peer.nextId() }));
      await ksock.sendMsg(new Announcement('$.Out', large));
    }
    for (let n = 0; n < 5; n++) {
      expect((await next(ksock)).dataLength).toBe(large.length);
      for (;;) if ((await peer.next()).name === '$.Out') break;
    }
  });

  it('spec 3 §8: names that begin like that of a bind event are names like others', async () => {
    await ksock.bind('$.*');
    for (const name of ['$.K', '$.KBUS', '$.KBUS.Replier']) {
      peer.send(new Announcement(name, '', { id: peer.nextId() }));
      expect((await next(ksock)).name).toBe(name);
    }
  });

  it('spec 3 §8: hundreds of Repliers that are there already are told', async () => {
    const other = new Bus();
    const many = await bowls.open(other);
    for (let n = 0; n < 300; n++) await many.bind(`$.Name${n}`, true);
    const server = await address();
    await bowls.limpet(31, other, [{ server }]);
    const [at] = parseAddress(server);
    const late = await ClassicPeer.greet(8, at);
    const names = new Set<string | undefined>();
    while (names.size < 300) names.add((await late.next(true)).toJSON().event?.name);
    late.end();
  });

  it('spec 3 §8: a huge length ends the link, with a line that says what it was', async () => {
    const words = Buffer.alloc(64);
    words.write('subK', 0, 'latin1');
    words.writeUInt32BE(5, 52);
    words.writeUInt32BE(0xffff_fff0, 56);
    words.write('Kbus', 60, 'latin1');
    peer.socket.write(words);
    await bowls.event(/the peer broke the rules of the link/);
    await bowls.until(() => limpet.report().links[0]?.state === 'waiting');
  });

  it('spec 3 §8: binding goes on, however many bind events wait for the Limpet', async () => {
    // In one turn of the event loop, in which the Limpet reads nothing.
    const binds = Array.from({ length: 12_000 }, (_, n) => ksock.bind(`$.B${n}`, true));
    await Promise.all(binds);
    for (let told = ''; told !== '$.B11999'; )
      told = (await peer.next(true)).toJSON().event?.name ?? '';
  });

  it('spec 3 §9: a Status that is sent again has lost SYNTHETIC', async () => {
    peer.bind('$.Q');
    await bowls.replier(ksock, '$.Q');
    await ksock.sendMsg(new Request('$.Q'));
    const asked = await peer.next();
    const options = { inReplyTo: asked.id, id: peer.nextId(), flags: Flag.SYNTHETIC };
    peer.send(new Message('$.KBUS.Replier.GoneAway', null, options));
    const status = await next(ksock);
    expect([status.name, status.isSynthetic(), status.isStatus()]).toEqual([
      '$.KBUS.Replier.GoneAway',
      false,
      true,
    ]);
  });
});

describe('spec 3 §7.5: what is lost on the way to a classic Limpet', () => {
  /** A hub with a classic link, which lets nothing else pass; what leaves over the link, and what its bus is told. */
  function end(id: number, partner: number) {
    const [written, told]: [Message[], string[]] = [[], []];
    const hub = new Hub(
      { address: { id, life: 2 ** 40 + 7 }, maxBytes: 1000, forgetAfter: 10 },
      {
        ...QUIET_BUS,
        tell: ({ name, origFrom }) => told.push(`${name} ${origFrom}`),
      },
    );
    const nothing = { out: ['$.Nothing'], in: ['$.Nothing'] };
    const port = new ClassicPort(partner, hub, new RecentIds(), nothing, {
      write: (message) => written.push(message),
      warn: (text) => told.push(text),
      send: () => {},
    });
    hub.addClassic(port);
    hub.joinBus(4);
    return { hub, port, written, told };
  }

  it('is told over its link, each time with an id of its own, and the bus at the other end hears it', () => {
    const [near, far] = [end(1, 2), end(2, 1)];
    near.hub.tellMissed(3, 7);
    near.hub.missedByBus(2);
    near.hub.flush();
    near.hub.tellMissed(1, 7);
    const { written } = near;
    expect(written.map(({ name, origFrom }) => `${name} ${origFrom}`)).toEqual([
      '$.KBUS.Limpet.Missed (7,0)',
      '$.KBUS.Limpet.Missed (1,0)',
      '$.KBUS.Limpet.Missed (7,0)',
    ]);
    expect(written.map((message) => message.text())).toEqual(['3', '2', '1']);
    expect(new Set(written.map(({ id }) => String(id))).size).toBe(3);
    expect(new Set(written.map(({ id }) => id.networkId))).toEqual(new Set([1]));
    for (const message of written) far.port.arrived(Message.fromMessage(message));
    expect(far.told).toEqual(written.map(({ name, origFrom }) => `${name} ${origFrom}`));
    expect([far.port.cycled, far.written]).toEqual([0, []]);
  });
});

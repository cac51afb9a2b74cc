import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request, replyTo, statefulRequest } from '../../src/message/message.ts';
import { Bowls, LINK_KINDS, next } from './bowls.ts';

for (const kind of LINK_KINDS) {
  describe(`over ${kind.name}`, () => {
    let bowls: Bowls;
    let zero: Bus;
    let three: Bus;
    beforeEach(async () => {
      bowls = new Bowls();
      zero = new Bus({ number: 0 });
      three = new Bus({ number: 3 });
      await bowls.join(zero, three, kind);
    });
    afterEach(() => bowls.end());

    it('spec 3 §3.4: an Announcement arrives as it is, with the id of the network that it came from', async () => {
      const g = await bowls.open(zero);
      const a = await bowls.open(three);
      await g.bind('$.Gulp');
      const id = await a.sendMsg(new Announcement('$.Gulp', 'hello', { flags: 0x40000 }));
      const heard = await next(g);
      expect(heard.text()).toBe('hello');
      expect(String(heard.id)).toBe(`[2:${id.serialNum}]`);
      expect(String(heard.origFrom)).toBe(`(2,${a.id})`);
      expect(heard.flags).toBe(0x40000);
    });

    it('spec 3 §3.2: a Request is answered by the Replier of the other bus', async () => {
      const g = await bowls.open(three);
      const a = await bowls.open(zero);
      await g.replier('$.Gulp', (request) => `${request.text()}!`);
      await bowls.replier(a, '$.Gulp');
      const reply = await a.request('$.Gulp', 'gulp');
      expect(reply.text()).toBe('gulp!');
      expect(String(reply.origFrom)).toBe(`(2,${g.id})`);
    });

    it('spec 3 §4: a stateful Request reaches the same Replier, or gets $.KBUS.Replier.NotSameKsock', async () => {
      const g = await bowls.open(three);
      const a = await bowls.open(zero);
      await g.bind('$.Gulp', true);
      await bowls.replier(a, '$.Gulp');
      await a.sendMsg(new Request('$.Gulp', 'first'));
      await g.sendMsg(replyTo(await next(g), 'one'));
      const first = await next(a);
      expect(first.text()).toBe('one');
      await a.sendMsg(statefulRequest(first, '$.Gulp', 'again'));
      const asked = await next(g);
      expect([asked.text(), asked.to]).toEqual(['again', g.id]);
      await g.sendMsg(replyTo(asked, 'two'));
      expect((await next(a)).text()).toBe('two');

      const other = await bowls.open(three);
      await g.unbind('$.Gulp', true);
      await bowls.until(async () => (await a.findReplier('$.Gulp')) === null);
      await other.bind('$.Gulp', true);
      await bowls.replier(a, '$.Gulp');
      await a.sendMsg(statefulRequest(first, '$.Gulp', 'still you?'));
      expect((await next(a)).name).toBe('$.KBUS.Replier.NotSameKsock');
    });

    it('spec 3 §7.3: a Request whose Replier goes away gets the Status of the far bus', async () => {
      const g = await bowls.open(three);
      const a = await bowls.open(zero);
      await g.bind('$.Gulp', true);
      await bowls.replier(a, '$.Gulp');
      await a.sendMsg(new Request('$.Gulp'));
      await next(g);
      await g.close();
      const status = await next(a);
      expect([status.name, status.isStatus()]).toEqual(['$.KBUS.Replier.Ignored', true]);
    });

    it('spec 3 §8: a listener of the other bus hears a local Request, and nobody is asked twice', async () => {
      const g = await bowls.open(zero);
      const a = await bowls.open(zero);
      const listener = await bowls.open(three);
      await listener.bind('$.Gulp');
      let asked = 0;
      await g.replier('$.Gulp', () => String(++asked));
      await bowls.replier(listener, '$.Gulp');
      expect((await a.request('$.Gulp', 'copy')).text()).toBe('1');
      const copy = await next(listener);
      expect([copy.text(), copy.wantsUsToReply()]).toEqual(['copy', false]);
      expect((await a.request('$.Gulp', 'again')).text()).toBe('2');
      expect((await next(listener)).text()).toBe('again');
      expect(await listener.numMessages()).toBe(0);
    });

    it('spec 3 §7.4: with a Replier on both buses, each bus asks its own', async () => {
      const here = await bowls.open(zero);
      const there = await bowls.open(three);
      await here.bind('$.Both', true);
      await Promise.all([here.replier('$.X', () => 'here'), there.replier('$.Y', () => 'there')]);
      await bowls.replier(here, '$.Y');
      await bowls.replier(there, '$.X');
      expect((await (await bowls.open(three)).request('$.X')).text()).toBe('here');
      expect((await (await bowls.open(zero)).request('$.Y')).text()).toBe('there');
    });

    it('spec 3 §7.2: messages of one sender arrive in order, urgent ones and large ones too', async () => {
      const g = await bowls.open(zero);
      const a = await bowls.open(three);
      await g.bind('$.*');
      const large = new Uint8Array(3_000_000).fill(7);
      for (let at = 0; at < 500; at++) a.post(new Announcement(`$.N${at % 7}`, String(at)));
      await a.flush();
      await a.sendMsg(new Announcement('$.Large', large));
      for (let at = 0; at < 500; at++) expect((await next(g)).text()).toBe(String(at));
      expect((await next(g)).dataLength).toBe(3_000_000);
      await a.sendMsg(new Announcement('$.Urgent', 'u', { flags: Flag.URGENT }));
      const urgent = await next(g);
      expect([urgent.text(), urgent.flags & Flag.URGENT]).toEqual(['u', Flag.URGENT]);
    });
  });
}

it('spec 3 §7: a peer that has not said HELLO may send no frame longer than 1 MiB', async () => {
  const bowls = new Bowls();
  const server = join(bowls.folder, 'link');
  await bowls.limpet(1, new Bus(), [{ server }]);
  const peer = createConnection(server);
  const claim = Buffer.from('KLMP\0\x10\0\x04\x01', 'latin1');
  peer.on('error', () => {});
  peer.write(claim);
  peer.resume();
  await bowls.event(/the peer broke the rules of the link: a frame of 1048580 bytes/);
  peer.destroy();
  await bowls.end();
});

it('a Limpet that another program ends says which one that was, and joins its bus again', async () => {
  const bowls = new Bowls();
  const bus = new Bus();
  await bowls.limpet(7, bus, [{ server: join(bowls.folder, 'link') }]);
  const boss = await bowls.open(bus);
  const [kicked = 0] = [...bus.ksocks.keys()];
  await boss.kick(kicked);
  const { text } = await bowls.event(/has lost its bus/);
  expect(text).toBe(
    `Limpet 7 has lost its bus, and joins it again: Ksock ${boss.id} ended Ksock ${kicked} of bus 0`,
  );
  await bowls.event(/is on its bus again/);
  await bowls.end();
});

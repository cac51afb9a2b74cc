import { describe, expect, it } from 'vitest';
import { replierBindEventData, splitReplierBindEventData } from '../../src/message/bind-event.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { fill, next, readAll, readNames } from './reading.ts';
import type { OriginalKsock, Stage } from './transport.ts';

const EVENT = '$.KBUS.ReplierBindEvent';

const told = (events: readonly Message[]): string[] =>
  events.map((event) => {
    expect(event.name).toBe(EVENT);
    const { isBind, binder, name } = splitReplierBindEventData(event.data);
    return `${isBind ? '+' : '-'} ${name} ${binder}`;
  });

/** A listener for the events, on a bus that reports. */
async function reporting(stage: Stage): Promise<[OriginalKsock, OriginalKsock]> {
  const listener = await stage.open();
  const replier = await stage.open();
  await listener.bind(EVENT);
  await listener.reportReplierBinds(true);
  return [listener, replier];
}

export function bindEvents(stage: Stage): void {
  describe('spec 1 §9: Reporting Replier binds', () => {
    it('Reporting is a switch of each bus. The default is off.', async () => {
      const one = await stage.open();
      const two = await stage.open();
      await one.bind(EVENT);
      await two.bind('$.a', true);
      expect(await one.numMessages()).toBe(0);
      expect(await one.reportReplierBinds()).toBe(false);
      expect(await one.reportReplierBinds(true)).toBe(false);
      expect(await two.reportReplierBinds()).toBe(true);
      const elsewhere = await stage.open('rw', await one.newDevice());
      expect(await elsewhere.reportReplierBinds()).toBe(false);
      expect(await two.reportReplierBinds(false)).toBe(true);
      await readAll(one);
      await two.bind('$.b', true);
      expect(await one.numMessages()).toBe(0);
    });

    it('With the switch on, each bind or unbind of a Replier sends an Announcement `$.KBUS.ReplierBindEvent` to the listeners of that name. SYNTHETIC and ALL_OR_FAIL are set, and from is 0.', async () => {
      const [listener, replier] = await reporting(stage);
      await replier.bind('$.a.*', true);
      await replier.bind('$.b');
      await replier.unbind('$.b');
      await replier.unbind('$.a.*', true);
      const events = await readAll(listener);
      expect(told(events)).toEqual([`+ $.a.* ${replier.id}`, `- $.a.* ${replier.id}`]);
      for (const event of events) {
        expect(event.flags).toBe(Flag.SYNTHETIC | Flag.ALL_OR_FAIL);
        expect([event.from, event.to]).toEqual([0, 0]);
        expect(event.kind).toBe('ReplierBindEvent');
        expect(event.isRequest() || event.isReply()).toBe(false);
      }
    });

    it('spec 2 §7: its data is is_bind, binder, name_len, the name, a 0 byte, and zero padding to a multiple of 4, in native byte order.', async () => {
      const [listener, replier] = await reporting(stage);
      await replier.bind('$.abc', true);
      const { data } = await next(listener);
      const words = new Uint32Array(Uint8Array.from(data.subarray(0, 12)).buffer);
      expect([...words]).toEqual([1, replier.id, 5]);
      expect(Buffer.from(data.subarray(12)).toString('latin1')).toBe('$.abc\0\0\0');
      const event = { isBind: true, binder: replier.id, name: '$.abc' };
      expect(replierBindEventData(event)).toEqual(Uint8Array.from(data));
    });

    it('It is sent *before* the bind or unbind takes effect.', async () => {
      // If the bind had taken effect, a Replier of all names would get the event.
      const [listener, replier] = await reporting(stage);
      await replier.bind('$.a', true);
      await refused(replier.bind('$.a', true), 'EADDRINUSE');
      await refused(replier.unbind('$.b', true), 'EINVAL');
      await refused(replier.bind(EVENT, true), 'EBADMSG');
      expect(told(await readAll(listener))).toEqual([`+ $.a ${replier.id}`]);
    });

    it('If the queue of any of those listeners is full, the bind or unbind fails with EAGAIN, and nothing changes.', async () => {
      const [listener, replier] = await reporting(stage);
      const second = await stage.open();
      await second.bind('$.KBUS.*');
      await replier.bind('$.a', true);
      await readAll(second);
      await fill(second, replier);
      await readAll(listener);
      await refused(replier.bind('$.b', true), 'EAGAIN');
      await refused(replier.unbind('$.a', true), 'EAGAIN');
      expect(await listener.numMessages()).toBe(0);
      expect(await listener.findReplier('$.b')).toBeNull();
      expect(await listener.findReplier('$.a')).toBe(replier.id);
      await second.setMaxMessages(100);
      await replier.bind('$.b', true);
      await replier.unbind('$.a', true);
      expect(told(await readAll(listener))).toEqual([`+ $.b ${replier.id}`, `- $.a ${replier.id}`]);
    });

    it('Each event uses a serial, whether anybody hears it or not. A refused one uses a serial too.', async () => {
      const replier = await stage.open();
      await replier.reportReplierBinds(true);
      await replier.bind('$.a', true);
      expect(String(await replier.sendMsg(new Announcement('$.x')))).toBe('[0:2]');
      const full = await stage.open();
      await full.bind(EVENT);
      await fill(full, replier);
      await refused(replier.bind('$.b', true), 'EAGAIN');
      expect(String(await replier.sendMsg(new Announcement('$.x')))).toBe('[0:5]');
    });

    it('Closing a Ksock reports its bindings newest first.', async () => {
      const [listener, replier] = await reporting(stage);
      for (const name of ['$.a', '$.b.*', '$.c']) await replier.bind(name, true);
      await replier.unbind('$.a', true);
      await replier.bind('$.a', true);
      await readAll(listener);
      await replier.close();
      expect(told(await readAll(listener))).toEqual(
        ['$.a', '$.c', '$.b.*'].map((name) => `- ${name} ${replier.id}`),
      );
    });

    it('KBUS cannot refuse the unbinds of a Replier that goes away. New: it queues those events past the limit. They count in num_messages.', async () => {
      const [listener, replier] = await reporting(stage);
      for (const name of ['$.a', '$.b', '$.c']) await replier.bind(name, true);
      await readAll(listener);
      await fill(listener, replier);
      const before = await listener.numMessages();
      await replier.close();
      expect(await listener.numMessages()).toBe(before + 3);
      const [filler, ...events] = await readAll(listener);
      expect(filler?.name).toBe('$.Filler');
      expect(told(events)).toEqual(['$.c', '$.b', '$.a'].map((name) => `- ${name} ${replier.id}`));
    });

    it('At most 1000 such events are held past limits per bus. Beyond that, a listener gets one `$.KBUS.UnbindEventsLost` (SYNTHETIC, from 0) instead. It gets no further held event, and no further notice, until all held events have been read.', async () => {
      const [listener, replier] = await reporting(stage);
      await listener.setMaxMessages(2000);
      for (let at = 0; at < 1005; at++) await replier.bind(`$.a${at}`, true);
      await readAll(listener);
      await fill(listener, replier);
      await replier.close();
      // A transport with short turns clears it away in pieces (spec 1 §14.2).
      while (stage.place.bus?.work.isPending) await new Promise(setImmediate);
      const messages = await readAll(listener);
      expect(messages).toHaveLength(1 + 1000 + 1);
      expect(told(messages.slice(1, 1001)).at(-1)).toBe(`- $.a5 ${replier.id}`);
      const lost = messages.at(-1);
      expect([lost?.name, lost?.flags, lost?.from]).toEqual([
        '$.KBUS.UnbindEventsLost',
        Flag.SYNTHETIC,
        0,
      ]);
      // All have been read: events are held again.
      const next = await stage.open();
      await listener.setMaxMessages(10);
      await next.bind('$.again', true);
      await readAll(listener);
      await listener.unbind('$.Filler');
      await fill(listener, next);
      await next.close();
      expect(await readNames(listener)).toEqual(['$.Filler', EVENT]);
    });

    it('Turning the switch on queues, to the Ksock that did it, an event for every existing Replier binding, newest first.', async () => {
      const replier = await stage.open();
      const listener = await stage.open();
      const turner = await stage.open();
      for (const name of ['$.a', '$.b.*', '$.c']) await replier.bind(name, true);
      await turner.bind('$.d', true);
      await listener.bind(EVENT);
      await turner.reportReplierBinds(true);
      expect(told(await readAll(turner))).toEqual([
        `+ $.d ${turner.id}`,
        ...['$.c', '$.b.*', '$.a'].map((name) => `+ ${name} ${replier.id}`),
      ]);
      expect(await listener.numMessages()).toBe(0);
    });

    it('That happens also when the switch is on already: a second Limpet of a bus depends on it.', async () => {
      const [listener, replier] = await reporting(stage);
      for (const name of ['$.a', '$.b.*']) await replier.bind(name, true);
      await readAll(listener);
      const second = await stage.open();
      expect(await second.reportReplierBinds(true)).toBe(true);
      const existing = ['$.b.*', '$.a'].map((name) => `+ ${name} ${replier.id}`);
      expect(told(await readAll(second))).toEqual(existing);
      // The same Ksock may ask for them again; no other Ksock gets them.
      await second.reportReplierBinds(true);
      expect(told(await readAll(second))).toEqual(existing);
      expect(await listener.numMessages()).toBe(0);
      // Asking, or turning the switch off, sends no events.
      await second.reportReplierBinds();
      await second.reportReplierBinds(false);
      expect(await second.numMessages()).toBe(0);
    });

    it('The call gets EBUSY when the queue of the Ksock fills up. The switch stays on.', async () => {
      const replier = await stage.open();
      const turner = await stage.open();
      for (const name of ['$.a', '$.b', '$.c']) await replier.bind(name, true);
      await turner.setMaxMessages(2);
      await refused(turner.reportReplierBinds(true), 'EBUSY');
      expect(await turner.reportReplierBinds()).toBe(true);
      expect(told(await readAll(turner))).toEqual([`+ $.c ${replier.id}`, `+ $.b ${replier.id}`]);
    });
  });
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import { JournalReader } from '../../src/limpet/federation/journal-reader.ts';
import { Outbox } from '../../src/limpet/federation/outbox.ts';
import type { Frame } from '../../src/limpet/hub/frame.ts';
import { Losses, missedMessage, weightOf } from '../../src/limpet/hub/losses.ts';
import { MISSED } from '../../src/limpet/hub/names.ts';
import { linkOf } from '../../src/limpet/hub/neighbours.ts';
import { OwnStream } from '../../src/limpet/hub/own-stream.ts';
import { Streams } from '../../src/limpet/hub/streams.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, type Message, replyTo } from '../../src/message/message.ts';
import { Bowls, LINK_KINDS, next } from './bowls.ts';

/** What a listener hears up to a message of this text: texts, and how many messages it was told that it missed, and by whom. */
async function heardUntil(
  ksock: Ksock,
  last: string,
  count: number,
): Promise<{ texts: string[]; missed: number; from: Set<number> }> {
  const heard = { texts: [] as string[], missed: 0, from: new Set<number>() };
  while (heard.texts.at(-1) !== last || heard.missed < count) {
    const message = await next(ksock);
    if (message.name === MISSED) {
      heard.missed += Number(message.text());
      heard.from.add(message.origFrom.networkId);
    } else heard.texts.push(message.text());
  }
  return heard;
}

for (const kind of LINK_KINDS) {
  describe(`what the far bus refuses, over ${kind.name}`, () => {
    let bowls: Bowls;
    let near: Bus;
    let far: Bus;
    let sender: Ksock;
    let listener: Ksock;
    beforeEach(async () => {
      bowls = new Bowls();
      near = new Bus();
      far = new Bus({ maxMessageSize: 2000 });
      await bowls.join(near, far, kind);
      [sender, listener] = [await bowls.open(near), await bowls.open(far)];
      await listener.setMaxMessages(1000);
      for (const name of ['$.Said', '$.Last', MISSED]) await listener.bind(name);
    });
    afterEach(() => bowls.end());

    async function fullListener(bus: Bus, name: string): Promise<Ksock> {
      const full = await bowls.open(bus);
      await full.bind(name);
      await full.setMaxMessages(1);
      return full;
    }

    it('since a queue is full, is told to its listeners as missed', async () => {
      await fullListener(far, '$.Said');
      const flags = Flag.ALL_OR_FAIL;
      await Promise.all(
        ['fits', 'does not', 'neither'].map((text) =>
          sender.sendMsg(new Announcement('$.Said', text, { flags })),
        ),
      );
      await sender.sendMsg(new Announcement('$.Last', 'last'));
      const { texts, missed, from } = await heardUntil(listener, 'last', 2);
      expect(texts).toEqual(['fits', 'last']);
      expect([missed, [...from]]).toEqual([2, [1]]);
      expect(bowls.limpets[1]?.report().refused).toBe(2);
    });

    it('since it is too large there, is told in its place, before what its sender announces next', async () => {
      await sender.sendMsg(new Announcement('$.Said', 'one'));
      await sender.sendMsg(new Announcement('$.Said', new Uint8Array(3000)));
      const first = await next(listener);
      expect(first.text()).toBe('one');
      const told = await next(listener);
      expect([told.name, told.text(), told.origFrom.networkId]).toEqual([MISSED, '1', 1]);
      await sender.sendMsg(new Announcement('$.Said', 'three'));
      expect((await next(listener)).text()).toBe('three');
    });

    it('of the Replies to it, becomes an answer that says why', async () => {
      const replier = await bowls.open(near);
      await replier.replier('$.Large', () => new Uint8Array(3000));
      await bowls.replier(listener, '$.Large');
      await expect(listener.request('$.Large', null)).rejects.toMatchObject({
        status: { name: '$.KBUS.RemoteError.EMSGSIZE' },
      });
    });

    it('of the Replies for all or nobody, becomes an answer, too', async () => {
      const full = await fullListener(far, '$.Ask');
      const replier = await bowls.open(near);
      await replier.bind('$.Ask', true);
      await bowls.replier(listener, '$.Ask');
      const answer = listener.request('$.Ask', 'fills the queue');
      const request = await next(replier);
      const reply = replyTo(request, 'yes');
      reply.flags |= Flag.ALL_OR_FAIL;
      await replier.sendMsg(reply);
      await expect(answer).rejects.toMatchObject({
        status: { name: '$.KBUS.RemoteError.EBUSY' },
      });
      expect((await next(full)).text()).toBe('fills the queue');
    });
  });
}

describe('$.KBUS.Limpet.Missed', () => {
  const message = (text: string): Message => {
    const made = new Announcement('$.Said', text);
    made.id = new MessageId(2, Number(text));
    return made;
  };

  it('is told when the bus takes messages again, if that refused it', () => {
    let isFull = true;
    const taken: string[] = [];
    const losses = new Losses((told, refused) => {
      if (isFull) refused();
      else taken.push(`${told.origFrom.networkId} ${told.text()}`);
    });
    losses.add(2, 7);
    losses.tell(7);
    losses.add(3, 7);
    losses.add(1, 8);
    losses.tellAll();
    expect(taken).toEqual([]);
    isFull = false;
    losses.tellAll();
    losses.tellAll();
    expect(taken).toEqual(['7 5', '8 1']);
  });

  it('stands for as many messages as it tells of', () => {
    const own = new OwnStream();
    const counts = [message('1'), missedMessage(40, 2), message('2')].map(
      (each) => own.append(each, null, 0).heard,
    );
    expect(counts).toEqual([1, 41, 42]);
    for (const [text, weight] of [
      ['3', 3],
      ['0', 1],
      ['-4', 1],
      ['many', 1],
      ['1e300', 1],
    ] as const) {
      expect(weightOf(new Announcement(MISSED, text))).toBe(weight);
    }
  });

  it('stands for as many Announcements in a stream, too', () => {
    const stored: { bytes: Uint8Array; id: string }[] = [];
    const outbox = new Outbox(1_000_000, null, {
      maxPayload: 10_000,
      marks: () => [],
      store: (bytes, id) => stored.push({ bytes, id }),
      settledSince: () => {},
    });
    const origin = { id: 2, life: 5 };
    outbox.append(origin, 1, message('1'), 0);
    outbox.flush();
    outbox.append(origin, 41, missedMessage(40, 2), 0);
    outbox.append(origin, 42, message('2'), 0);
    outbox.stored(1);
    expect(stored.map(({ id }) => id)).toEqual(['2.5.1.0', '2.5.2.0']);

    // A bus that got all, and one that lacks the first message.
    for (const lost of [0, 1]) {
      const got: string[] = [];
      const reader = new JournalReader(1, null, {
        deliver: (each) => got.push(each.text()),
        refused: () => {},
        missed: (count) => got.push(`missed ${count}`),
        flush: (done) => done(),
        save: () => {},
        hasCome: () => true,
        moved: () => {},
        warn: () => {},
      });
      reader.open({ created: 'now', first: 1, last: 0, differs: '' });
      for (const [at, { bytes }] of stored.slice(lost).entries()) {
        reader.take({ seq: lost + at + 1, subject: 'kbus.plant.stream.2', bytes });
      }
      expect(got).toEqual([lost === 0 ? '1' : 'missed 1', '40', '2']);
    }
  });

  it('passes each filter', () => {
    const sent: Frame[] = [];
    const streams = new Streams({ id: 2, life: 5 }, 1000, {
      transmit: (_link, frame) => sent.push(frame) > 0,
      arrived: () => {},
      lost: () => {},
      paired: () => {},
      settled: () => ({ stored: 0, seq: 0 }),
      deferred: () => {},
    });
    const link = linkOf(0, { id: 1, life: 1 }, 1024, ['$.Only.This']);
    const origin = { id: 2, life: 5 };
    streams.subscribed(link, {
      kind: 'subscribe',
      origin,
      token: 1,
      from: 0,
      wantsNow: true,
      isRelay: false,
    });
    streams.append(message('1'));
    streams.append(missedMessage(3, 2));
    streams.flush();
    const names = sent.flatMap((frame) =>
      frame.kind === 'entries' ? frame.entries.map((entry) => entry.message.name) : [],
    );
    expect(names).toEqual([MISSED]);
  });
});

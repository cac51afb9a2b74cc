import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { QUIET_BUS } from '../../harness/quiet-bus.mjs';
import { Bus } from '../../src/bus/bus.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import type { Address } from '../../src/limpet/hub/address.ts';
import type { BatchEntry, Frame } from '../../src/limpet/hub/frame.ts';
import { Hub } from '../../src/limpet/hub/hub.ts';
import type { Link } from '../../src/limpet/hub/link.ts';
import { MISSED } from '../../src/limpet/hub/names.ts';
import { linkOf } from '../../src/limpet/hub/neighbours.ts';
import { Decoder, Encoder, Kind } from '../../src/limpet/link/native-codec.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, Message, Request } from '../../src/message/message.ts';
import { MAX_BATCHED_DATA } from '../../src/message/record-batch.ts';
import { FrameHost } from '../support/frame-host.ts';
import { Observed } from '../tap/observed.ts';
import { Bowls, LINK_KINDS, type LinkKind, next } from './bowls.ts';
import { batched } from './simulator/bowl.ts';

/** Limpets that are joined to their buses as to those of a daemon, and Limpets in the process of their buses. */
const PLACES = (['between buses of daemons', 'a native link over a Unix socket'] as const).map(
  (name) => LINK_KINDS.find((kind) => kind.name.endsWith(name)) as LinkKind,
);

/** What a test sends at once, so that the Limpet reads it at once. */
function sendAll(ksock: Ksock, messages: readonly Message[]): Promise<MessageId[]> {
  return Promise.all(messages.map((message) => ksock.sendMsg(message)));
}

/** What a Limpet does with a batch. */
const original = Hub.prototype.heardBatch;

describe.each(PLACES)('Announcements that a Limpet reads together, over $name,', (place) => {
  let bowls: Bowls;
  let near: Bus;
  let far: Bus;
  beforeEach(async () => {
    bowls = new Bowls();
    [near, far] = [new Bus(), new Bus()];
    await bowls.join(near, far, place);
  });
  afterEach(() => bowls.end());

  it('arrive in order and as they are, also between Requests, Replies and long data', async () => {
    // A program at a socket hands over many at once.
    const sender = await bowls.open(new FrameHost().connectTo(near));
    const listener = await bowls.open(far);
    await listener.bind('$.*');
    await listener.setMaxMessages(1000);
    const long = new Uint8Array(MAX_BATCHED_DATA + 5).fill(7);
    const mine = 1 << 20;
    const messages: Message[] = [];
    for (let round = 0; round < 20; round++) {
      messages.push(
        new Announcement('$.One', `${round}`),
        new Announcement('$.One', `${round} again`),
        new Announcement('$.One', `${round} with a flag`, { flags: mine }),
        new Announcement(`$.Name.${round}`, null),
        new Announcement('$.Long', long),
        new Announcement(`$.${'long'.repeat(50)}`, 'a name that has no number'),
        new Announcement('$.One', 'for all or nobody', { flags: Flag.ALL_OR_FAIL }),
        new Announcement('$.KBUS.Mine', 'a name of KBUS'),
      );
    }
    await sendAll(sender, messages);
    for (const { name, data, flags, dataLength } of messages) {
      const heard = await next(listener);
      expect([heard.name, heard.flags, heard.dataLength]).toEqual([name, flags, dataLength]);
      expect(heard.data).toEqual(data);
      expect(heard.id.networkId).toBe(1);
      expect(String(heard.origFrom)).toBe(`(1,${sender.id})`);
    }
  });

  it('have the ids that they have on their bus, and each sender its own origin', async () => {
    const senders = [await bowls.open(near), await bowls.open(near)];
    const listener = await bowls.open(far);
    await listener.bind('$.Said');
    const ids: string[] = [];
    for (let round = 0; round < 10; round++) {
      for (const sender of senders) {
        const id = await sender.sendMsg(new Announcement('$.Said'));
        ids.push(`[1:${id.serialNum}] (1,${sender.id})`);
      }
    }
    for (const id of ids) {
      const heard = await next(listener);
      expect(`${heard.id} ${heard.origFrom}`).toBe(id);
    }
  });

  it('have their ids and their origin for whoever reads or observes them, in whatever way', async () => {
    const sender = await bowls.open(new FrameHost().connectTo(near));
    const program = new FrameHost().connectTo(far);
    const [one, two, local] = [
      await bowls.open(program),
      await bowls.open(program),
      await bowls.open(far),
    ];
    const prefetched: Message[] = [];
    await one.listener('$.Said.*', (message) => {
      prefetched.push(message);
    });
    for (const ksock of [two, local]) await ksock.bind('$.Said.*');
    const observed = new Observed(far);
    // The first of the batch, those with its name and its flags, and others: more than one frame has.
    const messages = Array.from({ length: 600 }, (_, at) => {
      const text = `${at} ${'x'.repeat(at % 200)}`;
      const flags = at % 100 === 99 ? Flag.ALL_OR_FAIL : 0;
      return new Announcement(`$.Said.${Math.floor(at / 3) % 50}`, text, { flags });
    });
    await local.setMaxMessages(messages.length);
    await two.setMaxMessages(messages.length);
    const ids = await sendAll(sender, messages);
    const told = ({ id, name, origFrom, flags }: Message, text: string): string =>
      [name, text, id, origFrom, flags].join(' ');
    const expected = messages.map((message, at) => {
      const sent = Message.fromMessage(message);
      sent.id = new MessageId(1, (ids[at] as MessageId).serialNum);
      sent.origFrom = new OrigFrom(1, sender.id);
      return told(sent, message.text());
    });
    for (const reader of [two, local]) {
      const heard: string[] = [];
      while (heard.length < messages.length) {
        const message = await next(reader);
        heard.push(told(message, message.text()));
      }
      expect(heard).toEqual(expected);
    }
    await bowls.until(() => prefetched.length === messages.length);
    expect(prefetched.map((message) => told(message, message.text()))).toEqual(expected);
    const seen = observed
      .take()
      .flatMap((event) => (event.type === 'messages' ? event.messages : []))
      .filter(({ name }) => name.startsWith('$.Said.'));
    expect(seen.map((message) => told(message, message.text()))).toEqual(expected);
  });

  // A daemon joins such parts for its clients where they lie side by side in its memory.
  it.skipIf(place.overFrames)(
    'are one batch, though the bus sent them in parts, because some went to others, too',
    async () => {
      const counts: number[] = [];
      const heardBatch = vi.spyOn(Hub.prototype, 'heardBatch');
      heardBatch.mockImplementation(function (this: Hub, batch) {
        counts.push(batch.count);
        return original.call(this, batch);
      });
      const sender = await bowls.open(new FrameHost().connectTo(near));
      const [other, listener] = [await bowls.open(near), await bowls.open(far)];
      await other.bind('$.Odd');
      await listener.bind('$.*');
      const texts = Array.from({ length: 20 }, (_, at) => `${at}`);
      const name = (at: number): string => ['$.Even', '$.Odd', '$.Odd'][at % 3] as string;
      await sendAll(
        sender,
        texts.map((text, at) => new Announcement(name(at), text)),
      );
      for (const [at, text] of texts.entries()) {
        const heard = await next(listener);
        expect([heard.name, heard.text()]).toEqual([name(at), text]);
      }
      expect(counts).toEqual([texts.length]);
      heardBatch.mockRestore();
    },
  );

  it('with ALL_OR_WAIT wait at the far bus until a full queue has room', async () => {
    const [sender, listener] = [await bowls.open(near), await bowls.open(far)];
    await listener.bind('$.Slow');
    await listener.setMaxMessages(1);
    const flags = Flag.ALL_OR_WAIT;
    const names = ['one', 'two', 'three', 'four', 'five'];
    await sendAll(
      sender,
      names.map((name) => new Announcement('$.Slow', name, { flags })),
    );
    for (const name of names) expect((await next(listener)).text()).toBe(name);
  });

  it('are refused one by one by the far bus, and counted', async () => {
    const [sender, listener, full] = [
      await bowls.open(near),
      await bowls.open(far),
      await bowls.open(far),
    ];
    await full.bind('$.Full');
    await full.setMaxMessages(1);
    await listener.bind('$.*');
    const flags = Flag.ALL_OR_FAIL;
    await sendAll(sender, [
      new Announcement('$.Full', 'fits', { flags }),
      new Announcement('$.Full', 'does not', { flags }),
      new Announcement('$.Full', 'neither', { flags }),
      new Announcement('$.Other', 'last', { flags }),
    ]);
    expect((await next(listener)).text()).toBe('fits');
    let missed = 0;
    let last = await next(listener);
    // It hears, at once or later, that it missed two.
    for (; last.name === MISSED; last = await next(listener)) missed += Number(last.text());
    expect(last.text()).toBe('last');
    while (missed < 2) missed += Number((await next(listener)).text());
    expect(missed).toBe(2);
    expect(bowls.limpets[1]?.report().refused).toBe(2);
  });

  it('do not come back to the Limpet that brings them', async () => {
    const [sender, listener] = [await bowls.open(near), await bowls.open(far)];
    await listener.bind('$.A');
    const [limpet] = far.ksocks.values();
    const given = (): number => (limpet?.messagesRead ?? 0) + (limpet?.numMessages ?? 0);
    const before = given();
    await sendAll(sender, [new Announcement('$.A', 'one'), new Announcement('$.A', 'two')]);
    for (const text of ['one', 'two']) expect((await next(listener)).text()).toBe(text);
    expect(given()).toBe(before);
    await listener.sendMsg(new Announcement('$.A', 'of another'));
    expect(given()).toBe(before + 1);
  });

  it('of many bytes are acknowledged before the next tick: the Limpet reads on', async () => {
    const tick = vi.spyOn(Hub.prototype, 'tick').mockImplementation(() => {});
    const [sender, listener] = [await bowls.open(near), await bowls.open(far)];
    await listener.bind('$.Large');
    await listener.setMaxMessages(1000);
    const data = new Uint8Array(64 * 1024);
    const count = 100;
    await sendAll(
      sender,
      Array.from({ length: count }, () => new Announcement('$.Large', data)),
    );
    for (let at = 0; at < count; at++) expect((await next(listener)).dataLength).toBe(data.length);
    tick.mockRestore();
  });

  it('pass a filter by their names', async () => {
    const [third, path] = [new Bus(), `${bowls.folder}/filtered.sock`];
    await bowls.limpet(3, far, [{ server: path, out: ['$.Public.*'] }]);
    await bowls.limpet(4, third, [{ client: path }]);
    await bowls.until(() => bowls.limpets[0]?.report().paths.length === 3);
    await bowls.until(() =>
      bowls.limpets.every((limpet) => limpet.report().paths.every(({ isReady }) => isReady)),
    );
    const [sender, listener] = [await bowls.open(near), await bowls.open(third)];
    await listener.bind('$.*');
    await sendAll(sender, [
      new Announcement('$.Private', 'no'),
      new Announcement('$.Public.A', 'one'),
      new Announcement('$.Public.B', 'two'),
      new Announcement('$.Private', 'no'),
      new Announcement('$.Public.A', 'three'),
    ]);
    for (const text of ['one', 'two', 'three']) expect((await next(listener)).text()).toBe(text);
    await sendAll(sender, [
      new Announcement('$.Public.A', 'four'),
      new Announcement('$.Public.B', 'five'),
    ]);
    for (const text of ['four', 'five']) expect((await next(listener)).text()).toBe(text);
  });
});

describe('a batch on a native link', () => {
  const origin = { id: 9, life: 77 };
  const received = (text: string, serial: number, name = '$.A'): Message => {
    const message = new Announcement(name, text);
    message.from = 3;
    message.idSerial = serial;
    return message;
  };

  function batchOf(texts: readonly string[], name?: string): BatchEntry['batch'] {
    let batch: BatchEntry['batch'] | null = null;
    for (const [at, text] of texts.entries()) batch = batched(received(text, 5 + at, name), batch);
    return (batch as BatchEntry['batch']).carriedBy(origin.id);
  }

  const encoded = (entry: BatchEntry): Buffer =>
    Buffer.concat(new Encoder().pieces({ kind: 'batch', origin, entry }));

  const decoded = (bytes: Uint8Array): BatchEntry => {
    const frame = new Decoder().decode(bytes);
    if (frame.kind !== 'frame' || frame.frame.kind !== 'batch') throw new Error(frame.kind);
    return frame.frame.entry;
  };

  it('is the same at the other end', () => {
    const entry = { n: 12, heard: 10, batch: batchOf(['one', 'two', 'three']) };
    const bytes = encoded(entry);
    expect(bytes[4]).toBe(Kind.BATCH);
    expect(bytes.length % 4).toBe(0);
    const { n, heard, batch } = decoded(bytes);
    expect([n, heard, batch.count]).toEqual([12, 10, 3]);
    expect([...batch.messages()].map(String)).toEqual([...entry.batch.messages()].map(String));
  });

  it('whose first record is SAME gets the head that it lacks', () => {
    const batch = batchOf(['one', 'two', 'three']).from(1);
    expect(batch.cursor().isSame).toBe(true);
    const other = decoded(encoded({ n: 13, heard: 11, batch })).batch;
    expect(
      [...other.messages()].map((message) => `${message.id} ${message.name} ${message.text()}`),
    ).toEqual(['[9:6] $.A two', '[9:7] $.A three']);
  });

  it.each([
    ['without messages', (bytes: Buffer) => bytes.writeUInt16BE(0, 6)],
    ['with more messages than it has', (bytes: Buffer) => bytes.writeUInt16BE(4, 6)],
    ['with fewer', (bytes: Buffer) => bytes.writeUInt16BE(2, 6)],
    ['of Requests', (bytes: Buffer) => bytes.writeUInt32BE(Flag.WANT_A_REPLY, 52)],
    ['of messages that KBUS made', (bytes: Buffer) => bytes.writeUInt32BE(Flag.SYNTHETIC, 52)],
    ['of which only some wait', (bytes: Buffer) => bytes.writeUInt8(1, 5)],
    ['with fields', (bytes: Buffer) => bytes.writeUInt8(4, 51)],
    ['with a name of no letters', (bytes: Buffer) => bytes.writeUInt16BE(0, 48)],
    ['with a name that goes past its end', (bytes: Buffer) => bytes.writeUInt16BE(900, 48)],
    ['that begins with SAME', (bytes: Buffer) => bytes.writeUInt8(0x80, 44)],
    ['of long data', (bytes: Buffer) => bytes.writeUInt32BE(MAX_BATCHED_DATA, 44)],
    [
      'that goes past the last serial number',
      (bytes: Buffer) => bytes.writeUInt32BE(0xffff_fffe, 36),
    ],
    ['of no Limpet', (bytes: Buffer) => bytes.writeUInt32BE(0, 8)],
  ] as const)('%s breaks the rules of the link', (_what, spoil) => {
    const bytes = encoded({ n: 1, heard: 1, batch: batchOf(['one', 'two', 'three']) });
    decoded(bytes);
    spoil(bytes);
    expect(() => decoded(bytes)).toThrow(expect.objectContaining({ name: 'LinkError' }));
  });

  it('has no Request, and no message that is not the next one of its sender', () => {
    const request = new Request('$.A', 'ask');
    expect(batched(request, null)).toBe(null);
    const first = batched(received('one', 5), null);
    expect(first?.count).toBe(1);
    expect(batched(received('three', 7), first)).toBe(null);
  });

  /** A Limpet that gets the stream of another one: what it gives its bus. */
  function receiver(): {
    hub: Hub;
    link: Link;
    given: string[];
    told: string[];
    join: (from: Address) => Link;
  } {
    const [given, told]: [string[], string[]] = [[], []];
    const sent: Frame[] = [];
    const hub = new Hub(
      { address: { id: 1, life: 1 }, maxBytes: 1000, forgetAfter: 10 },
      {
        ...QUIET_BUS,
        send: (message) => given.push(message.text()),
        sendBatch: (batch) => given.push([...batch.messages()].map((each) => each.text()).join()),
        tell: (message) => told.push(`${message.name} ${message.text()}`),
        transmit: (_link, frame) => sent.push(frame) > 0,
      },
    );
    const join = (from: Address): Link => {
      const link = linkOf(0, from, 1024, ['$.*']);
      hub.linkUp(link);
      const links = [{ peer: hub.address, cost: 1024, filters: ['$.*'] }];
      const state = { hub: from, seq: 1, links, replaces: null, repliers: [] };
      hub.received(link, { kind: 'state', state });
      const asked = sent.findLast(({ kind }) => kind === 'subscribe');
      const { token } = asked as { token: number } & Frame;
      const begin = { token, from: 1, heard: 0, isGap: false, now: 1, heardNow: 0 };
      hub.received(link, { kind: 'begin', origin: from, ...begin });
      return link;
    };
    const link = join(origin);
    return { hub, link, given, told, join };
  }

  it('gives only the messages that have not come before', () => {
    const { hub, link, given } = receiver();
    hub.joinBus(4);
    const batch = batchOf(['one', 'two', 'three', 'four', 'five']);
    const bring = (n: number, part: BatchEntry['batch']): void =>
      hub.received(link, { kind: 'batch', origin, entry: { n, heard: n, batch: part } });
    bring(1, batchOf(['one', 'two', 'three']));
    bring(1, batchOf(['one', 'two']));
    bring(2, batch.from(1));
    bring(1, batch);
    expect(given).toEqual(['one,two,three', 'four,five']);
    expect(hub.streams.duplicates).toBe(2 + 2 + 5);
    expect(hub.counts.received).toBe(5);
  });

  it('does not give again what the Limpet before has given, also if the one that it is of was forgotten meanwhile', () => {
    const { hub, link, given, join } = receiver();
    const message = received('one', 5);
    message.id = new MessageId(origin.id, 5);
    hub.overheard(message);
    hub.joinBus(4);
    hub.linkDown(link);
    for (let at = 0; at < 12; at++) hub.tick();
    expect(hub.topology.hubs.size).toBe(1);
    const bring = (from: Address): void => {
      const entry = { n: 1, heard: 1, batch: batchOf(['one', 'two']) };
      hub.received(join(from), { kind: 'batch', origin: from, entry });
    };
    bring(origin);
    expect(given).toEqual(['two']);
    // The serial numbers of the bus of a new life may begin again.
    bring({ ...origin, life: origin.life + 1 });
    expect(given).toEqual(['two', 'one,two']);
  });

  it('gives only what the Limpet before has not given the bus, and tells of what that has left out', () => {
    const { hub, link, given, told } = receiver();
    // Serial numbers 5 to 9: of these, the Limpet before has given 5 and 7.
    for (const [text, serial] of [
      ['one', 5],
      ['three', 7],
    ] as const) {
      const message = received(text, serial);
      message.id = new MessageId(origin.id, serial);
      hub.overheard(message);
    }
    hub.joinBus(4);
    const batch = batchOf(['one', 'two', 'three', 'four', 'five']);
    hub.received(link, { kind: 'batch', origin, entry: { n: 1, heard: 1, batch } });
    expect(given).toEqual(['four', 'five']);
    expect(told).toEqual(['$.KBUS.Limpet.Missed 1']);
    expect(hub.streams.duplicates).toBe(2);
    const later = (batched(received('six', 10), null) as BatchEntry['batch']).carriedBy(origin.id);
    hub.received(link, { kind: 'batch', origin, entry: { n: 6, heard: 6, batch: later } });
    expect(given).toEqual(['four', 'five', 'six']);
  });
});

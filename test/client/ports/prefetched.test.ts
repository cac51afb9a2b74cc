import { describe, expect, it } from 'vitest';
import { plainMemory } from '../../../src/base/memory.ts';
import { KeptMemory, PrefetchedBatch } from '../../../src/client/ports/prefetched-batch.ts';
import { PrefetchedQueue } from '../../../src/client/ports/prefetched-queue.ts';
import { BorrowedMessage } from '../../../src/message/borrowed.ts';
import { HeadReader } from '../../../src/message/codec/records.ts';
import { Flag } from '../../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../../src/message/id.ts';
import { Message } from '../../../src/message/message.ts';
import { ProtocolError } from '../../../src/wire/protocol.ts';
import { record, same } from '../../support/frames.ts';

const heads = new HeadReader(true);

/** The messages of a frame, from this serial number on. */
function batchOf(records: readonly Buffer[], serial: number, from = 9, you = 0): PrefetchedBatch {
  const bytes = Uint8Array.from(Buffer.concat([Buffer.alloc(7), ...records]));
  return new PrefetchedBatch(
    heads,
    new KeptMemory(plainMemory),
    bytes,
    7,
    bytes.length,
    records.length,
    from,
    serial,
    you,
  );
}

const batch = (serial: number, count: number, name = '$.batch'): PrefetchedBatch => {
  const more = Array.from({ length: count - 1 }, () => same(''));
  return batchOf([record(new Message(name)), ...more], serial);
};

const told = ({ name, idSerial }: Message | BorrowedMessage): string | number =>
  name === '$.batch' ? idSerial : name;

const idSerialOf = (message: Message | null): number | undefined => message?.idSerial;

/** Takes all messages: gives names of single messages, and serials of those in batches. */
function* given(queue: PrefetchedQueue): Generator<string | number> {
  for (let message = queue.take(); message !== null; message = queue.take()) yield told(message);
}

/** As `given`, but shown by a borrowed message. */
function* shown(queue: PrefetchedQueue): Generator<string | number> {
  const borrowed = new BorrowedMessage();
  while (queue.show(borrowed)) yield told(borrowed);
}

/** Shown and taken, by turns. */
function* mixed(queue: PrefetchedQueue): Generator<string | number> {
  const borrowed = new BorrowedMessage();
  while (queue.show(borrowed)) {
    yield told(borrowed);
    const message = queue.take();
    if (message !== null) yield told(message);
  }
}

describe.each([given, shown, mixed])('The prefetched queue, %o,', (read) => {
  it('gives single messages and those of frames in the order of arrival.', () => {
    const queue = new PrefetchedQueue();
    queue.push(new Message('$.a'));
    queue.pushBatch(batch(1, 2));
    queue.push(new Message('$.b'));
    queue.pushBatch(batch(7, 1));
    expect(queue.length).toBe(5);
    expect([...read(queue)]).toEqual(['$.a', 1, 2, '$.b', 7]);
    expect(queue.length).toBe(0);
  });

  it('gives an urgent message before the rest of a frame.', () => {
    const queue = new PrefetchedQueue();
    queue.pushBatch(batch(1, 3));
    queue.push(new Message('$.b'));
    expect(idSerialOf(queue.take())).toBe(1);
    queue.pushFirst(batch(8, 1, '$.urgent'));
    queue.pushFirst(batch(9, 1, '$.later.urgent'));
    expect(queue.length).toBe(5);
    expect([...read(queue)]).toEqual(['$.later.urgent', '$.urgent', 2, 3, '$.b']);
  });

  it('gives no message after `clear`.', () => {
    const queue = new PrefetchedQueue();
    queue.pushBatch(batch(1, 3));
    queue.take();
    queue.clear();
    expect(queue.length).toBe(0);
    expect(queue.take()).toBeNull();
    queue.push(new Message('$.a'));
    expect([...read(queue)]).toEqual(['$.a']);
  });
});

describe('The messages of a frame', () => {
  it('are checked when they are read: a malformed one ends the connection (ProtocolError).', () => {
    const plain = record(new Message('$.a', 'abcd'));
    const last = new Message('$.a', null, { inReplyTo: new MessageId(0, 0xffff_ffff), to: 1 });
    const wrong: [string, readonly Buffer[], number][] = [
      ['the first is the same as none', [same('a')], 0],
      ['one ends behind the frame', [plain, plain.subarray(0, plain.length - 4)], 1],
      [
        'a length that is not believed',
        [Buffer.from([0x7f, 0xff, 0xff, 0xff, ...plain.subarray(4)])],
        0,
      ],
      ['no name', [Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])], 0],
      ['more Replies than there are serial numbers', [record(last), same('')], 1],
      ['half a record', [plain, Buffer.from([0, 0])], 1],
    ];
    for (const [what, records, good] of wrong) {
      for (const isShown of [false, true]) {
        const given = batchOf(records, 1);
        const give = (): unknown => (isShown ? given.show(new BorrowedMessage()) : given.next());
        const all = (): void => {
          for (let left = records.length; left > 0; left--) give();
        };
        if (isShown && good > 0) give();
        expect(all, what).toThrow(ProtocolError);
      }
    }
  });

  const inReplyTo = new MessageId(0, 0xff);
  const reply = new Message('$.Reply', 'four', { inReplyTo, to: 5 });
  const limpet = new Message('$.L', 'six', {
    id: new MessageId(7, 8),
    origFrom: new OrigFrom(1, 2),
  });
  const records = [
    record(new Message('$.A', 'one', { flags: 1 << 16 })),
    same('two'),
    record(new Message('$.B')),
    record(reply),
    same('and five'),
    record(limpet),
    record(new Message('$.A', 'seven', { flags: 1 << 16 })),
  ];

  it('have the fields of their records and of the frame.', () => {
    const you = Flag.WANT_YOU_TO_REPLY;
    const all = batchOf(records, 20, 9, you);
    const got: Message[] = [];
    while (all.left > 0) got.push(all.next());
    const flags = (1 << 16) | you;
    const expected = [
      new Message('$.A', 'one', { id: new MessageId(0, 20), from: 9, flags }),
      new Message('$.A', 'two', { id: new MessageId(0, 21), from: 9, flags }),
      new Message('$.B', '', { id: new MessageId(0, 22), from: 9, flags: you }),
      new Message('$.Reply', 'four', {
        id: new MessageId(0, 23),
        from: 9,
        flags: you,
        to: 5,
        inReplyTo,
      }),
      new Message('$.Reply', 'and five', {
        id: new MessageId(0, 24),
        from: 9,
        flags: you,
        to: 5,
        inReplyTo: new MessageId(0, 0x100),
      }),
      new Message('$.L', 'six', {
        id: new MessageId(7, 8),
        from: 9,
        flags: you,
        origFrom: new OrigFrom(1, 2),
      }),
      new Message('$.A', 'seven', { id: new MessageId(0, 26), from: 9, flags }),
    ];
    expect(got.map((one) => one.extract().map(String))).toEqual(
      expected.map((one) => one.extract().map(String)),
    );
    // Messages with equal fields share a head, wherever they stand.
    expect(got[1]?.head).toBe(got[0]?.head);
    expect(got[6]?.head).toBe(got[0]?.head);
  });

  it('are the same whether taken or shown.', () => {
    const [given, shown] = [batchOf(records, 1), batchOf(records, 1)];
    const borrowed = new BorrowedMessage();
    while (given.left > 0) {
      shown.show(borrowed);
      expect(borrowed.keep().extract().map(String)).toEqual(given.next().extract().map(String));
    }
    expect(shown.left).toBe(0);
  });
});

import { describe, expect, it, vi } from 'vitest';
import { MessageBatch } from '../../src/bus/message-batch.ts';
import { entireLength } from '../../src/message/codec/device.ts';
import { RecordCursor } from '../../src/message/codec/records.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Message } from '../../src/message/message.ts';
import { record, same } from '../support/frames.ts';
import { batchOf } from './batch.ts';

const DATA = Uint8Array.from({ length: 100 }, (_, at) => at);

/** A batch of DATA with `before` other bytes before it and `after` after it, in pieces cut at these places. */
function batchOfMessage(before: number, after: number, ...cuts: number[]): MessageBatch {
  const bytes = new Uint8Array(before + DATA.length + after).fill(255);
  bytes.set(DATA, before);
  const [first, ...more] = [0, ...cuts].map((from, at) => bytes.slice(from, cuts[at])) as [
    Uint8Array,
    ...Uint8Array[],
  ];
  const batch = new MessageBatch('$.a', 0, 0, first, before, DATA.length);
  if (more.length > 0) batch.more = more;
  return batch;
}

it.for<[string, MessageBatch]>([
  ['that is all of its memory', batchOfMessage(0, 0)],
  ['at the front of it', batchOfMessage(0, 8)],
  ['in the midst of it', batchOfMessage(12, 8)],
  ['in a Buffer', new MessageBatch('$.a', 0, 0, Buffer.from(DATA), 0, DATA.length)],
  ['in two pieces', batchOfMessage(12, 8, 50)],
  ['in two pieces, of which the first is as long as the data', batchOfMessage(12, 8, DATA.length)],
  ['in many pieces', batchOfMessage(12, 8, 13, 40, 41, 99, 115)],
])('data %s is copied whole, without the bytes around it.', ([, batch]) => {
  const copy = batch.copyData();
  expect([...copy]).toEqual([...DATA]);
  copy.fill(0);
  expect([...batch.copyData()]).toEqual([...DATA]);
});

describe('Messages of a batch', () => {
  const inReplyTo = new MessageId(7, 0xff);
  const limpet = { id: new MessageId(8, 9), origFrom: new OrigFrom(1, 2), to: 4 };
  const reply = new Message('$.Reply', 'five', { inReplyTo, to: 3, flags: 1 << 16 });
  /** The messages, and their records. */
  const ALL: [Message, Buffer][] = [
    [new Message('$.A', 'one'), record(new Message('$.A', 'one'))],
    [new Message('$.A', ''), same('')],
    [new Message('$.A', 'three'), same('three')],
    [new Message('$.A.Longer', '4'), record(new Message('$.A.Longer', '4'))],
    [reply, record(reply)],
    [answering(1, 'and six'), same('and six')],
    [answering(2, 'seven'), same('seven')],
    [new Message('$.L', 'eight', limpet), record(new Message('$.L', 'eight', limpet))],
    [new Message('$.Ask', '9', { flags: 1 }), record(new Message('$.Ask', '9', { flags: 1 }))],
    [new Message('$.Ask', 'ten', { flags: 1 }), same('ten')],
  ];

  function answering(further: number, text: string): Message {
    const next = new MessageId(inReplyTo.networkId, inReplyTo.serialNum + further);
    return new Message('$.Reply', text, { inReplyTo: next, to: 3, flags: 1 << 16 });
  }

  const parcelOfAll = (): MessageBatch => {
    const batch = batchOf(ALL.map(([, bytes]) => bytes));
    batch.token = 100;
    batch.answersByToken = true;
    batch.waits = true;
    batch.detail = 5;
    return batch;
  };

  const told = (batch: MessageBatch): unknown => [
    batch.name,
    batch.flags,
    batch.to,
    [batch.replyNetwork, batch.replySerial],
    [batch.idNetwork, batch.idNetwork === 0 ? 0 : batch.idSerial],
    batch.carried,
    Buffer.from(batch.copyData()).toString(),
    [batch.token, batch.answersByToken, batch.waits, batch.detail],
    [batch.isRequest, batch.isReply, batch.firstSize],
  ];

  const expected = (at: number): unknown => {
    const [message] = ALL[at] as [Message, Buffer];
    const { name, flags, to, id, origFrom, dataLength } = message;
    const answered = message.inReplyTo;
    return [
      name,
      flags,
      to,
      [answered.networkId, answered.serialNum],
      [id.networkId, id.serialNum],
      origFrom.isSet ? { origNetwork: 1, origLocal: 2, finalNetwork: 0, finalLocal: 0 } : null,
      message.text(),
      [100 + at, true, true, 5],
      [(flags & 1) !== 0, answered.isSet, entireLength(name.length, dataLength)],
    ];
  };

  /** The sums over those from `from` up to `to`. */
  const sumsOf = (from: number, to: number): [number, number, number] => {
    const some = ALL.slice(from, to).map(([{ name, dataLength }]) => [name.length, dataLength]);
    const sizes = some.map(([name = 0, data = 0]) => entireLength(name, data));
    const sum = (all: readonly number[]): number => all.reduce((one, other) => one + other, 0);
    return [sum(some.map(([, data = 0]) => data)), sum(sizes), Math.max(...sizes)];
  };

  /** Checks that a batch has exactly the messages from `from` up to `to`, in its sums and one by one. */
  function isAll(batch: MessageBatch, from: number, to: number): void {
    expect(batch.count).toBe(to - from);
    expect(told(batch)).toEqual(expected(from));
    const [data, size, largest] = sumsOf(from, to);
    expect([batch.dataBytes, batch.size]).toEqual([data, size]);
    expect(batch.largest).toBeGreaterThanOrEqual(largest);
    if (batch.count === 1) expect(batch.largest).toBe(largest);
    const starts = Array.from({ length: batch.count + 1 }, (_, at) => batch.startOf(at));
    for (let at = from; at < to; at++) {
      const one = batch.one(at - from);
      expect(told(one)).toEqual(expected(at));
      expect([one.dataBytes, one.size, one.largest]).toEqual(sumsOf(at, at + 1));
      expect([one.startOf(0), one.startOf(1)]).toEqual([starts[at - from], starts[at - from + 1]]);
    }
  }

  it('are each the same as a single message.', () => {
    isAll(parcelOfAll(), 0, ALL.length);
  });

  it('stay the same when the batch is split anywhere, and split again.', () => {
    for (let first = 1; first < ALL.length; first++) {
      const rest = parcelOfAll();
      isAll(rest.split(first), 0, first);
      isAll(rest, first, ALL.length);
      for (let second = 1; second < ALL.length - first; second++) {
        const more = parcelOfAll();
        more.split(first);
        isAll(more.split(second), first, first + second);
        isAll(more, first + second, ALL.length);
      }
    }
  });

  it('of another bus have its ids and their orig_from, however the batch is divided.', () => {
    const [count, network, sender, first] = [6, 7, 3, 0xffff_fff0];
    const records = ['one', 'two', 'three'].map((text) => record(new Message('$.A', text)));
    const of = (batch: MessageBatch): unknown[] =>
      Array.from({ length: batch.count }, (_, at) => {
        const { carried, idNetwork, idSerial } = batch.one(at);
        return [idNetwork, idSerial, carried];
      });
    const carried = { origNetwork: network, origLocal: sender, finalNetwork: 0, finalLocal: 0 };
    const all = Array.from({ length: count }, (_, at) => [network, first + at, carried]);
    for (let at = 1; at < count; at++) {
      const batch = batchOf(records.flatMap((one) => [one, same('again')]));
      batch.comeFrom(network, sender, first);
      expect(of(batch)).toEqual(all);
      expect(of(batch.stretch(at, count - at))).toEqual(all.slice(at));
      const taken = batch.split(at);
      expect([of(taken), of(batch)]).toEqual([all.slice(0, at), all.slice(at)]);
      expect([taken.hasSharedOrigin, batch.hasSharedOrigin]).toEqual([true, true]);
    }
    expect(parcelOfAll().one(7).hasSharedOrigin).toBe(false);
  });

  it('have consecutive ids after the send, also in a part of the batch.', () => {
    const batch = batchOf([record(reply), same('and six'), same('seven'), same('8')]);
    batch.idSerial = 0xffff_fff0;
    batch.from = 12;
    for (let from = 0; from < batch.count; from++) {
      for (let count = 1; count <= batch.count - from; count++) {
        const stretch = batch.stretch(from, count);
        expect(stretch.count).toBe(count);
        for (let at = 0; at < count; at++) {
          const one = stretch.one(at);
          expect([one.idNetwork, one.idSerial, one.from]).toEqual([0, 0xffff_fff0 + from + at, 12]);
          expect([one.replyNetwork, one.replySerial]).toEqual([7, 0xff + from + at]);
        }
      }
    }
  });
});

it('To find a message of a batch takes as many steps, however many messages there are before it.', () => {
  const count = 5000;
  const records = [record(new Message('$.A', 'first')), ...Array(count - 1).fill(same('more'))];
  const batch = batchOf(records);
  const steps = vi.spyOn(RecordCursor.prototype, 'next');
  const most = 512;
  // The first far one finds out where the others are.
  batch.one(count - 1);
  for (const index of [0, 1, 511, 512, 513, 1023, 1024, 2499, 4607, 4608, count - 1]) {
    steps.mockClear();
    expect(Buffer.from(batch.one(index).copyData()).toString()).toBe(
      index === 0 ? 'first' : 'more',
    );
    expect(steps.mock.calls.length).toBeLessThan(most);
  }
  batch.split(10);
  expect(Buffer.from(batch.one(count - 11).copyData()).toString()).toBe('more');
  steps.mockRestore();
});

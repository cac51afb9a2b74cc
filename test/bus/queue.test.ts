import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Binding } from '../../src/bus/binding-tree.ts';
import type { BusKsock } from '../../src/bus/ksock.ts';
import { MessageBatch } from '../../src/bus/message-batch.ts';
import { Queue } from '../../src/bus/queue.ts';
import { RequestRecord } from '../../src/bus/requests.ts';
import { COSTS } from '../../src/bus/settings.ts';
import { checkRecords, RecordWords, writeRecord } from '../../src/message/codec/records.ts';
import { Flag } from '../../src/message/flags.ts';
import { holds, isUsual } from '../model/property.ts';

const NOBODY = {} as BusKsock;
const BINDINGS = ['$.A', '$.B', '$.C'].map((name, at) => new Binding(NOBODY, name, false, at));

function batch(name: string): MessageBatch {
  return new MessageBatch(name, 0, 0, new Uint8Array(0), 0, 0);
}

function listed(queue: Queue): [string, Binding | null][] {
  return Array.from({ length: queue.length }, (_, at) => [queue.batch(at).name, queue.binding(at)]);
}

/** A step with a queue: `at` stands for a binding, or for a place in the queue. */
const step = fc.record({
  do: fc.constantFrom('back', 'back', 'back', 'front', 'drop', 'drop', 'remove', 'clear'),
  at: fc.nat(40),
});

const SIZE = batch('$.A').size;
const REPLYING = new Binding(NOBODY, '$.A', true, 9);

/** A batch of `count` Requests, from this serial number on. */
function batchOf(count: number, serial: number): MessageBatch {
  const words = new RecordWords();
  const bytes = new Uint8Array(64 * count);
  let at = 0;
  for (let one = 0; one < count; one++) {
    at = writeRecord(bytes, at, '$.A', Flag.WANT_A_REPLY, 0, words, 0);
  }
  const sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };
  expect(checkRecords(bytes, 0, at, count, 0, sums)).toBe('');
  const batch = MessageBatch.ofRecords(bytes, 0, at, count, sums, null);
  batch.idSerial = serial;
  const records = Array.from(
    { length: count },
    (_, one) => new RequestRecord(0, serial + one, NOBODY, -1),
  );
  batch.requests = count === 1 ? (records[0] as RequestRecord) : records;
  return batch;
}

/** The serial numbers of its Requests, by their records. */
function requestsOf(queue: Queue): (number | undefined)[] {
  return Array.from({ length: queue.entries }, (_, entry) => entry).flatMap((entry) => {
    const of = queue.batch(entry);
    const unread = Array.from({ length: of.count }, (_, index) => of.requestOf(index)?.serial);
    return unread.slice(queue.readOf(entry));
  });
}

/** A batch has its whole weight until all of it is read. */
function weightOf(queue: Queue): number {
  let weight = 0;
  for (let entry = 0; entry < queue.entries; entry++) {
    weight += queue.batch(entry).count * SIZE + COSTS.message + COSTS.place;
  }
  return weight;
}

/** The number of messages before the mark. */
function marked(queue: Queue): number {
  let count = 0;
  for (let entry = 0; entry < queue.marked; entry++) {
    count += queue.batch(entry).count - queue.readOf(entry);
  }
  if (queue.marked === queue.entries) return count;
  return count + queue.markedWithin - queue.readOf(queue.marked);
}

const batchStep = fc.record({
  do: fc.constantFrom('batch', 'batch', 'drop', 'mark', 'mark', 'unmark', 'take out', 'take out'),
  at: fc.nat(40),
});

describe('a queue', () => {
  it('keeps the order that an array would keep, in all sequences of steps', () => {
    holds(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const queue = new Queue();
        let array: [string, Binding | null][] = [];
        let made = 0;
        for (const { do: what, at } of steps) {
          // One message in four is tied to no binding.
          const binding = BINDINGS[at % 4] ?? null;
          const entry: [string, Binding | null] = [`$.N${++made}`, binding];
          if (what === 'back') {
            queue.pushBack(batch(entry[0]), binding);
            array.push(entry);
          } else if (what === 'front') {
            queue.pushFront(batch(entry[0]), binding);
            array.unshift(entry);
          } else if (what === 'drop' && array.length > 0) {
            queue.drop(at % array.length);
            array.splice(at % array.length, 1);
          } else if (what === 'remove' && binding !== null) {
            const removed: string[] = [];
            queue.remove(binding, ({ name }) => removed.push(name));
            expect(removed).toEqual(array.filter(([, tied]) => tied === binding).map(([n]) => n));
            array = array.filter(([, tied]) => tied !== binding);
          } else if (what === 'clear' && at === 0) {
            queue.clear();
            array = [];
          }
          expect(listed(queue)).toEqual(array);
        }
      }),
    );
  });

  it('removes any Request after its mark, also from a batch, and keeps all others in order', () => {
    const seen = { split: 0, last: 0, behindMark: 0 };
    holds(
      fc.property(fc.array(batchStep, { maxLength: 60, size: 'max' }), (steps) => {
        const queue = new Queue();
        let records: RequestRecord[] = [];
        /** The number of Requests before the mark. */
        let shown = 0;
        let serial = 1;
        for (const { do: what, at } of steps) {
          if (what === 'batch') {
            const batch = batchOf((at % 5) + 1, serial);
            serial += batch.count;
            queue.pushBack(batch, REPLYING);
            records.push(...([batch.requests].flat() as RequestRecord[]));
          } else if (what === 'drop' && records.length > 0) {
            queue.drop(0);
            records.shift();
            shown = Math.max(0, shown - 1);
          } else if (what === 'mark' && shown < records.length) {
            queue.mark(1);
            shown++;
          } else if (what === 'unmark' && at % 4 === 0) {
            queue.unmark();
            shown = 0;
          } else if (what === 'take out' && records.length > 0) {
            const place = at % records.length;
            const found = queue.findRequest(records[place] as RequestRecord);
            if (place < shown) {
              expect(found).toBeNull();
            } else {
              const { entry, index } = found as { entry: number; index: number };
              const { length } = queue;
              const parts = queue.takeOut(entry, index);
              expect(queue.length).toBe(length - 1);
              if (parts?.length === 2) seen.split++;
              if (parts?.length === 1) seen.last++;
              if (place === shown && shown > 0) seen.behindMark++;
              records = records.toSpliced(place, 1);
            }
          }
          expect(requestsOf(queue)).toEqual(records.map((record) => record.serial));
          expect(marked(queue)).toBe(shown);
          expect(queue.weight).toBe(weightOf(queue));
        }
      }),
      300,
    );
    if (isUsual) expect(Object.values(seen).every((count) => count > 0)).toBe(true);
  });

  it('finds no Request by a binding that does not answer it', () => {
    const queue = new Queue();
    const batch = batchOf(3, 1);
    const [first] = batch.requests as RequestRecord[];
    queue.pushBack(batch, BINDINGS[0] as Binding);
    expect(queue.findRequest(first as RequestRecord)).toBeNull();
    queue.pushBack(batch, REPLYING);
    expect(queue.findRequest(first as RequestRecord)).toEqual({ entry: 1, index: 0 });
  });

  it('works after it released the memory of a busy hour', () => {
    const queue = new Queue();
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 20_000; number++) queue.pushBack(batch(`$.N${number}`), null);
      for (let number = 0; number < 20_000; number++) {
        expect(queue.batch(0).name).toBe(`$.N${number}`);
        queue.drop(0);
      }
      expect(queue.length).toBe(0);
    }
  });

  it('keeps its order while it grows by pages, and releases each batch that was taken', () => {
    const queue = new Queue();
    const expected: MessageBatch[] = [];
    const push = (count: number, name: string): void => {
      for (let at = 0; at < count; at++) {
        const one = batch(name);
        if (at % 1000 === 999) {
          queue.pushFront(one, null);
          expected.unshift(one);
        } else {
          queue.pushBack(one, at % 3 === 0 ? (BINDINGS[0] as Binding) : null);
          expected.push(one);
        }
      }
    };
    // Each time, the first entry is somewhere else in its page when the ring grows.
    for (const [more, less] of [
      [5000, 1500],
      [6000, 3000],
      [20_000, 7777],
      [30_000, 1],
    ] as const) {
      push(more, '$.A');
      for (let at = 0; at < less; at++) {
        expect(queue.batch(0)).toBe(expected.shift());
        queue.drop(0);
      }
      const there = Array.from({ length: queue.entries }, (_, entry) => queue.batch(entry));
      expect(there.every((one, at) => one === expected[at])).toBe(true);
      expect(there).toHaveLength(expected.length);
    }
    queue.remove(BINDINGS[0] as Binding, (one) => expected.splice(expected.indexOf(one), 1));
    expect(queue.entries).toBe(expected.length);
    for (const one of expected) {
      expect(queue.batch(0)).toBe(one);
      if (queue.entries > 1) queue.drop(0);
    }
    const { ring } = queue as unknown as { ring: { pages: ({ batches: unknown[] } | null)[] } };
    const { pages } = ring;
    expect(pages.length).toBeGreaterThan(8);
    const kept = pages.flatMap((page) => page?.batches ?? []);
    expect(kept.filter((one) => one !== undefined)).toEqual([expected.at(-1)]);
  });
});

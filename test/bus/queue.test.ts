import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BusKsock } from '../../src/bus/ksock.ts';
import { Parcel } from '../../src/bus/parcel.ts';
import { Queue } from '../../src/bus/queue.ts';
import { Binding } from '../../src/bus/routes.ts';
import { holds } from '../model/property.ts';

const NOBODY = {} as BusKsock;
const BINDINGS = ['$.A', '$.B', '$.C'].map((name, at) => new Binding(NOBODY, name, false, at));

function parcel(name: string): Parcel {
  return new Parcel(name, 0, 0, new Uint8Array(0), 0, 0);
}

function listed(queue: Queue): [string, Binding | null][] {
  return Array.from({ length: queue.length }, (_, at) => [
    queue.parcel(at).name,
    queue.binding(at),
  ]);
}

/** What is done to a queue: `at` stands for a binding, or for a place in the queue. */
const step = fc.record({
  do: fc.constantFrom('back', 'back', 'back', 'front', 'drop', 'drop', 'remove', 'clear'),
  at: fc.nat(40),
});

describe('a queue', () => {
  it('keeps the order that an array would keep, whatever is done to it', () => {
    holds(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const queue = new Queue();
        let array: [string, Binding | null][] = [];
        let made = 0;
        for (const { do: what, at } of steps) {
          // One in four is tied to no binding.
          const binding = BINDINGS[at % 4] ?? null;
          const entry: [string, Binding | null] = [`$.N${++made}`, binding];
          if (what === 'back') {
            queue.pushBack(parcel(entry[0]), binding);
            array.push(entry);
          } else if (what === 'front') {
            queue.pushFront(parcel(entry[0]), binding);
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

  it('goes on after it let go of the memory of a busy hour', () => {
    const queue = new Queue();
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 20_000; number++) queue.pushBack(parcel(`$.N${number}`), null);
      for (let number = 0; number < 20_000; number++) {
        expect(queue.parcel(0).name).toBe(`$.N${number}`);
        queue.drop(0);
      }
      expect(queue.length).toBe(0);
    }
  });

  it('lets go of each parcel that it gave away', () => {
    const queue = new Queue();
    for (const name of ['$.A', '$.B', '$.C']) queue.pushBack(parcel(name), BINDINGS[0] ?? null);
    queue.drop(1);
    queue.drop(0);
    queue.remove(BINDINGS[0] as Binding, () => {});
    const { parcels } = queue as unknown as { parcels: unknown[] };
    expect(parcels.filter((kept) => kept !== undefined)).toEqual([]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { TapEvent } from '../../src/tap/events.ts';
import type { Sequence } from '../model/operations.ts';
import { holds } from '../model/property.ts';
import {
  anySequence,
  crowdedSequence,
  repeatedSequence,
  waitingSequence,
} from '../model/sequences.ts';
import { runSequence } from '../model/side-by-side.ts';
import { Observed, stateOfBus, stateOfView } from './observed.ts';

/** Of the state of the bus, not of what happens on it. */
const OF_STATE: readonly TapEvent['type'][] = ['begin', 'ksock', 'binding', 'ready', 'lost'];

const happenings = (events: readonly TapEvent[]): TapEvent[] =>
  events.filter(({ type }) => !OF_STATE.includes(type));

/** Does a sequence on a bus; `made` gets the bus, and gives what is called after each operation. */
function play(sequence: Sequence, made: (bus: Bus) => () => void): void {
  let check = (): void => {};
  const make = (settings: ConstructorParameters<typeof Bus>[0]): Bus => {
    const bus = new Bus(settings);
    check = made(bus);
    return bus;
  };
  runSequence(sequence, make, undefined, () => check());
}

describe('a view that applies all events of a tap shows the state of the bus after each call', () => {
  it.for([
    ['of any program', anySequence, 300],
    ['of waiting senders', waitingSequence, 300],
    ['with ids that occur twice', repeatedSequence, 200],
    ['on crowded queues', crowdedSequence, 10],
  ] as const)('%s.', ([, sequences, runs]) => {
    const property = fc.property(sequences, (sequence) =>
      play(sequence, (bus) => {
        const observed = new Observed(bus);
        return () => {
          observed.take();
          expect(stateOfView(observed.view)).toEqual(stateOfBus(bus));
        };
      }),
    );
    holds(property, runs);
  });

  it('of a tap that begins in the middle.', () => {
    const property = fc.property(anySequence, fc.nat(30), (sequence, first) =>
      play(sequence, (bus) => {
        let observed: Observed | null = null;
        let calls = 0;
        return () => {
          if (calls++ < first) return;
          observed ??= new Observed(bus);
          observed.take();
          expect(stateOfView(observed.view)).toEqual(stateOfBus(bus));
        };
      }),
    );
    holds(property, 200);
  });
});

describe('a reader that is too slow', () => {
  it('is told exactly how many events were lost, and gets the state again.', () => {
    let times = 0;
    const property = fc.property(
      anySequence,
      fc.integer({ min: 3000, max: 6000 }),
      fc.integer({ min: 2, max: 40 }),
      (sequence, size, every) => {
        let end = (): void => {};
        play(sequence, (bus) => {
          const quick = new Observed(bus);
          const slow = new Observed(bus, {}, size);
          let hasWaited = false;
          let [calls, all, got, sent, gotSent] = [0, 0, 0, 0, 0];
          const count = (events: readonly TapEvent[]): number =>
            events.reduce((sum, one) => sum + (one.type === 'messages' ? one.count : 0), 0);
          end = () => {
            const events = quick.take();
            all += happenings(events).length;
            sent += count(events);
            const taken = slow.take();
            expect(slow.tap.held).toBe(0);
            expect(stateOfView(slow.view)).toEqual(stateOfBus(bus));
            got += happenings(taken).length;
            gotSent += count(taken);
            const { lostEvents, lostMessages } = slow.view;
            if (lostEvents > 0) times++;
            // A message that waits may be shown again after a loss.
            if (events.some(({ type }) => type === 'waiting')) hasWaited = true;
            if (hasWaited) return;
            expect(got + lostEvents).toBe(all);
            expect(gotSent + lostMessages).toBe(sent);
          };
          return () => {
            expect(slow.tap.held).toBeLessThanOrEqual(size);
            if (++calls % every === 0) end();
          };
        });
        end();
      },
    );
    holds(property, 200);
    expect(times).toBeGreaterThan(20);
  });
});

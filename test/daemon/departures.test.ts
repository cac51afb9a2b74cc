import { beforeEach, describe, expect, it } from 'vitest';
import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { type Steps, Work } from '../../src/bus/work.ts';
import { Departures } from '../../src/daemon/departures.ts';
import { Turns } from '../../src/daemon/turns.ts';

const LIMIT = 1000;

describe('Connections whose clients have ended (spec 1 §14.2)', () => {
  let later: (() => void)[] = [];
  let closed: number[] = [];
  let work: Work;
  let departures: Departures;
  beforeEach(() => {
    later = [];
    closed = [];
    work = new Work(LIMIT);
    departures = new Departures(new Turns(work, (turn) => later.push(turn), new FlushScheduler()));
  });

  const end = (from: number, count: number): void => {
    for (let at = from; at < from + count; at++) departures.add(() => closed.push(at));
  };
  /** Runs one turn; how many were closed in it. */
  const turn = (): number => {
    const before = closed.length;
    later.shift()?.();
    return closed.length - before;
  };

  it('are closed at once while the turn lasts.', () => {
    end(0, 2);
    expect(closed).toEqual([0, 1]);
  });

  it('are closed some in each turn when there are many, in their order.', () => {
    end(0, 100);
    const atOnce = closed.length;
    expect(atOnce).toBeLessThan(10);
    const turns: number[] = [];
    while (later.length > 0) turns.push(turn());
    expect(Math.max(...turns)).toBeLessThan(10);
    expect(closed).toEqual(Array.from({ length: 100 }, (_, at) => at));
  });

  it('are closed in later turns, and so is what they leave, when Node itself has closed many others.', () => {
    let isClearedAway = false;
    for (let at = 0; at < 100; at++) departures.closedAnother();
    function* clearAway(): Steps {
      yield;
      isClearedAway = true;
    }
    work.run(clearAway());
    end(0, 1);
    expect([isClearedAway, closed]).toEqual([false, []]);
    while (later.length > 0) turn();
    expect([isClearedAway, closed]).toEqual([true, [0]]);
  });

  it('are closed in a later turn when others have used up this one, and then do not hold up who comes next.', () => {
    work.done = LIMIT;
    end(0, 1);
    expect(closed).toEqual([]);
    expect(turn()).toBe(1);
    while (later.length > 0) turn();
    expect(work.isTurnOver).toBe(false);
    end(1, 1);
    expect(closed).toEqual([0, 1]);
  });
});

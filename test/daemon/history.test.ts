import { describe, expect, it } from 'vitest';
import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { systemTimers } from '../../src/base/timers.ts';
import { Bus } from '../../src/bus/bus.ts';
import { Memory } from '../../src/bus/memory.ts';
import { Work } from '../../src/bus/work.ts';
import { History } from '../../src/daemon/history.ts';
import { Turns } from '../../src/daemon/turns.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { EventReader } from '../../src/tap/event-reader.ts';
import type { TapEvent } from '../../src/tap/events.ts';
import { Program } from '../bus/program.ts';

const SIZE = 256 * 1024;

/** A history whose clock and turns the test moves on. */
class Kept {
  readonly work: Work;
  readonly bus: Bus;
  readonly flushes = new FlushScheduler();
  readonly turns: Turns;
  now = 0;
  readonly history: History;
  private due: (() => void)[] = [];

  constructor(stepsOfTurn = Number.POSITIVE_INFINITY) {
    this.work = new Work(stepsOfTurn);
    this.bus = new Bus({
      common: { memory: new Memory(2 ** 30), names: new NameNumbers(), work: this.work },
    });
    const schedule = (turn: () => void): void => {
      this.due.push(turn);
    };
    this.turns = new Turns(this.work, schedule, this.flushes);
    const timers = { ...systemTimers, now: () => this.now };
    this.history = new History(this.bus, SIZE, this, timers);
  }

  /** Lets the daemon's next turns happen, until nothing is left to do; gives their number. */
  settle(): number {
    let count = 0;
    this.turns.check();
    while (this.due.length > 0) {
      this.due.shift()?.();
      count++;
    }
    return count;
  }

  past(milliseconds: number): TapEvent[] {
    const reader = new EventReader();
    return this.history.past(milliseconds).flatMap((block) => reader.read(block));
  }

  /** Announces some KiB, a millisecond each. */
  announce(program: Program, kib: number): void {
    for (let at = 0; at < kib; at++) {
      this.now++;
      program.announce('$.Big', { data: 'x'.repeat(1000) });
      this.flushes.flush();
    }
  }
}

const namesOf = (events: readonly TapEvent[]): string[] =>
  events.flatMap((event) =>
    event.type === 'messages' ? event.messages.map(({ name }) => name) : [],
  );

describe('The history of a bus', () => {
  it('keeps what happened, with the state of the bus before it', () => {
    const kept = new Kept();
    const program = new Program(kept.bus);
    program.listen('$.A');
    program.announce('$.A');
    const events = kept.past(1000);
    expect(events[0]?.type).toBe('begin');
    expect(events.map(({ type }) => type)).toContain('opened');
    expect(namesOf(events)).toEqual(['$.A']);
  });

  it('never holds more than its size, counts it, and gives it back', () => {
    const kept = new Kept();
    const { share } = kept.bus;
    const program = new Program(kept.bus);
    kept.announce(program, 1500);
    const bytes = kept.history.past(1e9).reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThanOrEqual(SIZE);
    expect(bytes).toBeGreaterThan(SIZE / 2);
    const held = share.held;
    kept.history.stop();
    expect(held - share.held).toBeGreaterThanOrEqual(bytes);
    expect(held - share.held).toBeLessThanOrEqual(SIZE);
    expect(share.held).toBeLessThan(20_000);
  });

  it('begins with the state of the bus, however much it has forgotten', () => {
    const kept = new Kept();
    const listener = new Program(kept.bus);
    listener.listen('$.Known.*');
    const program = new Program(kept.bus);
    for (let round = 0; round < 20; round++) {
      kept.announce(program, 100);
      const events = kept.past(1e9);
      expect(events[0]?.type).toBe('begin');
      const bindings = events.filter(({ type }) => type === 'binding' || type === 'bound');
      expect(bindings).toContainEqual(expect.objectContaining({ name: '$.Known.*' }));
      expect(events.some(({ type }) => type === 'lost')).toBe(false);
    }
  });

  it('gives the time that it is asked for, and what came before back to the last state', () => {
    const kept = new Kept();
    const program = new Program(kept.bus);
    kept.announce(program, 200);
    const all = namesOf(kept.past(1e9)).length;
    const some = namesOf(kept.past(10)).length;
    expect(some).toBeGreaterThanOrEqual(10);
    expect(some).toBeLessThan(all);
  });

  it('notes a large state in several turns, between which others are served', () => {
    const kept = new Kept(100);
    const program = new Program(kept.bus);
    for (let at = 0; at < 500; at++) program.listen(`$.Name${at}`);
    kept.work.begin();
    kept.announce(program, 70);
    expect(kept.settle()).toBeGreaterThan(5);
    const events = kept.past(0);
    expect(events[0]?.type).toBe('begin');
    expect(events.filter(({ type }) => type === 'binding')).toHaveLength(500);
    expect(events.some(({ type }) => type === 'ready')).toBe(true);
  });
});

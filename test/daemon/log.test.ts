import { beforeEach, describe, expect, it } from 'vitest';
import { Log } from '../../src/daemon/log.ts';

/** What was written, without the time of each line; and whether there is room. */
let written: string[];
let hasRoom: boolean;
const write = (line: string): boolean => {
  if (hasRoom) written.push(line.replace(/^\S+ /, ''));
  return hasRoom;
};
beforeEach(() => {
  written = [];
  hasRoom = true;
});

/** A clock that a test moves. */
class Clock {
  private time = 0;
  private due: { at: number; callback: () => void }[] = [];

  readonly timers = {
    now: () => this.time,
    setTimeout: (callback: () => void, milliseconds: number) => {
      this.due.push({ at: this.time + milliseconds, callback });
      return 0;
    },
    clearTimeout: () => {
      this.due = [];
    },
  };

  pass(milliseconds: number): void {
    this.time += milliseconds;
    for (const { callback } of this.due.filter(({ at }) => at <= this.time)) callback();
    this.due = this.due.filter(({ at }) => at > this.time);
  }
}

describe('The rate of a log', () => {
  const bad = (log: Log, count: number): void => {
    for (let one = 0; one < count; one++)
      log.warn(`bus 0, Ksock ${one}: '${one}' is no name, in ${one * 7} bytes`);
  };

  it('is limited for each kind of line; a second later it reports how many more there were.', () => {
    const clock = new Clock();
    const log = new Log('human', write, clock.timers);
    bad(log, 12_018);
    log.warn('another kind');
    log.error('bus 0, Ksock 1: the same at another level');
    expect(written).toHaveLength(22);
    expect(written.slice(19)).toEqual([
      "warn  bus 0, Ksock 19: '19' is no name, in 133 bytes\n",
      'warn  another kind\n',
      'error bus 0, Ksock 1: the same at another level\n',
    ]);
    clock.pass(999);
    bad(log, 1);
    expect(written).toHaveLength(22);
    clock.pass(1);
    expect(written.slice(22)).toEqual([
      "warn  and 11,999 more like this: bus 0, Ksock 0: '0' is no name, in 0 bytes\n",
    ]);
    bad(log, 30);
    expect(written).toHaveLength(43);
    clock.pass(1000);
    expect(written.at(-1)).toContain('and 10 more like this');
    clock.pass(5000);
    expect(written).toHaveLength(44);
  });

  it('is limited in JSON, too, with the number as a field.', () => {
    const clock = new Clock();
    const lines: string[] = [];
    const log = new Log('json', (line) => lines.push(line), clock.timers);
    bad(log, 25);
    log.reportSuppressed();
    const [last, ...others] = lines.map((line) => JSON.parse(line)).reverse();
    expect(others).toHaveLength(20);
    expect(last).toMatchObject({ level: 'warn', suppressed: 5 });
    clock.pass(1000);
    expect(lines).toHaveLength(21);
  });

  it('allows a debug log 1000 lines of a kind in a second.', () => {
    const clock = new Clock();
    const log = new Log('human', write, clock.timers);
    for (let one = 0; one < 5000; one++) log.debug(`bus 0: Ksock ${one} opened (rw, pid ${one})`);
    expect(written).toHaveLength(1000);
    log.reportSuppressed();
    expect(written.at(-1)).toBe(
      'debug and 4,000 more like this: bus 0: Ksock 4999 opened (rw, pid 4999)\n',
    );
  });

  it('is limited for lines without end of ever new kinds.', () => {
    const clock = new Clock();
    const log = new Log('human', write, clock.timers);
    const word = (one: number): string => one.toString(2).replaceAll('0', 'a').replaceAll('1', 'b');
    for (let one = 0; one < 5000; one++) log.warn(`it said ${word(one)}`);
    // 64 kinds, and 20 lines of all others together.
    expect(written).toHaveLength(84);
    clock.pass(1000);
    expect(written).toHaveLength(85);
    log.warn('a new kind');
    expect(written.at(-1)).toBe('warn  a new kind\n');
  });

  it('never suppresses a bug.', () => {
    const log = new Log('human', write, new Clock().timers);
    for (let one = 0; one < 50; one++) log.bug('Error: oh');
    expect(written).toHaveLength(50);
  });
});

describe('A log', () => {
  it('reports how many lines it dropped before it writes the next one.', () => {
    const log = new Log('human', write);
    log.info('one');
    hasRoom = false;
    for (const text of ['two', 'three']) log.warn(text);
    hasRoom = true;
    log.error('four');
    log.error('five');
    expect(written).toEqual([
      'info  one\n',
      'warn  dropped 2 lines that this log could not be written\n',
      'error four\n',
      'error five\n',
    ]);
  });

  it('reports them once lines can be written, even without a next line.', () => {
    const log = new Log('human', write);
    hasRoom = false;
    log.info('one');
    expect(log.reportDropped()).toBe(false);
    hasRoom = true;
    expect(log.reportDropped()).toBe(true);
    expect(log.reportDropped()).toBe(true);
    expect(written).toEqual(['warn  dropped 1 line that this log could not be written\n']);
  });

  it('reports them in JSON as a number.', () => {
    const lines: string[] = [];
    const log = new Log('json', (line) => hasRoom && lines.push(line));
    hasRoom = false;
    log.info('one');
    hasRoom = true;
    log.info('two', { bus: 3 });
    const told = lines.map((line) => JSON.parse(line));
    expect(told).toMatchObject([
      { level: 'warn', dropped: 1 },
      { level: 'info', text: 'two', bus: 3 },
    ]);
  });

  it('escapes newlines in texts of other programs, but not in a bug’s stack.', () => {
    const log = new Log('human', write);
    log.warn('a\nwarn  forged\x1b[2J');
    log.bug('Error\n    at here\x1b');
    expect(written).toEqual([
      'warn  a\\nwarn  forged\\x1b[2J\n',
      'error Error\n    at here\\x1b\n',
    ]);
  });
});

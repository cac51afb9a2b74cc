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

describe('A log', () => {
  it('says how many lines it dropped, before the next one that it writes.', () => {
    const log = new Log('human', write);
    log.info('one');
    hasRoom = false;
    for (const text of ['two', 'three']) log.warn(text);
    hasRoom = true;
    log.error('four');
    log.error('five');
    expect(written).toEqual([
      'info  one\n',
      'warn  2 lines were dropped from this log, which took no more\n',
      'error four\n',
      'error five\n',
    ]);
  });

  it('says so when it is told that there is room, though it has nothing else to say.', () => {
    const log = new Log('human', write);
    hasRoom = false;
    log.info('one');
    expect(log.tellDropped()).toBe(false);
    hasRoom = true;
    expect(log.tellDropped()).toBe(true);
    expect(log.tellDropped()).toBe(true);
    expect(written).toEqual(['warn  1 line was dropped from this log, which took no more\n']);
  });

  it('says it to programs as a number.', () => {
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

  it('shows what others said as one line, and a bug as several.', () => {
    const log = new Log('human', write);
    log.warn('a\nwarn  forged\x1b[2J');
    log.bug('Error\n    at here\x1b');
    expect(written).toEqual([
      'warn  a\\nwarn  forged\\x1b[2J\n',
      'error Error\n    at here\\x1b\n',
    ]);
  });
});

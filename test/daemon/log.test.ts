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

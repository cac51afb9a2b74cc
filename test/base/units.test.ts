import { describe, expect, it } from 'vitest';
import { bytes, count, counted, duration } from '../../src/base/units.ts';

describe('A quantity', () => {
  it.each([
    [0, '0 µs'],
    [0.0042, '4 µs'],
    [0.9994, '999 µs'],
    [0.9996, '1.0 ms'],
    [9.96, '10 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [99_940, '99.9 s'],
    [99_960, '2 min'],
    [5_960_000, '99 min'],
    [5_990_000, '2 h'],
    [864_000_000, '240 h'],
  ])('of %s milliseconds is %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [0, '0'],
    [0.44, '0.4'],
    [3, '3'],
    [9.96, '10'],
    [19800.4, '19,800'],
  ])('of %s things is %s', (value, text) => expect(count(value)).toBe(text));

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [40 * 1024 * 1024, '40 MiB'],
    [1024 ** 3 * 2.5, '2.5 GiB'],
  ])('of %s bytes is %s', (value, text) => expect(bytes(value)).toBe(text));

  it('has its noun in the singular for one', () => {
    expect([counted(1, 'Ksock'), counted(2, 'Ksock'), counted(0, 'entry', 'entries')]).toEqual([
      '1 Ksock',
      '2 Ksocks',
      '0 entries',
    ]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumberMap } from '../../src/base/number-map.ts';
import { holds } from '../model/property.ts';

describe('A map with numbers as keys', () => {
  // Adjacent, evenly spaced, at both ends of u32, and few enough to occur again.
  const key = fc.oneof(
    fc.nat(40),
    fc.nat(40).map((at) => at * 1024),
    fc.nat(40).map((at) => (2 ** 32 - 20 + at) % 2 ** 32),
  );
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ set: key }) },
    { weight: 2, arbitrary: fc.record({ take: key }) },
    { weight: 1, arbitrary: fc.record({ get: key }) },
  );

  it('behaves like a Map.', { timeout: 300_000 }, () => {
    holds(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const map = new NumberMap<string>();
        const expected = new Map<number, string>();
        for (const [at, each] of steps.entries()) {
          if ('set' in each) {
            map.set(each.set, `${at}`);
            expected.set(each.set, `${at}`);
          } else if ('take' in each) {
            expect(map.take(each.take)).toBe(expected.get(each.take));
            expected.delete(each.take);
          } else {
            expect(map.get(each.get)).toBe(expected.get(each.get));
          }
          expect(map.size).toBe(expected.size);
        }
        expect(new Map(map.oldestFirst(0))).toEqual(expected);
        const keys = new Map([...expected].map(([one, value]) => [value, one]));
        for (let value = map.any(); value !== undefined; value = map.any()) {
          const one = keys.get(value) as number;
          expect(map.take(one)).toBe(value);
          expected.delete(one);
        }
        expect(expected.size).toBe(0);
        expect([map.size, map.oldestFirst(0)]).toEqual([0, []]);
      }),
      200,
    );
  });

  it('behaves like a Map with a million keys, and gives all of them back.', () => {
    // Those of a program: one after the other, from anywhere.
    const first = 0xffff_0000;
    const map = new NumberMap<number>();
    const key = (at: number): number => (first + at) >>> 0;
    for (let at = 0; at < 1_000_000; at++) map.set(key(at), at);
    expect(map.size).toBe(1_000_000);
    let wrong = 0;
    for (let at = 0; at < 1_000_000; at++) {
      if (map.get(key(at)) !== at) wrong++;
      if (at % 3 === 0 && map.take(key(at)) !== at) wrong++;
      if (at % 3 === 1) map.set(key(at), -at);
    }
    expect([wrong, map.size, map.get(key(999_999)), map.take(key(0))]).toEqual([
      0,
      666_666,
      undefined,
      undefined,
    ]);
    expect(map.oldestFirst(key(1_000_000)).slice(0, 3)).toEqual([
      [key(1), -1],
      [key(2), 2],
      [key(4), -4],
    ]);
    for (let value = map.any(); value !== undefined; value = map.any()) {
      if (map.take(key(Math.abs(value))) !== value) wrong++;
    }
    expect([wrong, map.size]).toEqual([0, 0]);
    map.set(7, 7);
    expect([map.get(7), map.any()]).toEqual([7, 7]);
  });

  it('gives its keys in the order of allocation, also after they wrapped.', () => {
    const map = new NumberMap<string>();
    for (const given of [2, 0, 0xffff_ffff, 1, 0xffff_fffe]) map.set(given, `at ${given}`);
    const order = (next: number): number[] => map.oldestFirst(next).map(([one]) => one);
    expect(order(3)).toEqual([0xffff_fffe, 0xffff_ffff, 0, 1, 2]);
    expect(order(0xffff_fffe)).toEqual([0xffff_fffe, 0xffff_ffff, 0, 1, 2]);
    expect(order(0)).toEqual([0, 1, 2, 0xffff_fffe, 0xffff_ffff]);
  });

  it('works for a second burst of very many keys.', () => {
    const map = new NumberMap<number>();
    for (let burst = 0; burst < 2; burst++) {
      for (let one = 0; one < 20_000; one++) map.set(one, one);
      for (let one = 19_999; one >= 0; one--) expect(map.take(one)).toBe(one);
      expect(map.take(5)).toBeUndefined();
    }
    map.set(7, 7);
    map.clear();
    expect([map.get(7), map.size]).toEqual([undefined, 0]);
  });
});

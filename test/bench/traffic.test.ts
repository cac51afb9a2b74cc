import { expect, test } from 'vitest';
import { lengthsOf, namesOf, shareOf, topicsOf } from '../../bench/traffic.mjs';

test('a thousand names are distinct, with four words after the first, and 20 to 40 characters', () => {
  const names = namesOf(1000);
  expect(new Set(names).size).toBe(1000);
  for (const name of names) expect(name).toMatch(/^\$\.Plant\.\w+\.\w+\.\w+$/);
  const lengths = names.map(({ length }) => length);
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(20);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(40);
  expect(new Set(lengths).size).toBeGreaterThan(10);
});

test('fewer names are the first of the thousand', () => {
  expect(namesOf(10)).toEqual(namesOf(1000).slice(0, 10));
});

test('other buses have the same names, with their own separators', () => {
  const names = namesOf(3);
  expect(topicsOf(3, '/')).toEqual(names.map((name) => name.slice(2).replaceAll('.', '/')));
});

test('every name is answered by exactly one of the processes', () => {
  const names = namesOf(16);
  const shares = [0, 1, 2, 3].map((number) => shareOf(names, { receivers: 4 }, number));
  expect(shares.map(({ length }) => length)).toEqual([4, 4, 4, 4]);
  expect(shares.flat().sort()).toEqual(names.toSorted());
});

test('the lengths of data range from the smallest to the largest, and are the same in every process', () => {
  const lengths = lengthsOf({ least: 16, size: 256 });
  expect(Math.min(...lengths)).toBe(16);
  expect(Math.max(...lengths)).toBe(256);
  expect(lengthsOf({ least: 16, size: 256 })).toEqual(lengths);
  expect(lengthsOf({ least: 64, size: 64 })).toEqual([64]);
});

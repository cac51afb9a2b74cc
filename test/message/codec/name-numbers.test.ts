import { beforeEach, describe, expect, it } from 'vitest';
import { ByNumber } from '../../../src/message/codec/by-number.ts';
import { knownNames, MAX_KNOWN } from '../../../src/message/codec/known-names.ts';
import { NameNumbers } from '../../../src/message/codec/name-numbers.ts';
import { checkRecords, HeadReader, numberAt } from '../../../src/message/codec/records.ts';
import { Flag } from '../../../src/message/flags.ts';
import { Message } from '../../../src/message/message.ts';
import { record } from '../../support/frames.ts';

const SUMS = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };

/** The record of this name after a daemon with these numbers has checked it; its client gave it `number`. */
function numbered(numbers: NameNumbers, name: string, number = 0, flags = 0): Uint8Array {
  const bytes = Uint8Array.from(record(new Message(name, 'data', { flags }), 0, number));
  expect(checkRecords(bytes, 0, bytes.length, 1, 0, SUMS, numbers)).toBe('');
  return bytes;
}

const numberOf = (numbers: NameNumbers, name: string, number = 0): number =>
  numberAt(numbered(numbers, name, number), 4);

beforeEach(() => knownNames.clear());

describe('The number of a name', () => {
  it('is the same for each record that has the name, from the second one on.', () => {
    const numbers = new NameNumbers();
    for (const name of ['$.a', '$.b']) expect(numberOf(numbers, name)).toBeGreaterThan(MAX_KNOWN);
    const lasting = ['$.a', '$.b'].map((name) => numberOf(numbers, name));
    expect(lasting).toEqual([1, 2]);
    expect(['$.a', '$.b'].map((name) => numberOf(numbers, name))).toEqual(lasting);
    const others = new NameNumbers();
    expect(['$.b', '$.b'].map((name) => numberOf(others, name)).at(-1)).toBe(2);
  });

  it('does not last for a name that comes once, or is not well formed.', () => {
    const numbers = new NameNumbers();
    const wrong = ['$.a b', '$', '$.a', '$.b', '$.c'];
    for (const name of wrong) expect(numberOf(numbers, name)).toBeGreaterThan(MAX_KNOWN);
    expect(numberOf(numbers, '$.a b')).toBeGreaterThan(MAX_KNOWN);
    expect(numberOf(numbers, '$')).toBeGreaterThan(MAX_KNOWN);
    expect(numberOf(numbers, '$.c')).toBe(1);
  });

  it('does not last either when too many names have such numbers.', () => {
    const numbers = new NameNumbers();
    for (let at = 1; at <= MAX_KNOWN; at++) knownNames.numberOf(`$.Name.n${at}`);
    expect(knownNames.numberOf('$.Late')).toBe(0);
    const number = numberOf(numbers, '$.Late');
    expect(number).toBeGreaterThan(MAX_KNOWN);
    expect(numberOf(numbers, '$.Late')).toBe(number);
    numberOf(numbers, '$.Name.n7');
    expect(numberOf(numbers, '$.Name.n7')).toBe(7);
  });

  it('does not last when the names have too many letters.', () => {
    const letters = 'a'.repeat(100);
    let count = 0;
    while (knownNames.numberOf(`$.${letters}${count}`) !== 0) count++;
    expect(count).toBeGreaterThan(9_000);
    expect(count).toBeLessThan(MAX_KNOWN);
    // One that has a number keeps it.
    expect(knownNames.numberOf(`$.${letters}0`)).toBe(1);
  });

  it('does not follow from what the client says.', () => {
    const numbers = new NameNumbers();
    numberOf(numbers, '$.Alarm', 7);
    const known = numberOf(numbers, '$.Alarm', 7);
    for (const lie of [7, known, 0xffff_ffff]) {
      expect(numberOf(numbers, '$.News', lie)).not.toBe(known);
    }
    expect(numberOf(numbers, '$.Alarm', 7)).toBe(known);
  });

  it('is one, whatever numbers its clients give it.', () => {
    const numbers = new NameNumbers();
    numberOf(numbers, '$.Alarm');
    const known = numberOf(numbers, '$.Alarm');
    for (let given = 0; given < 100; given++) {
      expect(numberOf(numbers, '$.Alarm', Math.imul(given, 0x9e37_79b1) >>> 0)).toBe(known);
    }
    numberOf(numbers, '$.News');
    expect(numberOf(numbers, '$.News')).toBe(known + 1);
  });

  it('never stands for two names, however many there are.', () => {
    const numbers = new NameNumbers();
    const names = new Map<number, string>();
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < 10_000; at++) {
        const name = `$.Name.n${at}`;
        // All with one number, or each with its own.
        const number = numberOf(numbers, name, round === 0 ? 5 : at);
        const known = names.get(number);
        if (known !== undefined && known !== name) expect(name).toBe(known);
        names.set(number, name);
      }
    }
    expect(names.has(0)).toBe(false);
  });

  it('is 0 for a name that is too long to be kept.', () => {
    const numbers = new NameNumbers();
    expect(numberOf(numbers, `$.${'a'.repeat(126)}`)).not.toBe(0);
    expect(numberOf(numbers, `$.${'a'.repeat(127)}`, 9)).toBe(0);
  });
});

describe('A reader of numbered records', () => {
  const nameIn = (heads: HeadReader, bytes: Uint8Array): string | undefined =>
    heads.read(bytes, 4, bytes.length, 0)?.name;

  it('finds each name, also of numbers that share a place.', () => {
    const heads = new HeadReader(true);
    const numbers = new NameNumbers();
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < 9000; at++) {
        const name = `$.Name.n${at}`;
        if (nameIn(heads, numbered(numbers, name)) !== name) expect.fail(name);
      }
    }
  });

  it('gives one object for a name, with or without its number.', () => {
    const heads = new HeadReader(true);
    const bytes = numbered(new NameNumbers(), '$.a');
    const plain = Uint8Array.from(record(new Message('$.a', 'data')));
    const head = heads.read(bytes, 4, bytes.length, 0);
    expect(heads.read(plain, 4, plain.length, 0)).toBe(head);
    expect(heads.read(bytes, 4, bytes.length, 0)).toBe(head);
  });

  it('reads the names if the numbers are not those of one daemon.', () => {
    const heads = new HeadReader(false);
    for (const name of ['$.a', '$.b', '$.a']) {
      const bytes = Uint8Array.from(record(new Message(name), 0, 1));
      expect(nameIn(heads, bytes)).toBe(name);
    }
  });

  it('tells records of one name apart by their flags and fields.', () => {
    const heads = new HeadReader(true);
    const numbers = new NameNumbers();
    const flags = (bytes: Uint8Array, you = 0) => heads.read(bytes, 4, bytes.length, you)?.flags;
    const plain = numbered(numbers, '$.a');
    const request = numbered(numbers, '$.a', 0, Flag.WANT_A_REPLY);
    for (let round = 0; round < 2; round++) {
      expect([flags(plain), flags(request), flags(request, Flag.WANT_YOU_TO_REPLY)]).toEqual([
        0,
        Flag.WANT_A_REPLY,
        Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY,
      ]);
    }
    const to = Uint8Array.from(record(new Message('$.a', 'data', { to: 9 })));
    checkRecords(to, 0, to.length, 1, 0, SUMS, numbers);
    expect(heads.read(to, 4, to.length, 0)).toMatchObject({ name: '$.a', to: 9 });
  });
});

describe('What is known by number', () => {
  it('is found again, except what later numbers have replaced.', () => {
    const known = new ByNumber<number>();
    expect(known.get(0)).toBeUndefined();
    for (let number = 1; number <= 4096; number++) known.set(number, -number);
    for (let number = 1; number <= 4096; number++) expect(known.get(number)).toBe(-number);
    known.set(0xffff_ffff, 5);
    expect([known.get(0xffff_ffff), known.get(4095), known.get(1)]).toEqual([5, undefined, -1]);
  });
});

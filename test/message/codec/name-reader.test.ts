import { describe, expect, it } from 'vitest';
import { NameReader } from '../../../src/message/codec/name-reader.ts';

/** Memory with a name, padded with zeros, after `before` other bytes; the array itself begins at an offset. */
function around(name: string, at: number, offset = 0): Uint8Array {
  const length = 4 * Math.ceil(name.length / 4);
  const bytes = new Uint8Array(offset + at + length + 8).fill(0xee);
  bytes.fill(0, offset + at, offset + at + length);
  bytes.set(Buffer.from(name, 'latin1'), offset + at);
  return bytes.subarray(offset);
}

interface Read<T> {
  readonly slot: number;
  readonly text: string;
  readonly note: T | null;
}

function read<T>(reader: NameReader<T>, name: string, at = 0, offset = 0): Read<T> {
  const slot = reader.read(around(name, at, offset), at, name.length);
  return { slot, text: reader.name(slot), note: reader.note(slot) };
}

const nameOf = (length: number): string => '$.'.padEnd(length, 'abcdefghijklmnopqrstuvwxyz');

describe('NameReader', () => {
  it('distinguishes names that look alike.', () => {
    const names = new NameReader();
    // Of equal length, middle and end.
    const alike = ['$.abXcd', '$.bbXcd', '$.acXcd', '$.abXdd', '$.abXcd'];
    for (const name of [...alike, ...alike, '$.a', '$.ab', '$.b', '$.a']) {
      expect(read(names, name, 2).text).toBe(name);
    }
    // Zeros pad a name, and may be characters of another.
    expect(read(names, '$.a').text).toBe('$.a');
    expect(read(names, '$.a\0').text).toBe('$.a\0');
    expect(read(names, '$.a').text).toBe('$.a');
  });

  it('recognizes a name anywhere in memory, and gives the same string.', () => {
    for (const length of [1, 2, 3, 4, 5, 6, 7, 8, 9, 63, 64, 125, 126, 127, 128]) {
      const names = new NameReader();
      const name = nameOf(length).slice(0, length);
      const known = read(names, name);
      expect(known.text).toBe(name);
      for (let at = 0; at < 8; at++) {
        for (let offset = 0; offset < 4; offset++) {
          expect(read(names, name, at, offset)).toEqual(known);
        }
      }
    }
  });

  it('reads longer names, too, which it does not keep.', () => {
    const names = new NameReader();
    for (const length of [129, 130, 131, 132, 500, 999, 1000]) {
      for (let at = 0; at < 4; at++) {
        const name = nameOf(length);
        expect(read(names, name, at).text).toBe(name);
        expect(read(names, `${name.slice(0, -1)}!`, at).text).toBe(`${name.slice(0, -1)}!`);
      }
    }
    const { slot } = read(new NameReader<number>(), nameOf(500));
    const notes = new NameReader<number>();
    read(notes, nameOf(500));
    notes.setNote(slot, 1);
    expect(read(notes, nameOf(500)).note).toBeNull();
  });

  it('reads characters that no name may have.', () => {
    const names = new NameReader();
    for (const name of ['$.é', '$.ÿÿÿ', '\0', '\0\0\0\0', '\x80$.']) {
      expect(read(names, name, 1).text).toBe(name);
    }
  });

  it('reads very many names, most of which share slots.', () => {
    const names = new NameReader<number>();
    const all = Array.from({ length: 20_000 }, (_, at) => `$.Name.n${at}`);
    for (let round = 0; round < 2; round++) {
      all.forEach((name, at) => {
        const known = read(names, name);
        if (known.text !== name || (known.note !== null && known.note !== at)) {
          expect([known.text, known.note]).toEqual([name, at]);
        }
        names.setNote(known.slot, at);
      });
    }
    // A name that is read all the time stays known in spite of the others.
    const known = read(names, '$.Often');
    let again = 0;
    for (const name of all.slice(0, 1000)) {
      read(names, name);
      if (read(names, '$.Often').slot === known.slot) again++;
    }
    expect(again).toBe(1000);
  });

  it('does not count padding as a part of the name.', () => {
    const names = new NameReader();
    for (const padding of [0, 0xff, 0x61]) {
      const bytes = Uint8Array.from([0x24, 0x2e, 0x61, padding]);
      expect(names.name(names.read(bytes, 0, 3))).toBe('$.a');
    }
  });

  it('reads the current bytes, where another name was before.', () => {
    const names = new NameReader();
    const bytes = Buffer.alloc(16);
    for (const name of ['$.One', '$.Two', '$.One']) {
      bytes.write(name, 4, 'latin1');
      expect(names.name(names.read(bytes, 4, 5))).toBe(name);
    }
  });

  it('keeps its owner’s note about a name, which no other reader has.', () => {
    const one = new NameReader<string>();
    const other = new NameReader<string>();
    expect(read(one, '$.a').note).toBeNull();
    one.setNote(read(one, '$.a').slot, 'known');
    expect(read(one, '$.a', 3).note).toBe('known');
    expect(read(one, '$.b').note).toBeNull();
    expect(read(other, '$.a').note).toBeNull();
  });
});

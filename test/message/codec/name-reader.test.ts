import { describe, expect, it } from 'vitest';
import { NameReader } from '../../../src/message/codec/name-reader.ts';

/** Memory in which a name lies, padded with zeros, behind so many other bytes; and so many before the array begins. */
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
  it('reads names that look alike as what they are.', () => {
    const names = new NameReader();
    // Of equal length, middle and end.
    const alike = ['$.abXcd', '$.bbXcd', '$.acXcd', '$.abXdd', '$.abXcd'];
    for (const name of [...alike, ...alike, '$.a', '$.ab', '$.b', '$.a']) {
      expect(read(names, name, 2).text).toBe(name);
    }
    // Zeros pad a name, and may be letters of another.
    expect(read(names, '$.a').text).toBe('$.a');
    expect(read(names, '$.a\0').text).toBe('$.a\0');
    expect(read(names, '$.a').text).toBe('$.a');
  });

  it('knows a name again wherever it lies, and gives the same for it.', () => {
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

  it('reads longer names too, though it keeps none of them.', () => {
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

  it('reads letters that no name may have as what they are.', () => {
    const names = new NameReader();
    for (const name of ['$.é', '$.ÿÿÿ', '\0', '\0\0\0\0', '\x80$.']) {
      expect(read(names, name, 1).text).toBe(name);
    }
  });

  it('reads very many names, most of which meet others in one place, as what they are.', () => {
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
    // One that is read all the time is known again, though so many others were.
    const known = read(names, '$.Often');
    let again = 0;
    for (const name of all.slice(0, 1000)) {
      read(names, name);
      if (read(names, '$.Often').slot === known.slot) again++;
    }
    expect(again).toBe(1000);
  });

  it('takes no padding for a part of the name.', () => {
    const names = new NameReader();
    for (const padding of [0, 0xff, 0x61]) {
      const bytes = Uint8Array.from([0x24, 0x2e, 0x61, padding]);
      expect(names.name(names.read(bytes, 0, 3))).toBe('$.a');
    }
  });

  it('reads what is there now, where another name was before.', () => {
    const names = new NameReader();
    const bytes = Buffer.alloc(16);
    for (const name of ['$.One', '$.Two', '$.One']) {
      bytes.write(name, 4, 'latin1');
      expect(names.name(names.read(bytes, 4, 5))).toBe(name);
    }
  });

  it('keeps what its owner knows of a name, which no other reader does.', () => {
    const one = new NameReader<string>();
    const other = new NameReader<string>();
    expect(read(one, '$.a').note).toBeNull();
    one.setNote(read(one, '$.a').slot, 'known');
    expect(read(one, '$.a', 3).note).toBe('known');
    expect(read(one, '$.b').note).toBeNull();
    expect(read(other, '$.a').note).toBeNull();
  });
});

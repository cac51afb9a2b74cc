import { MAX_REMEMBERED_BYTES } from '../../base/view.ts';
import { hashOf } from './name-hash.ts';

/** The number of slots, as a power of two, at first and at most: a reader of few names needs little memory. */
const FIRST_BITS = 6;
const MOST_BITS = 12;
/** In how many slots a name may be, from its first one on. */
const PROBES = 8;
/** Longer names, in bytes, are not kept. */
export const MAX_KEPT_LENGTH = 128;
/** Words of letters in a slot. */
const SLOT_WORDS = MAX_KEPT_LENGTH / 4;

// The memory that was read last, and a view of its words.
let memory: Uint8Array = new Uint8Array(0);
let memoryWords: Int32Array = new Int32Array(0);
let offset = 0;

/** The four bytes of a word, in this machine's order. */
const bytesOfWord = new Uint8Array(4);
const words = new Int32Array(bytesOfWord.buffer);

function look(bytes: Uint8Array): void {
  memory = bytes;
  const { buffer } = bytes;
  offset = bytes.byteOffset;
  memoryWords = new Int32Array(buffer, 0, buffer.byteLength >> 2);
}

/** The word at `at`, which need not be aligned, as `memoryWords` would have it. */
function wordAt(bytes: Uint8Array, at: number): number {
  for (let index = 0; index < 4; index++) bytesOfWord[index] = bytes[at + index] as number;
  return words[0] as number;
}

/**
 * Reads names that are padded with zeros to a multiple of 4. The same names come again and again, so the reader keeps
 * them: to compare a name costs less than to make a string, and maps find a string that they know faster. It compares
 * four letters at a time where a name is aligned in memory, as most are: letter by letter, that would take as long as all
 * other work for a message.
 */
export class NameReader<T = never> {
  // By slot: the name, the reader's note about it, its length, its hash, and its letters, four in a word. Plain arrays,
  // because objects that are spread over memory take longer to fetch than to compare. The last slot is for a name that is
  // too long to be kept.
  private names: string[] = [];
  private notes: (T | null)[] = [];
  private lengths = NO_BYTES;
  private hashes = NO_WORDS;
  private letters = NO_WORDS;
  private bits = 0;
  /** How many slots are taken. */
  private used = 0;
  private scratch = NO_WORDS;

  /**
   * The slot of the name of `length` bytes at `at`: valid until the next call. `hash`, if not 0, is a number that this name
   * mostly comes with, and other names seldom: to make one takes as long as to compare the name.
   */
  read(bytes: Uint8Array, at: number, length: number, hash = 0): number {
    if (length > MAX_KEPT_LENGTH) return this.keepLong(nameOf(bytes, at, length));
    if (this.bits === 0) this.grow();
    const count = (length + 3) >> 2;
    const isRemembered = bytes.length <= MAX_REMEMBERED_BYTES;
    if (isRemembered && bytes !== memory) look(bytes);
    const place = offset + at;
    return isRemembered && (place & 3) === 0
      ? this.find(memoryWords, place >> 2, count, bytes, at, length, hash)
      : this.find(this.copied(bytes, at, count), 0, count, bytes, at, length, hash);
  }

  name(slot: number): string {
    return this.names[slot] as string;
  }

  /** The note about a name; null for a name that is new, or was replaced by another in between. */
  note(slot: number): T | null {
    return this.notes[slot] as T | null;
  }

  setNote(slot: number, note: T): void {
    this.notes[slot] = note;
  }

  private copied(bytes: Uint8Array, at: number, count: number): Int32Array {
    if (this.scratch.length === 0) this.scratch = new Int32Array(SLOT_WORDS);
    const { scratch } = this;
    for (let index = 0; index < count; index++) scratch[index] = wordAt(bytes, at + index * 4);
    return scratch;
  }

  private find(
    words: Int32Array,
    from: number,
    count: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    given: number,
  ): number {
    const hash = given === 0 ? hashOf(words, from, count, length) : given | 0;
    const { bits, hashes, lengths, letters } = this;
    const first = hash >>> (32 - bits);
    const mask = lengths.length - 1;
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (first + probe) & mask;
      if (
        hashes[slot] === hash &&
        lengths[slot] === length &&
        isAlike(letters, slot * SLOT_WORDS, words, from, count)
      ) {
        return slot;
      }
    }
    return this.keep(words, from, count, hash, nameOf(bytes, at, length));
  }

  /** Puts the name into a slot: a free one, or in place of another name. */
  private keep(words: Int32Array, from: number, count: number, hash: number, name: string): number {
    if (this.used * 2 >= this.lengths.length && this.bits < MOST_BITS) this.grow();
    const slot = this.slotFor(hash);
    if (this.lengths[slot] === 0) this.used++;
    this.names[slot] = name;
    this.notes[slot] = null;
    this.lengths[slot] = name.length;
    this.hashes[slot] = hash;
    for (let index = 0; index < count; index++) {
      this.letters[slot * SLOT_WORDS + index] = words[from + index] as number;
    }
    return slot;
  }

  private slotFor(hash: number): number {
    const first = hash >>> (32 - this.bits);
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (first + probe) & (this.lengths.length - 1);
      if (this.lengths[slot] === 0) return slot;
    }
    return first;
  }

  /** Puts a name that is too long to be kept into the last slot. */
  private keepLong(name: string): number {
    if (this.bits === 0) this.grow();
    const slot = this.lengths.length;
    this.names[slot] = name;
    this.notes[slot] = null;
    return slot;
  }

  /** Makes four times as many slots, and moves the names there. */
  private grow(): void {
    const { hashes, lengths, letters, names, notes } = this;
    this.bits = this.bits === 0 ? FIRST_BITS : this.bits + 2;
    const slots = 1 << this.bits;
    this.lengths = new Uint8Array(slots);
    this.hashes = new Int32Array(slots);
    this.letters = new Int32Array(slots * SLOT_WORDS);
    this.names = new Array(slots + 1).fill('');
    this.notes = new Array(slots + 1).fill(null);
    this.used = 0;
    for (let old = 0; old < lengths.length; old++) {
      const length = lengths[old] as number;
      if (length === 0) continue;
      const from = old * SLOT_WORDS;
      const hash = hashes[old] as number;
      const slot = this.keep(letters, from, (length + 3) >> 2, hash, names[old] as string);
      this.notes[slot] = notes[old] as T | null;
    }
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);

function isAlike(
  letters: Int32Array,
  place: number,
  words: Int32Array,
  from: number,
  count: number,
): boolean {
  for (let index = 0; index < count; index++) {
    if (letters[place + index] !== words[from + index]) return false;
  }
  return true;
}

/** Its letters, before they become a string: from an array, that takes half as long as from bytes. */
const codes: number[] = [];

function nameOf(bytes: Uint8Array, at: number, length: number): string {
  codes.length = length;
  for (let index = 0; index < length; index++) codes[index] = bytes[at + index] as number;
  return String.fromCharCode(...codes);
}

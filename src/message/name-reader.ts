const SLOT_BITS = 12;
/** A name is looked for in so many slots, from its own on. */
const PROBES = 4;
const SLOTS = 1 << SLOT_BITS;
/** Longer names are not worth keeping. */
const MAX_KEPT_LENGTH = 128;

/** A name that was read; and what its reader knows of it. */
export class KnownName<T> {
  readonly text: string;
  /** Its letters, four at a time, as {@link wordsOf} has them. */
  readonly words: Int32Array;
  note: T | null = null;

  constructor(text: string, words: Int32Array) {
    this.text = text;
    this.words = words;
  }
}

// The memory that was read from last, and its words.
let memory: Uint8Array = new Uint8Array(0);
let memoryWords: Int32Array = new Int32Array(0);
let offset = 0;

/** Four bytes that a word has, as this machine lays them out. */
const bytesOfWord = new Uint8Array(4);
const words = new Int32Array(bytesOfWord.buffer);

function look(bytes: Uint8Array): void {
  memory = bytes;
  const { buffer } = bytes;
  offset = bytes.byteOffset;
  memoryWords = new Int32Array(buffer, 0, buffer.byteLength >> 2);
}

/** The word at `at`, wherever that is, as `memoryWords` would have it. */
function wordAt(bytes: Uint8Array, at: number): number {
  for (let index = 0; index < 4; index++) bytesOfWord[index] = bytes[at + index] as number;
  return words[0] as number;
}

/**
 * Reads names out of bytes, where zeros pad them to a multiple of 4. The same ones come again and again, so one made
 * once is given again: to compare a name costs less than to make one, and what is the same string is found faster in
 * maps. Names are compared four letters at a time where they lie at a multiple of 4 in memory, as they mostly do:
 * a letter at a time takes as long as all else that is done with a message.
 */
export class NameReader<T = never> {
  private readonly slots: (KnownName<T> | undefined)[] = new Array(SLOTS).fill(undefined);
  private readonly scratch = new Int32Array(MAX_KEPT_LENGTH / 4);

  read(bytes: Uint8Array, at: number, length: number): KnownName<T> {
    if (length > MAX_KEPT_LENGTH) return new KnownName<T>(textOf(bytes, at, length), this.scratch);
    if (bytes !== memory) look(bytes);
    const count = (length + 3) >> 2;
    const place = offset + at;
    return (place & 3) === 0
      ? this.find(memoryWords, place >> 2, count, bytes, at, length)
      : this.find(this.copied(bytes, at, count), 0, count, bytes, at, length);
  }

  private copied(bytes: Uint8Array, at: number, count: number): Int32Array {
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
  ): KnownName<T> {
    let hash = length;
    for (let index = 0; index < count; index++) {
      hash = Math.imul(hash ^ (words[from + index] as number), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    const slot = Math.imul(hash, 0x85eb_ca6b) >>> (32 - SLOT_BITS);
    let free = slot;
    for (let probe = 0; probe < PROBES; probe++) {
      const here = (slot + probe) & (SLOTS - 1);
      const known = this.slots[here];
      if (known === undefined) {
        free = here;
        break;
      }
      if (known.text.length === length && isAlike(known.words, words, from)) return known;
    }
    const kept = words.slice(from, from + count);
    const known = new KnownName<T>(textOf(bytes, at, length), kept);
    this.slots[free] = known;
    return known;
  }
}

function isAlike(known: Int32Array, words: Int32Array, from: number): boolean {
  for (let index = 0; index < known.length; index++) {
    if (known[index] !== words[from + index]) return false;
  }
  return true;
}

function textOf(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

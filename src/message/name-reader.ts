const SLOT_BITS = 12;
const SLOTS = 1 << SLOT_BITS;
/** A name is looked for in so many slots, from its own on. */
const PROBES = 4;
/** Longer names are not worth keeping. */
const MAX_KEPT_LENGTH = 128;
/** So many words of letters has each slot. */
const SLOT_WORDS = MAX_KEPT_LENGTH / 4;

/** A name that was read; and what its reader knows of it. */
export class KnownName<T> {
  readonly text: string;
  note: T | null = null;

  constructor(text: string) {
    this.text = text;
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
  // By slot: the name, its hash, and its letters, four at a time. Those lie side by side: what is strewn over memory
  // takes longer to come by than to compare.
  private readonly names: (KnownName<T> | undefined)[] = [];
  private hashes = NO_WORDS;
  private letters = NO_WORDS;
  private readonly scratch = new Int32Array(SLOT_WORDS);

  read(bytes: Uint8Array, at: number, length: number): KnownName<T> {
    if (length > MAX_KEPT_LENGTH) return new KnownName<T>(textOf(bytes, at, length));
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
    const hash = hashOf(words, from, count, length);
    const slot = hash >>> (32 - SLOT_BITS);
    const { hashes, letters } = this;
    for (let probe = 0; probe < PROBES; probe++) {
      const here = (slot + probe) & (SLOTS - 1);
      if (hashes[here] === hash && isAlike(letters, here * SLOT_WORDS, words, from, count)) {
        const known = this.names[here];
        if (known?.text.length === length) return known;
      }
    }
    return this.keep(words, from, count, slot, hash, textOf(bytes, at, length));
  }

  private keep(
    words: Int32Array,
    from: number,
    count: number,
    slot: number,
    hash: number,
    text: string,
  ): KnownName<T> {
    if (this.hashes.length === 0) {
      this.hashes = new Int32Array(SLOTS);
      this.letters = new Int32Array(SLOTS * SLOT_WORDS);
      for (let each = 0; each < SLOTS; each++) this.names.push(undefined);
    }
    const known = new KnownName<T>(text);
    let free = slot;
    for (let probe = PROBES - 1; probe > 0; probe--) {
      const here = (slot + probe) & (SLOTS - 1);
      if (this.names[here] === undefined) free = here;
    }
    if (this.names[slot] === undefined) free = slot;
    this.names[free] = known;
    this.hashes[free] = hash;
    for (let index = 0; index < count; index++) {
      this.letters[free * SLOT_WORDS + index] = words[from + index] as number;
    }
    return known;
  }
}

const NO_WORDS = new Int32Array(0);

function hashOf(words: Int32Array, from: number, count: number, length: number): number {
  // Two halves that don't wait for each other.
  let even = length;
  let odd = 0x2545_f491;
  let index = 0;
  for (; index + 1 < count; index += 2) {
    even = Math.imul(even ^ (words[from + index] as number), 0x9e37_79b1);
    odd = Math.imul(odd ^ (words[from + index + 1] as number), 0x85eb_ca6b);
    even ^= even >>> 15;
    odd ^= odd >>> 13;
  }
  if (index < count) even = Math.imul(even ^ (words[from + index] as number), 0x9e37_79b1);
  const both = even ^ (odd >>> 7) ^ (odd << 11);
  return Math.imul(both ^ (both >>> 16), 0xc2b2_ae35);
}

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

function textOf(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

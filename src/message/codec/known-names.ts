import { padded } from '../../base/u32.ts';
import { checkMessageName } from '../name.ts';

/** So many names can have a lasting number, and so many letters in all: what they take is less than 4 MB. */
export const MAX_KNOWN = 16_384;
const MAX_LETTERS = 1024 * 1024;

/** The lengths of the names, by number. */
const lengths = new Uint8Array(MAX_KNOWN + 1);
const numbers = new Map<string, number>();
/** The names and their letters, by number; no name has number 0. */
let names: string[] = [''];
/** The letters of all of them, as words of this machine, padded with zeros; and where those of each begin. */
let letters = new Int32Array(1024);
const begins = new Uint32Array(MAX_KNOWN + 2);
let letterCount = 0;

/** Notes the letters of the name that gets this number. */
function keepLetters(number: number, name: string): void {
  const from = begins[number] as number;
  const to = from + (padded(name.length) >> 2);
  begins[number + 1] = to;
  while (letters.length < to) {
    const longer = new Int32Array(letters.length * 2);
    longer.set(letters);
    letters = longer;
  }
  const bytes = new Uint8Array(letters.buffer, from * 4);
  for (let at = 0; at < name.length; at++) bytes[at] = name.charCodeAt(at);
}

/**
 * The names with lasting numbers, for all buses of this process: records may leave out the letters of such a name
 * (codec/records.ts). A number is never taken back, since records in queues may have it.
 */
export const knownNames = {
  /** The number of a name: a new one, if it has none and is well formed; 0: it can't get one. */
  numberOf(name: string): number {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    if (names.length > MAX_KNOWN || letterCount + name.length > MAX_LETTERS) return 0;
    if (checkMessageName(name) !== 0) return 0;
    letterCount += name.length;
    lengths[names.length] = name.length;
    keepLetters(names.length, name);
    numbers.set(name, names.length);
    return names.push(name) - 1;
  },

  /** The name with this number; '' if there is none. */
  name(number: number): string {
    return names[number] ?? '';
  },

  /** The length of the name with this number, which must exist. */
  lengthOf(number: number): number {
    return lengths[number] as number;
  },

  /** Writes the name with this number, padded, at the word `at`; gives where it ends. */
  write(number: number, words: Int32Array, at: number): number {
    const end = begins[number + 1] as number;
    let to = at;
    for (let from = begins[number] as number; from < end; from++) {
      words[to++] = letters[from] as number;
    }
    return to;
  },

  /** Takes all numbers back. For tests only: no records or connections must be left that have them. */
  clear(): void {
    numbers.clear();
    names = [''];
    letters = new Int32Array(1024);
    letterCount = 0;
  },
};

/** The numbers that one peer knows the names of. */
export class ToldNumbers {
  private bits = new Uint32Array(0);
  private count = 0;

  /** Bytes of memory. */
  get size(): number {
    return this.bits.byteLength;
  }

  /** It knows all names that have a number. */
  get hasAll(): boolean {
    return this.count === names.length - 1;
  }

  has(number: number): boolean {
    const word = this.bits[number >>> 5];
    return word !== undefined && ((word >>> (number & 31)) & 1) !== 0;
  }

  add(number: number): void {
    if (this.has(number)) return;
    if (this.bits.length === 0) this.bits = new Uint32Array((MAX_KNOWN >>> 5) + 1);
    const at = number >>> 5;
    this.bits[at] = (this.bits[at] as number) | (1 << (number & 31));
    this.count++;
  }
}

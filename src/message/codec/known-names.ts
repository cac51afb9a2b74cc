/** So many names can have a lasting number, and so many letters in all: what they take is less than 4 MB. */
export const MAX_KNOWN = 16_384;
const MAX_LETTERS = 1024 * 1024;

/** The lengths of the names, by number. */
const lengths = new Uint8Array(MAX_KNOWN + 1);
const numbers = new Map<string, number>();
/** The names and their letters, by number; no name has number 0. */
let names: string[] = [''];
let letterCount = 0;

/**
 * The names with lasting numbers, for all buses of this process: records may leave out the letters of such a name
 * (codec/records.ts). A number is never taken back, since records in queues may have it.
 */
export const knownNames = {
  /** The number of a name: a new one, if it has none; 0: it can't get one. */
  numberOf(name: string): number {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    if (names.length > MAX_KNOWN || letterCount + name.length > MAX_LETTERS) return 0;
    letterCount += name.length;
    lengths[names.length] = name.length;
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

  /** Takes all numbers back. For tests only: no records or connections must be left that have them. */
  clear(): void {
    numbers.clear();
    names = [''];
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

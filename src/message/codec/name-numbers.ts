import { MAX_KEPT_LENGTH, NameReader } from './name-reader.ts';

const MAX_NUMBER = 0xffff_ffff;

/**
 * The numbers by which a daemon knows the names of messages. Whoever gets a record knows its name by the number, without
 * reading it. So a number never stands for two names; a name may have several numbers, one after the other.
 */
export class NameNumbers {
  private readonly names = new NameReader<number>();
  private last = 0;

  /** The number of the name at `at`; 0: it has none. `hash` is as for {@link NameReader.read}. */
  of(bytes: Uint8Array, at: number, length: number, hash: number): number {
    if (length > MAX_KEPT_LENGTH) return 0;
    const { names } = this;
    const slot = names.read(bytes, at, length, hash);
    const known = names.note(slot);
    if (known !== null) return known;
    if (this.last === MAX_NUMBER) return 0;
    names.setNote(slot, ++this.last);
    return this.last;
  }
}

const FIRST_SIZE = 64;
const MOST_SIZE = 4096;

/** What somebody knows about names, by their numbers: about the 4096 latest at most. */
export class ByNumber<T> {
  private numbers = new Float64Array(FIRST_SIZE);
  private values: (T | null)[] = new Array(FIRST_SIZE).fill(null);

  get(number: number): T | null {
    const at = number & (this.numbers.length - 1);
    return this.numbers[at] === number ? (this.values[at] as T | null) : null;
  }

  /** `number` is not 0. */
  set(number: number, value: T): void {
    const at = number & (this.numbers.length - 1);
    const other = this.numbers[at] as number;
    if (other !== 0 && other !== number && this.numbers.length < MOST_SIZE) {
      this.grow();
      this.set(number, value);
      return;
    }
    this.numbers[at] = number;
    this.values[at] = value;
  }

  private grow(): void {
    const { numbers, values } = this;
    const size = numbers.length * 4;
    this.numbers = new Float64Array(size);
    this.values = new Array(size).fill(null);
    for (let at = 0; at < numbers.length; at++) {
      const number = numbers[at] as number;
      if (number !== 0) this.set(number, values[at] as T);
    }
  }
}

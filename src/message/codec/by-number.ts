const FIRST_SIZE = 64;
const MOST_SIZE = 4096;

/** What somebody knows about names, by their numbers: about the 4096 latest at most. */
export class ByNumber<T> {
  private numbers = new Float64Array(FIRST_SIZE);
  private values: (T | undefined)[] = new Array(FIRST_SIZE).fill(undefined);

  get(number: number): T | undefined {
    const at = number & (this.numbers.length - 1);
    return this.numbers[at] === number ? this.values[at] : undefined;
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
    this.values = new Array(size).fill(undefined);
    for (let at = 0; at < numbers.length; at++) {
      const number = numbers[at] as number;
      if (number !== 0) this.set(number, values[at] as T);
    }
  }
}

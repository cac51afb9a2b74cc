import { knownNames, MAX_KNOWN } from './known-names.ts';
import { MAX_KEPT_LENGTH, NameReader } from './name-reader.ts';

const MAX_NUMBER = 0xffff_ffff;

/**
 * The numbers by which a daemon knows the names of messages. Whoever gets a record knows its name by the number, without
 * reading it. So a number never stands for two names; a name may have several numbers, one after the other. A name that comes
 * again gets a lasting number, if it is well formed: those that come once, however many, use none up.
 */
export class NameNumbers {
  private readonly names = new NameReader<number>();
  private last = MAX_KNOWN;

  /** The number of the name at `at`; 0: it has none. `hash` is as for {@link NameReader.read}. */
  of(bytes: Uint8Array, at: number, length: number, hash: number): number {
    if (length > MAX_KEPT_LENGTH) return 0;
    const { names } = this;
    const slot = names.read(bytes, at, length, hash);
    const known = names.note(slot);
    if (known !== null) return known > MAX_KNOWN ? this.lasting(slot, known) : known;
    if (hash !== 0) {
      // The name has one number, however many its clients give it: else they could use up all numbers.
      const number = this.of(bytes, at, length, 0);
      if (number !== 0) names.setNote(names.read(bytes, at, length, hash), number);
      return number;
    }
    if (this.last === MAX_NUMBER) return 0;
    names.setNote(slot, ++this.last);
    return this.last;
  }

  /** Gives the name in the slot a lasting number in place of `number`, if it can get one. */
  private lasting(slot: number, number: number): number {
    const lasting = knownNames.numberOf(this.names.name(slot));
    if (lasting === 0) return number;
    this.names.setNote(slot, lasting);
    return lasting;
  }
}

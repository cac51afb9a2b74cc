import { MAX_KNOWN } from '../message/codec/known-names.ts';
import {
  Field,
  FLAGS_AT,
  fieldsAt,
  flagsAt,
  HEAD_AT,
  HeadReader,
  headLengthAt,
  isKnownAt,
  NUMBER_AT,
  numberAt,
  type RecordWords,
  WORDS_AT,
} from '../message/codec/records.ts';
import { Head } from '../message/head.ts';
import { type FrameView, textOf, wordOf } from './frame.ts';
import { type PlainRecords, spelledRecords } from './frame-writer.ts';
import { ProtocolError } from './protocol.ts';

/** Reads heads, of which some leave out the name. */
class ToldHeadReader extends HeadReader {
  /** By number, the head that was read last; of a name that was not read yet, one without flags. */
  private readonly told: (Head | undefined)[] = [];

  constructor() {
    super(true);
  }

  learn(number: number, name: string): void {
    while (this.told.length <= number) this.told.push(undefined);
    this.told[number] = new Head(name, 0);
  }

  override read(
    bytes: Uint8Array,
    headAt: number,
    limit: number,
    you: number,
    origin?: RecordWords,
  ): Head | null {
    if (headAt + WORDS_AT > limit || !isKnownAt(bytes, headAt)) {
      return super.read(bytes, headAt, limit, you, origin);
    }
    this.end = headAt + headLengthAt(bytes, headAt);
    const number = numberAt(bytes, headAt);
    let head = this.told[number];
    if (this.end > limit || head === undefined) return null;
    const flags = (flagsAt(bytes, headAt) | you) >>> 0;
    const isPlain = fieldsAt(bytes, headAt) === Field.KNOWN;
    const words = isPlain ? origin : this.words.read(bytes, headAt, 0);
    if (words !== undefined) return this.withWords(words, head.name, flags, number);
    if (head.flags !== flags) {
      head = new Head(head.name, flags);
      this.told[number] = head;
    }
    return head;
  }
}

/** The names whose numbers the daemon has told on one connection: from then on, neither end writes them in records. */
export class ToldNames implements PlainRecords {
  /** Reads the heads of the daemon's records. */
  readonly reader = new ToldHeadReader();
  private readonly numbers = new Map<string, number>();
  /** Heads have noted the number of their name, as it was told up to this. */
  private upToNow = {};

  /** Handles a NAMES. */
  learn(frame: FrameView): void {
    const count = wordOf(frame, 0);
    const names = textOf(frame, 1 + count).split(' ');
    if (names.length !== count) {
      throw new ProtocolError(`${names.length} names with ${count} numbers`);
    }
    for (let at = 0; at < count; at++) {
      const number = wordOf(frame, 1 + at);
      const name = names[at] as string;
      if (number === 0 || number > MAX_KNOWN || name === '') {
        throw new ProtocolError(`the name '${name}' with number ${number}`);
      }
      this.reader.learn(number, name);
      this.numbers.set(name, number);
    }
    this.upToNow = {};
  }

  /** The number of the name of a head; 0: it was not told. */
  private numberOf(head: Head): number {
    if (head.numberedBy !== this.upToNow) {
      head.numberedBy = this.upToNow;
      head.number = this.numbers.get(head.name) ?? 0;
    }
    return head.number;
  }

  headLength(head: Head): number {
    return this.numberOf(head) === 0 ? spelledRecords.headLength(head) : WORDS_AT;
  }

  write(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    head: Head,
    flags: number,
    dataLength: number,
  ): void {
    const number = this.numberOf(head);
    if (number === 0) {
      spelledRecords.write(bytes, view, at, head, flags, dataLength);
      return;
    }
    const headAt = at + HEAD_AT;
    view.setUint32(at, dataLength);
    view.setUint32(headAt, head.name.length * 0x1_0000 + Field.KNOWN);
    view.setUint32(headAt + FLAGS_AT, flags);
    view.setUint32(headAt + NUMBER_AT, number);
  }
}

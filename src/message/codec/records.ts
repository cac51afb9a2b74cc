import { padded, readU32, writeU32 } from '../../base/u32.ts';
import { Head } from '../head.ts';
import { OrigFrom } from '../id.ts';
import { MAX_NAME } from '../name.ts';
import { ByNumber } from './by-number.ts';
import { entireLength } from './device.ts';
import { ForeignHeads } from './foreign-heads.ts';
import { knownNames, MAX_KNOWN, type ToldNumbers } from './known-names.ts';
import type { NameNumbers } from './name-numbers.ts';
import { NameReader } from './name-reader.ts';

/**
 * The compact layout, in which KBUS's own connections carry messages: records, side by side. A record is
 *
 *      0 u32 length of the data in bytes; its top bit: SAME
 *
 * and, unless it is SAME,
 *
 *      4 u16 length of the name    6 u16 Field bits: which of the words in brackets follow
 *      8 u32 flags                   12 u32 number of the name, or 0
 *        [u32 to]                      TO
 *        [u32 network, u32 serial]     REPLY: in_reply_to
 *        [u32 network, u32 serial]     ID: it has the id of a Limpet
 *        [4 × u32]                     CARRIED: orig_from, final_to
 *        the name, padded with zeros to a multiple of 4; KNOWN: nothing, for its number says which it is
 *
 * and then the data, padded likewise. A SAME record has the head of the record before it; if that is a Reply, the serial
 * number in in_reply_to is one more. The frame says what all its messages share: their sender, and how their ids go on.
 *
 * The number saves others to read the name. A client gives a name the same number each time, made of its letters, so that
 * the daemon finds the name sooner; the daemon checks it. The daemon replaces it by a number of its own, which stands for
 * this name as long as the daemon lives, so whoever gets records from it need not look at names of known numbers. Only
 * who was told the names of such numbers may leave the names out, and gets records without them.
 */
export const SAME = 0x8000_0000;

export const Field = { TO: 1, REPLY: 2, ID: 4, CARRIED: 8, KNOWN: 16 } as const;

/** All but KNOWN, which few may have. */
const ALL_FIELDS = Field.TO | Field.REPLY | Field.ID | Field.CARRIED;

/** Where the head of a record begins: after the length of its data. */
export const HEAD_AT = 4;
export const FLAGS_AT = 4;
export const NUMBER_AT = 8;
/** Where the words of Field begin, counted from the head. */
export const WORDS_AT = 12;

/** How many bytes the words of these Field bits take. */
const WORDS: readonly number[] = Array.from({ length: 2 * Field.KNOWN }, (_, fields) => {
  const words = [
    [Field.TO, 1],
    [Field.REPLY, 2],
    [Field.ID, 2],
    [Field.CARRIED, 4],
  ] as const;
  return words.reduce((sum, [field, count]) => sum + ((fields & field) !== 0 ? count * 4 : 0), 0);
});

/** Bytes of a record's head. */
export function headLength(nameLength: number, fields: number): number {
  return nameAfter(fields) + (fields < Field.KNOWN ? padded(nameLength) : 0);
}

/** Where the name begins, counted from the head. */
export function nameAfter(fields: number): number {
  return WORDS_AT + (WORDS[fields] as number);
}

/** The words of a head that Field bits announce. */
export class RecordWords {
  to = 0;
  replyNetwork = 0;
  replySerial = 0;
  idNetwork = 0;
  idSerial = 0;
  origNetwork = 0;
  origLocal = 0;
  finalNetwork = 0;
  finalLocal = 0;

  /** The Field bits of the words that are set. */
  get fields(): number {
    let fields = 0;
    if (this.to !== 0) fields |= Field.TO;
    if ((this.replyNetwork | this.replySerial) !== 0) fields |= Field.REPLY;
    if (this.idNetwork !== 0) fields |= Field.ID;
    const { origNetwork, origLocal, finalNetwork, finalLocal } = this;
    if ((origNetwork | origLocal | finalNetwork | finalLocal) !== 0) fields |= Field.CARRIED;
    return fields;
  }

  /** Reads the words of the head at `headAt`, as they are for the record `repeats` places behind it. */
  read(bytes: Uint8Array, headAt: number, repeats: number): this {
    const fields = fieldsAt(bytes, headAt);
    this.to = 0;
    this.replyNetwork = 0;
    this.replySerial = 0;
    this.idNetwork = 0;
    this.idSerial = 0;
    this.origNetwork = 0;
    this.origLocal = 0;
    this.finalNetwork = 0;
    this.finalLocal = 0;
    let at = headAt + WORDS_AT;
    if ((fields & Field.TO) !== 0) {
      this.to = readU32(bytes, at);
      at += 4;
    }
    if ((fields & Field.REPLY) !== 0) {
      this.replyNetwork = readU32(bytes, at);
      this.replySerial = readU32(bytes, at + 4) + repeats;
      at += 8;
    }
    if ((fields & Field.ID) !== 0) {
      this.idNetwork = readU32(bytes, at);
      this.idSerial = readU32(bytes, at + 4);
      at += 8;
    }
    if ((fields & Field.CARRIED) !== 0) {
      this.origNetwork = readU32(bytes, at);
      this.origLocal = readU32(bytes, at + 4);
      this.finalNetwork = readU32(bytes, at + 8);
      this.finalLocal = readU32(bytes, at + 12);
    }
    return this;
  }

  /** Writes the words of these Field bits from `at` on; gives where they end. */
  write(bytes: Uint8Array, at: number, fields: number): number {
    let to = at;
    const put = (word: number): void => {
      writeU32(bytes, to, word);
      to += 4;
    };
    if ((fields & Field.TO) !== 0) put(this.to);
    if ((fields & Field.REPLY) !== 0) {
      put(this.replyNetwork);
      put(this.replySerial);
    }
    if ((fields & Field.ID) !== 0) {
      put(this.idNetwork);
      put(this.idSerial);
    }
    if ((fields & Field.CARRIED) !== 0) {
      put(this.origNetwork);
      put(this.origLocal);
      put(this.finalNetwork);
      put(this.finalLocal);
    }
    return to;
  }
}

/**
 * Writes a record at `at`, up to its data; gives where the data begins. `words` has the words of `fields`. The name gets no
 * number.
 */
export function writeRecord(
  bytes: Uint8Array,
  at: number,
  name: string,
  flags: number,
  fields: number,
  words: RecordWords,
  dataLength: number,
): number {
  writeU32(bytes, at, dataLength);
  const headAt = at + HEAD_AT;
  writeU32(bytes, headAt, name.length * 0x1_0000 + fields);
  writeU32(bytes, headAt + FLAGS_AT, flags);
  writeU32(bytes, headAt + NUMBER_AT, 0);
  const nameAt = headAt + WORDS_AT;
  const to = fields === 0 ? nameAt : words.write(bytes, nameAt, fields);
  const end = to + padded(name.length);
  // First the zeros of the padding, then the name over them.
  if (end !== to + name.length) writeU32(bytes, end - 4, 0);
  for (let index = 0; index < name.length; index++) bytes[to + index] = name.charCodeAt(index);
  return end;
}

/** Copies the head at `headAt` to `to`, as it is for the record `repeats` places behind it. */
export function copyHead(
  bytes: Uint8Array,
  headAt: number,
  repeats: number,
  target: Uint8Array,
  to: number,
): void {
  const length = headLengthAt(bytes, headAt);
  for (let at = 0; at < length; at++) target[to + at] = bytes[headAt + at] as number;
  const fields = fieldsAt(bytes, headAt);
  if (repeats === 0 || (fields & Field.REPLY) === 0) return;
  const serialAt = WORDS_AT + ((fields & Field.TO) !== 0 ? 4 : 0) + 4;
  writeU32(target, to + serialAt, readU32(bytes, headAt + serialAt) + repeats);
}

/**
 * Copies a SAME record, up to its data, as one with a head of its own: the one at `headAt`, `repeats` records before it. Gives
 * where its data goes.
 */
export function copyWithHead(
  bytes: Uint8Array,
  at: number,
  headAt: number,
  repeats: number,
  target: Uint8Array,
  to: number,
): number {
  writeU32(target, to, readU32(bytes, at) - SAME);
  copyHead(bytes, headAt, repeats, target, to + HEAD_AT);
  return to + HEAD_AT + headLengthAt(bytes, headAt);
}

/** Whether the record at `at` has the head of the one before it. */
export function isSameAt(bytes: Uint8Array, at: number): boolean {
  return (bytes[at] as number) >= 0x80;
}

/** Where the record at `at` ends. To walk so takes half as long as to move a cursor. */
export function recordEnd(bytes: Uint8Array, at: number): number {
  const word = readU32(bytes, at);
  const headAt = at + HEAD_AT;
  if (word >= SAME) return headAt + padded(word - SAME);
  return headAt + headLengthAt(bytes, headAt) + padded(word);
}

/** The sums that {@link checkRecords} makes. */
export interface Sums {
  /** Bytes of data. */
  data: number;
  /** Sum of the sizes (spec 1 §4.4), and the largest of them. */
  size: number;
  largest: number;
  /** How many records have a head of their own, and how many of these leave the name out. */
  heads: number;
  known: number;
}

/**
 * Walks over records, one after the other: the place of the current record, and where its parts lie. The bytes must have
 * passed {@link checkRecords}.
 */
export class RecordCursor {
  bytes: Uint8Array;
  /** Where the record begins. */
  at: number;
  /** Where its head begins: in it, or in the last record before it that is not SAME. */
  headAt: number;
  /** How many records before it have this head, counted from the record with the head. */
  repeats = 0;
  dataAt = 0;
  dataLength = 0;

  constructor(bytes: Uint8Array, at: number, headAt: number, repeats: number) {
    this.bytes = bytes;
    this.at = at;
    this.headAt = headAt;
    this.repeats = repeats;
    this.read();
  }

  private read(): void {
    const { at, bytes } = this;
    const word = readU32(bytes, at);
    if (word >= SAME) {
      this.dataLength = word - SAME;
      this.dataAt = at + HEAD_AT;
    } else {
      this.headAt = at + HEAD_AT;
      this.repeats = 0;
      this.dataLength = word;
      this.dataAt = this.headAt + headLengthAt(bytes, this.headAt);
    }
  }

  /** Moves to the next record, which must exist. */
  next(): void {
    this.at = this.end;
    this.repeats++;
    this.read();
  }

  /** Where the record ends and the next one begins. */
  get end(): number {
    return this.dataAt + padded(this.dataLength);
  }

  /** Whether it has the head of the record before it. */
  get isSame(): boolean {
    return isSameAt(this.bytes, this.at);
  }

  get size(): number {
    return entireLength(nameLengthAt(this.bytes, this.headAt), this.dataLength);
  }
}

export function nameLengthAt(bytes: Uint8Array, headAt: number): number {
  return ((bytes[headAt] as number) << 8) | (bytes[headAt + 1] as number);
}

export function fieldsAt(bytes: Uint8Array, headAt: number): number {
  return bytes[headAt + 3] as number;
}

export function flagsAt(bytes: Uint8Array, headAt: number): number {
  return readU32(bytes, headAt + FLAGS_AT);
}

/** The shortest head, in bytes. */
const LEAST_HEAD = WORDS_AT;

/** What is wrong with the first words of a head, which must be there; '' when its length can be trusted. It may not be KNOWN. */
export function headFault(bytes: Uint8Array, headAt: number): string {
  const nameLength = nameLengthAt(bytes, headAt);
  if (nameLength === 0 || nameLength > MAX_NAME) return `a name of ${nameLength} bytes`;
  const isKnown = fieldsAt(bytes, headAt) <= ALL_FIELDS && bytes[headAt + 2] === 0;
  return isKnown ? '' : 'unknown fields in a message';
}

/** Whether the name is left out of the head at `headAt`, whose length can be trusted then. */
export function isKnownAt(bytes: Uint8Array, headAt: number): boolean {
  return (fieldsAt(bytes, headAt) & ~ALL_FIELDS) === Field.KNOWN && bytes[headAt + 2] === 0;
}

/** Bytes of the head at `headAt`. */
export function headLengthAt(bytes: Uint8Array, headAt: number): number {
  return headLength(nameLengthAt(bytes, headAt), fieldsAt(bytes, headAt));
}

const names = new NameReader();

/** Spreads the numbers of names, which follow each other, over all 32 bits. */
const SPREAD = 0x9e37_79b1;

/** The name in the head at `headAt`. */
export function nameAt(bytes: Uint8Array, headAt: number): string {
  const fields = fieldsAt(bytes, headAt);
  if ((fields & Field.KNOWN) !== 0) return knownNames.name(numberAt(bytes, headAt));
  const at = headAt + nameAfter(fields);
  const hash = Math.imul(numberAt(bytes, headAt), SPREAD);
  return names.name(names.read(bytes, at, nameLengthAt(bytes, headAt), hash));
}

/** Removes the number from the head at `headAt`: it means nothing but to the clients of the daemon that gave it. */
export function removeNumber(bytes: Uint8Array, headAt: number): void {
  writeU32(bytes, headAt + NUMBER_AT, 0);
}

export function numberAt(bytes: Uint8Array, headAt: number): number {
  return readU32(bytes, headAt + NUMBER_AT);
}

/**
 * Checks that `length` bytes from `at` on are exactly `count` records: '' or what is wrong. Of a single record, only the
 * head must lie in `bytes`: the data of a large message may follow in pieces. No record may have one of the flags
 * `forbidden`. Sets `sums`, and gives each name its number of `numbers`. The bus checks the letters of the names, the other
 * flags and the sizes. A record may leave out a name that its sender was `told`; `untold` gets the numbers of others.
 */
export function checkRecords(
  bytes: Uint8Array,
  from: number,
  length: number,
  count: number,
  forbidden: number,
  sums: Sums,
  numbers: NameNumbers | null = null,
  told: ToldNumbers | null = null,
  untold: number[] = [],
): string {
  const end = from + length;
  let at = from;
  let nameLength = 0;
  let fields = 0;
  let isReply = false;
  let last = 0;
  /** The size of a message with this name and no data. */
  let bare = 0;
  let heads = 0;
  let known = 0;
  let data = 0;
  let sizes = 0;
  let largest = 0;
  for (let index = 0; index < count; index++) {
    if (at + HEAD_AT > end) return `the frame ends before message ${index + 1} of ${count}`;
    const word = readU32(bytes, at);
    at += HEAD_AT;
    if (word < SAME) {
      if (at + LEAST_HEAD > end) return `the frame ends in the head of message ${index + 1}`;
      fields = fieldsAt(bytes, at);
      nameLength = nameLengthAt(bytes, at);
      const isKnown = told !== null && isKnownAt(bytes, at);
      if (isKnown) {
        const number = numberAt(bytes, at);
        if (!told.has(number) || nameLength !== knownNames.lengthOf(number)) {
          return knownFault(number, nameLength, told);
        }
      } else {
        const fault = headFault(bytes, at);
        if (fault !== '') return fault;
      }
      if ((flagsAt(bytes, at) & forbidden) !== 0) return 'a flag that only KBUS sets';
      isReply = (fields & Field.REPLY) !== 0;
      if (at + headLength(nameLength, fields) > end) {
        return `the frame ends in the name of message ${index + 1}`;
      }
      let wordAt = at + WORDS_AT + ((fields & Field.TO) !== 0 ? 4 : 0);
      if (isReply) {
        last = readU32(bytes, wordAt + 4);
        if (last === 0 && readU32(bytes, wordAt) === 0) return 'a Reply to [0:0]';
        wordAt += 8;
      }
      // Ids without a network come from KBUS, and the frame has them.
      if ((fields & Field.ID) !== 0 && readU32(bytes, wordAt) === 0) return 'an id of network 0';
      if (isKnown) {
        known++;
      } else if (numbers !== null) {
        const number = numbers.of(bytes, at + nameAfter(fields), nameLength, numberAt(bytes, at));
        writeU32(bytes, at + NUMBER_AT, number);
        if (told !== null && number <= MAX_KNOWN && number !== 0 && !told.has(number))
          untold.push(number);
      }
      at += headLength(nameLength, fields);
      bare = entireLength(nameLength, 0);
      heads++;
    } else if (nameLength === 0) {
      return 'the first message of a frame has the head of one before it';
    } else if ((fields & (Field.ID | Field.CARRIED)) !== 0) {
      return "a message with the head of another that is a Limpet's";
    } else if (isReply && ++last > 0xffff_ffff) {
      return 'more Replies than there are serial numbers';
    }
    const dataLength = word < SAME ? word : word - SAME;
    const rounded = padded(dataLength);
    if (rounded > end - at) return `data of ${dataLength} bytes, where ${end - at} are left`;
    at += rounded;
    const size = bare + rounded;
    data += dataLength;
    sizes += size;
    if (size > largest) largest = size;
  }
  sums.data = data;
  sums.size = sizes;
  sums.largest = largest;
  sums.heads = heads;
  sums.known = known;
  return at === end ? '' : `${end - at} bytes behind the last message of a frame`;
}

/** What is wrong with a KNOWN head. */
function knownFault(number: number, length: number, told: ToldNumbers): string {
  return told.has(number)
    ? `a name of ${length} bytes with number ${number}, which is that of ${knownNames.name(number)}`
    : `the number ${number} in place of a name, which the daemon has not told`;
}

/** Reads the heads of records. The same heads come again and again, so it keeps those that it made. */
export class HeadReader {
  private readonly names = new NameReader<Head>();
  /** Heads of names that have a number. */
  private readonly numbered = new ByNumber<Head>();
  private readonly foreign = new ForeignHeads();
  protected readonly words = new RecordWords();
  private readonly trustsNumbers: boolean;
  /** Where the head that was read last ends. */
  end = 0;
  /** The serial number of the id in the head that was read last, if its `idNetwork` is not 0. */
  idSerial = 0;

  /** `trustsNumbers`: all records come from one daemon, which has numbered their names. */
  constructor(trustsNumbers: boolean) {
    this.trustsNumbers = trustsNumbers;
  }

  /**
   * The head at `headAt`; null when there is none, or it goes past `limit`. `you` are flags to set beside its own. `origin`: the words
   * of a head that has none itself.
   */
  read(
    bytes: Uint8Array,
    headAt: number,
    limit: number,
    you: number,
    origin?: RecordWords,
  ): Head | null {
    if (headAt + LEAST_HEAD > limit || headFault(bytes, headAt) !== '') return null;
    const fields = fieldsAt(bytes, headAt);
    const nameLength = nameLengthAt(bytes, headAt);
    const nameAt = headAt + nameAfter(fields);
    this.end = nameAt + padded(nameLength);
    if (this.end > limit) return null;
    const flags = (flagsAt(bytes, headAt) | you) >>> 0;
    const number = this.trustsNumbers ? numberAt(bytes, headAt) : 0;
    const numbered = this.numbered.get(number);
    const words = fields === 0 ? origin : this.words.read(bytes, headAt, 0);
    if (numbered !== undefined) {
      if (words !== undefined) return this.withWords(words, numbered.name, flags, number);
      if (numbered.flags === flags) return numbered;
    }
    const { names } = this;
    const slot = names.read(bytes, nameAt, nameLength);
    const known = names.note(slot);
    const isKnown = known !== null && known.flags === flags;
    const head = isKnown ? known : new Head(names.name(slot), flags);
    if (!isKnown) names.setNote(slot, head);
    if (number !== 0) this.numbered.set(number, head);
    return words === undefined ? head : this.withWords(words, head.name, flags, number);
  }

  protected withWords(words: RecordWords, name: string, flags: number, number: number): Head {
    const { foreign } = this;
    this.idSerial = words.idSerial;
    const known = foreign.find(number, flags, words);
    if (known !== undefined) return known;
    const head = new Head(
      name,
      flags,
      words.to,
      words.idNetwork,
      words.replyNetwork,
      words.replySerial,
      origFromOf(words.origNetwork, words.origLocal),
      origFromOf(words.finalNetwork, words.finalLocal),
    );
    foreign.keep(number, head);
    return head;
  }
}

function origFromOf(network: number, local: number): OrigFrom {
  return network === 0 && local === 0 ? OrigFrom.UNSET : new OrigFrom(network, local);
}

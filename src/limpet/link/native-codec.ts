import { copyBytes } from '../../base/copy-bytes.ts';
import { padded, writeU32 } from '../../base/u32.ts';
import { copyWithHead, HEAD_AT, headLengthAt } from '../../message/codec/records.ts';
import { Errno } from '../../message/errno.ts';
import { Head } from '../../message/head.ts';
import { OrigFrom } from '../../message/id.ts';
import { type Message, ReceivedMessage } from '../../message/message.ts';
import { MAX_NAME } from '../../message/name.ts';
import { batchFault, RecordBatch } from '../../message/record-batch.ts';
import { BadMessage } from '../errors.ts';
import type { Address } from '../hub/address.ts';
import type { BatchEntry, Entry, Frame, HubState, LinkState } from '../hub/frame.ts';

/**
 * The native link, byte by byte (spec 3 §7). Numbers are big-endian. First each side sends `KLMP`, and then frames:
 *
 *      0 u32 length of the frame in bytes, these 4 included; Limpets send multiples of 4, so that words are aligned
 *      4 u8  kind: 1 HELLO, 2 CONTROL, 3 ENTRIES, 4 PING, 5 PONG, 6 FAREWELL, 7 BATCH
 *      5     the body
 *
 * HELLO, CONTROL and FAREWELL have a JSON object as their body, with spaces behind it. PING and PONG have 8 bytes that PONG
 * gives back, and 3 of 0. ENTRIES has
 *
 *      5 u8 0    6 u16 how many entries    8 u32, f64 the origin: id, life    20 f64 n of the first    28 f64 its heard
 *
 * and then its entries:
 *
 *      0 u8 Bit    1 u8 0    2 u16 number of the head    4 u32 length of the data    8 u32 serial number of the id
 *        [f64 n, f64 heard]     COUNTED; otherwise both are one more than those of the entry before
 *        [u32 id, f64 life]     DEST
 *        [f64]                  ANSWER: the number of the Request
 *        [6 × u32, u16, u16, …] HEAD: flags, to, orig_from, final_to, network of the id is the next word; length of the
 *                               name, 0, the name
 *
 * and the data; behind the last entry, zeros. A head that was sent once is known by its number; a later one may take that number.
 *
 * BATCH has Announcements of one Ksock, as records of the compact layout (message/codec/records.ts). Their ids are
 * [network id of the origin: serial number], rising by one, and their orig_from is that network id and the Ksock.
 *
 *      5 u8 1: they wait (ALL_OR_WAIT); 0    6 u16 how many    8 u32, f64 the origin: id, life
 *     20 f64 n of the first    28 f64 its heard    36 u32 its serial number    40 u32 the Ksock    44 the records
 */
export const MAGIC = 0x4b4c_4d50;

export const VERSION = 2;

export const Kind = {
  HELLO: 1,
  CONTROL: 2,
  ENTRIES: 3,
  PING: 4,
  PONG: 5,
  FAREWELL: 6,
  BATCH: 7,
} as const;

const Bit = { HEAD: 1, COUNTED: 2, DEST: 4, ANSWER: 8, BLOCKED: 16, TOO_LARGE: 32 } as const;

const ALL_BITS = 63;

const HEADER = 5;
const ENTRIES_HEADER = 36;
const BATCH_HEADER = 44;
/** The length of PING and PONG, and of what PONG gives back. */
const ECHO = 16;
const TOKEN = 8;

/** Up to this length, in bytes, records are copied behind the header of their frame; longer ones are written from where they lie. */
const MAX_COPIED = 4096;
const ENTRY = 12;
const HEAD_WORDS = 32;
/** Heads that a link knows by number. */
const HEADS = 4096;
/** The number of a head that no later entry has. */
const NO_NUMBER = 0xffff;

/** The longest frame that a link accepts: room for a message of the largest size that buses have by default, and more. */
export const MAX_FRAME = 256 * 1024 * 1024;

/** The longest HELLO: its filters are names. */
export const MAX_HELLO = 1024 * 1024;

/** The peer has broken a rule of the link; the text says which. */
export class LinkError extends BadMessage {
  override readonly name: string = 'LinkError';
}

export interface Hello {
  readonly version: number;
  readonly id: number;
  readonly life: number;
  /** What identifies the bus, in this life of it. */
  readonly bus: string;
  /** Which link of the sender this is. */
  readonly link: number;
  /** The sender is on the same bus. */
  readonly isSibling: boolean;
  /** What the sender lets out, and in. */
  readonly out: readonly string[];
  readonly in: readonly string[];
}

/** Encodes what goes to one peer. */
export class Encoder {
  private readonly numbers = new Map<Head, number>();
  private readonly heads: Head[] = [];
  private next = 0;

  json(kind: number, body: unknown): Uint8Array {
    const text = Buffer.from(JSON.stringify(body));
    const bytes = Buffer.alloc(padded(HEADER + text.length), ' ');
    bytes.writeUInt32BE(bytes.length, 0);
    bytes[4] = kind;
    text.copy(bytes, HEADER);
    return bytes;
  }

  echo(kind: number, token: Uint8Array): Uint8Array {
    const bytes = Buffer.alloc(ECHO);
    bytes.writeUInt32BE(ECHO, 0);
    bytes[4] = kind;
    bytes.set(token, HEADER);
    return bytes;
  }

  /** The pieces of a frame. */
  pieces(frame: Frame): readonly Uint8Array[] {
    return frame.kind === 'batch' ? batchPieces(frame.origin, frame.entry) : [this.frame(frame)];
  }

  frame(frame: Exclude<Frame, { kind: 'batch' }>): Uint8Array {
    return frame.kind === 'entries' ? this.entries(frame) : this.json(Kind.CONTROL, frame);
  }

  private entries({ origin, entries }: Extract<Frame, { kind: 'entries' }>): Uint8Array {
    let length = ENTRIES_HEADER + 3;
    for (const { message } of entries) {
      length += ENTRY + 36 + HEAD_WORDS + message.head.name.length + message.dataSize;
    }
    const bytes = Buffer.allocUnsafe(length);
    const first = entries[0] as Entry;
    bytes.writeUInt32BE(Kind.ENTRIES * 0x100_0000 + entries.length, 4);
    bytes.writeUInt32BE(origin.id, 8);
    bytes.writeDoubleBE(origin.life, 12);
    bytes.writeDoubleBE(first.n, 20);
    bytes.writeDoubleBE(first.heard, 28);
    let at = ENTRIES_HEADER;
    let n = first.n - 1;
    let heard = first.heard - (first.answers === 0 ? 1 : 0);
    for (const entry of entries) {
      at = this.entry(bytes, at, entry, n, heard);
      n = entry.n;
      heard = entry.heard;
    }
    const end = padded(at);
    bytes.fill(0, at, end);
    bytes.writeUInt32BE(end, 0);
    return bytes.subarray(0, end);
  }

  private entry(bytes: Buffer, start: number, entry: Entry, n: number, heard: number): number {
    const { message, dest, answers } = entry;
    const { head, dataSize } = message;
    let bits = 0;
    let number = NO_NUMBER;
    if (answers === 0) {
      const known = this.numbers.get(head);
      if (known === undefined) {
        number = this.remember(head);
        bits |= Bit.HEAD;
      } else {
        number = known;
      }
    } else {
      bits |= Bit.HEAD | Bit.ANSWER;
    }
    const isUnheard = answers !== 0;
    if (entry.n !== n + 1 || entry.heard !== heard + (isUnheard ? 0 : 1)) bits |= Bit.COUNTED;
    if (dest !== null) bits |= Bit.DEST;
    if (entry.refusal !== 0) {
      bits |= entry.refusal === Errno.EMSGSIZE ? Bit.TOO_LARGE : Bit.BLOCKED;
    }
    writeU32(bytes, start, ((bits << 24) | number) >>> 0);
    writeU32(bytes, start + 4, dataSize);
    writeU32(bytes, start + 8, message.idSerial);
    let at = start + ENTRY;
    if ((bits & Bit.COUNTED) !== 0) {
      bytes.writeDoubleBE(entry.n, at);
      bytes.writeDoubleBE(entry.heard, at + 8);
      at += 16;
    }
    if (dest !== null) {
      writeU32(bytes, at, dest.id);
      bytes.writeDoubleBE(dest.life, at + 4);
      at += 12;
    }
    if (answers !== 0) {
      bytes.writeDoubleBE(answers, at);
      at += 8;
    }
    if ((bits & Bit.HEAD) !== 0) at = writeHead(bytes, at, head);
    if (dataSize > 0) {
      const { bytes: memory, dataStart } = message;
      copyBytes(memory, dataStart, dataStart + dataSize, bytes, at);
    }
    return at + dataSize;
  }

  private remember(head: Head): number {
    const number = this.next;
    this.next = (number + 1) % HEADS;
    const before = this.heads[number];
    if (before !== undefined) this.numbers.delete(before);
    this.heads[number] = head;
    this.numbers.set(head, number);
    return number;
  }
}

function writeHead(bytes: Buffer, start: number, head: Head): number {
  const { name, flags, to, origFrom, finalTo, idNetwork } = head;
  const words = [
    flags,
    to,
    origFrom.networkId,
    origFrom.localId,
    finalTo.networkId,
    finalTo.localId,
    idNetwork,
  ];
  let at = start;
  for (const word of words) {
    writeU32(bytes, at, word);
    at += 4;
  }
  writeU32(bytes, at, name.length * 0x1_0000);
  at += 4;
  for (let index = 0; index < name.length; index++) bytes[at + index] = name.charCodeAt(index);
  return at + name.length;
}

function batchPieces(origin: Address, { n, heard, batch }: BatchEntry): readonly Uint8Array[] {
  const { at, count, end, headAt, sender, serial, waits } = batch;
  // A first record that is SAME gets the head that lies before the batch.
  const isSame = headAt !== at + HEAD_AT;
  const ownHead = isSame ? HEAD_AT + headLengthAt(batch.bytes, headAt) : 0;
  const from = isSame ? at + HEAD_AT : at;
  const head = BATCH_HEADER + ownHead;
  const length = head + end - from;
  const isCopied = end - from <= MAX_COPIED;
  const bytes = Buffer.allocUnsafe(isCopied ? length : head);
  writeU32(bytes, 0, length);
  writeU32(bytes, 4, Kind.BATCH * 0x100_0000 + (waits ? 0x1_0000 : 0) + count);
  writeU32(bytes, 8, origin.id);
  bytes.writeDoubleBE(origin.life, 12);
  bytes.writeDoubleBE(n, 20);
  bytes.writeDoubleBE(heard, 28);
  writeU32(bytes, 36, serial);
  writeU32(bytes, 40, sender);
  if (isSame) copyWithHead(batch.bytes, batch.at, headAt, 0, bytes, BATCH_HEADER);
  if (!isCopied) return [bytes, batch.bytes.subarray(from, end)];
  copyBytes(batch.bytes, from, end, bytes, head);
  return [bytes];
}

export type Received =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'ping' | 'pong'; readonly token: Uint8Array }
  /** `isFinal`: it will be so again at the next attempt. */
  | { readonly kind: 'farewell'; readonly why: string; readonly isFinal: boolean };

/** Decodes what comes from one peer. Throws a LinkError for bytes that no Limpet sends. */
export class Decoder {
  private readonly heads: (Head | null)[] = [];

  /** One frame, whole. */
  decode(bytes: Uint8Array): Received {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    switch (bytes[4]) {
      case Kind.HELLO:
        return { kind: 'hello', hello: helloOf(jsonOf(bytes)) };
      case Kind.CONTROL:
        return { kind: 'frame', frame: controlOf(jsonOf(bytes)) };
      case Kind.ENTRIES:
        return { kind: 'frame', frame: this.entries(bytes, view) };
      case Kind.BATCH:
        return { kind: 'frame', frame: batchOf(bytes, view) };
      case Kind.PING:
        return { kind: 'ping', token: tokenOf(bytes) };
      case Kind.PONG:
        return { kind: 'pong', token: tokenOf(bytes) };
      case Kind.FAREWELL: {
        const { why, isFinal } = jsonOf(bytes);
        return {
          kind: 'farewell',
          why: typeof why === 'string' ? why : '',
          isFinal: isFinal !== false,
        };
      }
      default:
        throw new LinkError(`a frame of kind ${bytes[4]}, which this version does not have`);
    }
  }

  private entries(bytes: Uint8Array, view: DataView): Frame {
    if (bytes.length < ENTRIES_HEADER) throw new LinkError('the frame of entries is too short');
    const origin = addressAt(view, 8);
    const entries: Entry[] = [];
    const count = view.getUint16(6);
    let n = countAt(view, 20) - 1;
    let heard = countAt(view, 28);
    let at = ENTRIES_HEADER;
    const need = (length: number): void => {
      if (length <= bytes.length - at) return;
      throw new LinkError(`the frame ends in entry ${entries.length + 1} of ${count}`);
    };
    while (entries.length < count) {
      need(ENTRY);
      const bits = bytes[at] as number;
      if (bits > ALL_BITS) throw new LinkError(`unknown bits in an entry: ${bits}`);
      const number = view.getUint16(at + 2);
      const dataLength = view.getUint32(at + 4);
      const serial = view.getUint32(at + 8);
      at += ENTRY;
      const isAnswer = (bits & Bit.ANSWER) !== 0;
      n++;
      if (entries.length > 0 && !isAnswer) heard++;
      if ((bits & Bit.COUNTED) !== 0) {
        need(16);
        n = countAt(view, at);
        heard = countAt(view, at + 8);
        at += 16;
      }
      let dest: Address | null = null;
      if ((bits & Bit.DEST) !== 0) {
        need(12);
        dest = addressAt(view, at);
        at += 12;
      }
      let answers = 0;
      if (isAnswer) {
        need(8);
        answers = countAt(view, at);
        at += 8;
        if (answers === 0 || dest === null) throw new LinkError('a Reply to no Request');
      }
      let head: Head | null | undefined;
      if ((bits & Bit.HEAD) !== 0) {
        need(HEAD_WORDS);
        const nameLength = view.getUint16(at + 28);
        if (nameLength === 0 || nameLength > MAX_NAME) {
          throw new LinkError(`a name of ${nameLength} bytes`);
        }
        need(HEAD_WORDS + nameLength);
        head = readHead(bytes, view, at, nameLength);
        at += HEAD_WORDS + nameLength;
        if (number < HEADS) this.heads[number] = head;
      } else {
        head = this.heads[number];
      }
      if (head === undefined || head === null) throw new LinkError(`the head ${number} is unknown`);
      if (dataLength > bytes.length - at) {
        throw new LinkError(`data of ${dataLength} bytes, where ${bytes.length - at} are left`);
      }
      const message: Message = new ReceivedMessage(head, 0, serial, bytes, at, dataLength);
      at += dataLength;
      let refusal = 0;
      if ((bits & Bit.TOO_LARGE) !== 0) refusal = Errno.EMSGSIZE;
      else if ((bits & Bit.BLOCKED) !== 0) refusal = Errno.EADDRNOTAVAIL;
      entries.push({ n, heard, message, dest, answers, refusal, after: 0 });
    }
    if (padded(at) !== bytes.length)
      throw new LinkError(`${bytes.length - at} bytes behind the last entry`);
    if (count === 0) throw new LinkError('a frame of no entries');
    return { kind: 'entries', origin, entries };
  }
}

function batchOf(bytes: Uint8Array, view: DataView): Frame {
  if (bytes.length < BATCH_HEADER) throw new LinkError('the frame of a batch is too short');
  const waits = bytes[5] === 1;
  const count = view.getUint16(6);
  const origin = addressAt(view, 8);
  const n = countAt(view, 20);
  const heard = countAt(view, 28);
  const serial = view.getUint32(36);
  const sender = view.getUint32(40);
  if (count === 0) throw new LinkError('a batch of no messages');
  if (serial + count > 2 ** 32) throw new LinkError(`${count} messages, from serial ${serial} on`);
  const { length: end } = bytes;
  const fault = batchFault(bytes, BATCH_HEADER, end, count, waits);
  if (fault !== '') throw new LinkError(fault);
  const headAt = BATCH_HEADER + HEAD_AT;
  const { id } = origin;
  const batch = new RecordBatch(bytes, BATCH_HEADER, headAt, end, count, id, serial, sender, waits);
  return { kind: 'batch', origin, entry: { n, heard, batch } };
}

function readHead(bytes: Uint8Array, view: DataView, at: number, nameLength: number): Head {
  const word = (index: number): number => view.getUint32(at + index * 4);
  let name = '';
  for (let index = 0; index < nameLength; index++) {
    name += String.fromCharCode(bytes[at + HEAD_WORDS + index] as number);
  }
  return new Head(
    name,
    word(0),
    word(1),
    word(6),
    0,
    0,
    new OrigFrom(word(2), word(3)),
    new OrigFrom(word(4), word(5)),
  );
}

function addressAt(view: DataView, at: number): Address {
  return checkAddress({ id: view.getUint32(at), life: view.getFloat64(at + 4) });
}

function countAt(view: DataView, at: number): number {
  return checkCount(view.getFloat64(at));
}

function tokenOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length === ECHO) return bytes.slice(HEADER, HEADER + TOKEN);
  throw new LinkError(`a PING of ${bytes.length} bytes`);
}

// JSON frames. A peer may send anything.

type Json = Record<string, unknown>;

const utf8 = new TextDecoder('utf-8', { fatal: true });

function jsonOf(bytes: Uint8Array): Json {
  try {
    return checkObject(JSON.parse(utf8.decode(bytes.subarray(HEADER))));
  } catch (error) {
    if (error instanceof LinkError) throw error;
    throw new LinkError('a frame that should be JSON, and is not');
  }
}

function checkObject(value: unknown): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new LinkError('a frame lacks an object');
}

function checkCount(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new LinkError(`${String(value)}, where a count should be`);
}

function checkId(value: unknown): number {
  const id = checkCount(value);
  if (id >= 1 && id <= 0xffff_ffff) return id;
  throw new LinkError(`${id} as a network id`);
}

function checkBoolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new LinkError(`${String(value)}, where true or false should be`);
}

function checkText(value: unknown): string {
  if (typeof value === 'string' && value.length <= MAX_NAME) return value;
  throw new LinkError('a text is missing, or too long');
}

function checkList<T>(value: unknown, check: (each: unknown) => T): T[] {
  if (Array.isArray(value)) return value.map(check);
  throw new LinkError('a frame lacks a list');
}

function checkAddress(value: unknown): Address {
  const { id, life } = checkObject(value);
  return { id: checkId(id), life: checkCount(life) };
}

function helloOf(json: Json): Hello {
  const version = checkCount(json['version']);
  if (version !== VERSION) {
    throw new LinkError(
      `it speaks version ${version} of the link, and this one version ${VERSION}: install the same kbus at both ends`,
    );
  }
  return {
    version,
    id: checkId(json['id']),
    life: checkCount(json['life']),
    bus: checkText(json['bus']),
    link: checkCount(json['link']),
    isSibling: checkBoolean(json['isSibling']),
    out: checkList(json['out'], checkText),
    in: checkList(json['in'], checkText),
  };
}

function linkStateOf(value: unknown): LinkState {
  const { peer, cost, filters } = checkObject(value);
  const checked = checkCount(cost);
  if (checked === 0) throw new LinkError('a link of no cost');
  return { peer: neighbourOf(peer), cost: checked, filters: checkList(filters, checkText) };
}

/** A Limpet, or (with id 0) a federation. */
function neighbourOf(value: unknown): Address {
  const { id, life } = checkObject(value);
  return { id: id === 0 ? 0 : checkId(id), life: checkCount(life) };
}

function replacedOf(value: unknown): Address | null {
  return value === null ? null : checkAddress(value);
}

function hubStateOf(value: unknown): HubState {
  const { hub, seq, links, replaces, repliers } = checkObject(value);
  return {
    hub: checkAddress(hub),
    seq: checkCount(seq),
    links: checkList(links, linkStateOf),
    replaces: replacedOf(replaces),
    repliers: checkList(repliers, checkText),
  };
}

function controlOf(json: Json): Frame {
  const { kind } = json;
  switch (kind) {
    case 'state':
      return { kind, state: hubStateOf(json['state']) };
    case 'links':
      return {
        kind,
        hub: checkAddress(json['hub']),
        seq: checkCount(json['seq']),
        links: checkList(json['links'], linkStateOf),
        replaces: replacedOf(json['replaces']),
      };
    case 'replier':
      return {
        kind,
        hub: checkAddress(json['hub']),
        seq: checkCount(json['seq']),
        isBound: checkBoolean(json['isBound']),
        name: checkText(json['name']),
      };
    case 'subscribe':
      return {
        kind,
        origin: checkAddress(json['origin']),
        token: checkCount(json['token']),
        from: checkCount(json['from']),
        wantsNow: checkBoolean(json['wantsNow']),
        isRelay: checkBoolean(json['isRelay']),
      };
    case 'unsubscribe':
      return { kind, origin: checkAddress(json['origin']) };
    case 'begin':
      return {
        kind,
        origin: checkAddress(json['origin']),
        token: checkCount(json['token']),
        from: checkCount(json['from']),
        heard: checkCount(json['heard']),
        isGap: checkBoolean(json['isGap']),
        now: checkCount(json['now']),
        heardNow: checkCount(json['heardNow']),
      };
    case 'skip':
      return {
        kind,
        origin: checkAddress(json['origin']),
        to: checkCount(json['to']),
        heard: checkCount(json['heard']),
      };
    case 'acknowledge':
      return {
        kind,
        origin: checkAddress(json['origin']),
        hub: checkAddress(json['hub']),
        to: checkCount(json['to']),
      };
    case 'after':
      return {
        kind,
        announced: checkCount(json['announced']),
        stored: checkCount(json['stored']),
        seq: checkCount(json['seq']),
      };
    default:
      throw new LinkError(`a frame '${String(kind)}', which this version does not have`);
  }
}

import { entireLength } from '../message/entire.ts';
import { Flag } from '../message/flags.ts';
import type { Message } from '../message/message.ts';
import type { RequestRecord } from './ledger.ts';

const NO_BYTES = new Uint8Array(0);

/** The fields orig_from and final_to (the specification, section 4). */
export interface Carried {
  readonly origNetwork: number;
  readonly origLocal: number;
  readonly finalNetwork: number;
  readonly finalLocal: number;
}

/**
 * A message as a bus stores it: once, however many queues hold it. The fields are plain numbers, and
 * the data is a stretch of a buffer that is never copied and never looked at. What differs between
 * the copies (WANT_YOU_TO_REPLY) is not stored here, but follows from the queue entry.
 */
export class Parcel {
  name: string;
  flags: number;
  to: number;
  from = 0;
  idNetwork = 0;
  idSerial = 0;
  replyNetwork = 0;
  replySerial = 0;
  /** What Limpets give a message to carry; null when all of it is 0, as it mostly is. */
  carried: Carried | null = null;
  bytes: Uint8Array;
  dataAt: number;
  readonly dataLength: number;
  /** Bytes of the message, or of each one of a run, as the maximum size counts them (section 4). */
  readonly size: number;
  /** The pieces of large data behind the end of `bytes`; null when all of it lies there. */
  more: Uint8Array[] | null = null;
  /**
   * How many messages this stands for. More than one are a run: alike in all but data, which lie `stride`
   * bytes apart, and what numbers them, which rises by one: ids, tokens and tickets, and the serial
   * number that Replies answer. What is told of the parcel is told of its first message.
   */
  count = 1;
  stride = 0;
  /** How many were given to somebody: entries of queues, and an answer that passed them by. */
  copies = 0;
  /** How many entries of queues hold it now. */
  holders = 0;
  /** The ledger's record, once this is a Request that was accepted; a run of them has one for each. */
  requests: RequestRecord | RequestRecord[] | null = null;
  // The rest is the drivers'.
  /** Whether `bytes` has more than the data; the driver knows what. */
  stamp = 0;
  /** By which the driver knows this send again, when its outcome is told. */
  ticket = 0;
  /** Its answer is known by the ticket too, and doesn't go into a queue. */
  isAnswered = false;
  /** Its sender waits for room, if need be. */
  waits = false;
  /** How the frame it came in wants to be answered. */
  detail = 0;

  constructor(
    name: string,
    flags: number,
    to: number,
    bytes: Uint8Array,
    dataAt: number,
    dataLength: number,
  ) {
    this.name = name;
    this.flags = flags;
    this.to = to;
    this.bytes = bytes;
    this.dataAt = dataAt;
    this.dataLength = dataLength;
    this.size = entireLength(name.length, dataLength);
  }

  /** A copy of the data. Not a view: those of small arrays cost much more. */
  copyData(): Uint8Array {
    const { bytes, dataAt, dataLength, more } = this;
    if (more !== null) {
      const data = new Uint8Array(dataLength);
      this.writeData(data, 0);
      return data;
    }
    // The quickest way there is, when they are all of it.
    if (dataLength === bytes.length) return new Uint8Array(bytes);
    // The `slice` of a Buffer is a view.
    return Uint8Array.prototype.slice.call(bytes, dataAt, dataAt + dataLength);
  }

  /** Writes the data into `to`, from `at` on. */
  writeData(to: Uint8Array, at: number): void {
    let left = this.dataLength;
    const end = at + left;
    for (const piece of [this.bytes.subarray(this.dataAt), ...(this.more ?? [])]) {
      to.set(piece.subarray(0, left), end - left);
      left = Math.max(0, left - piece.length);
    }
  }

  /** The message at `index` of a run, by itself. */
  one(index: number): Parcel {
    const { stride } = this;
    const one = new Parcel(
      this.name,
      this.flags,
      this.to,
      this.bytes,
      this.dataAt + index * stride,
      this.dataLength,
    );
    one.more = this.more;
    one.from = this.from;
    one.replyNetwork = this.replyNetwork;
    one.replySerial = this.replySerial === 0 ? 0 : this.replySerial + index;
    one.carried = this.carried;
    one.idSerial = this.idSerial === 0 ? 0 : this.idSerial + index;
    one.requests = this.requestOf(index);
    one.ticket = this.ticket + index;
    one.isAnswered = this.isAnswered;
    one.waits = this.waits;
    one.detail = this.detail;
    return one;
  }

  /** Takes the first `count` messages off a run that was not sent yet; this parcel keeps the others. */
  split(count: number): Parcel {
    const head = this.one(0);
    head.count = count;
    head.stride = this.stride;
    this.count -= count;
    this.ticket += count;
    if (this.replySerial !== 0) this.replySerial += count;
    this.dataAt += count * this.stride;
    return head;
  }

  /** The record of the message at `index`, once it is a Request that was accepted. */
  requestOf(index: number): RequestRecord | null {
    const { requests } = this;
    return Array.isArray(requests) ? (requests[index] as RequestRecord) : requests;
  }

  /** The token by which an answer is known, or -1; as given to `send`. */
  get token(): number {
    return this.isAnswered ? this.ticket : -1;
  }

  get isReply(): boolean {
    return this.replySerial !== 0 || this.replyNetwork !== 0;
  }

  get isRequest(): boolean {
    return (this.flags & Flag.WANT_A_REPLY) !== 0;
  }
}

/** A message that KBUS itself makes; the bus gives it its id. */
export function syntheticParcel(name: string, flags = 0, data: Uint8Array = NO_BYTES): Parcel {
  return new Parcel(name, flags | Flag.SYNTHETIC, 0, data, 0, data.length);
}

/**
 * A message that a program has written, for the bus, with this data, or a copy of it. Its serial number counts
 * only beside a network id: without one, the bus gives the id.
 */
export function parcelOf(message: Message, data: Uint8Array): Parcel {
  const { head, idSerial } = message;
  const parcel = new Parcel(head.name, head.flags, head.to, data, 0, data.length);
  parcel.idNetwork = head.idNetwork;
  if (head.idNetwork !== 0) parcel.idSerial = idSerial;
  parcel.replyNetwork = head.replyNetwork;
  parcel.replySerial = head.replySerial;
  const { origFrom, finalTo } = head;
  if (origFrom.isSet || finalTo.isSet) {
    parcel.carried = {
      origNetwork: origFrom.networkId,
      origLocal: origFrom.localId,
      finalNetwork: finalTo.networkId,
      finalLocal: finalTo.localId,
    };
  }
  return parcel;
}

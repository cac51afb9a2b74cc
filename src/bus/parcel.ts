import { Flag } from '../message/flags.ts';
import type { RequestRecord } from './ledger.ts';

const NO_BYTES = new Uint8Array(0);

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
  origNetwork = 0;
  origLocal = 0;
  finalNetwork = 0;
  finalLocal = 0;
  bytes: Uint8Array;
  dataAt: number;
  dataLength: number;
  /** How many were given to somebody: entries of queues, and an answer that passed them by. */
  copies = 0;
  /** The ledger's record, once this is a Request that was accepted. */
  request: RequestRecord | null = null;
  // The rest is the drivers'. The frame in which the message came, or which was made for it, begins at
  // `frameAt` in `frame`; `stamp` tells whether it holds what the bus has set, and for whom.
  frame: Uint8Array | null = null;
  frameAt = 0;
  stamp = 0;
  /** By which the driver knows this send again, when its outcome is told. */
  ticket = 0;
  /** The token by which an answer is known, or -1; as given to `send`. */
  token = -1;
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

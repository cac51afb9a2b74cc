// A connection to a daemon that sends any frames (docs/protocol.md), and reads only as much as it wants to.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { RecordWords, writeRecord } from '../dist/message/codec/records.js';
import { wordsFrame } from '../dist/wire/frame.js';
import { FrameKind, PROTOCOL_MAGIC, PROTOCOL_VERSION } from '../dist/wire/protocol.js';

export { Op } from '../dist/message/calls.js';
export { Flag } from '../dist/message/flags.js';
export { SendDetail } from '../dist/wire/protocol.js';

/** More than there is of anything. */
export const UNLIMITED = 0xffff_ffff;

/** How HELLO begins. */
export const PROTOCOL = [PROTOCOL_MAGIC, PROTOCOL_VERSION];

/** The bits of a record's fields that follow its flags. */
const Field = { TO: 1, REPLY: 2, ID: 4 };

/**
 * @param {number} kind @param {number} detail @param {number} consumed @param {number} token
 * @param {readonly number[]} words @param {Uint8Array} [body]
 */
export function frame(kind, detail, consumed, token, words, body = new Uint8Array(0)) {
  const length = 12 + words.length * 4 + body.length;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes[4] = kind;
  bytes[5] = detail;
  bytes.writeUInt16BE(consumed, 6);
  bytes.writeUInt32BE(token >>> 0, 8);
  for (const [at, word] of words.entries()) bytes.writeUInt32BE(word >>> 0, 12 + at * 4);
  bytes.set(body, 12 + words.length * 4);
  return bytes;
}

/** @param {number} op @param {number} token @param {number} argument @param {string} [text] */
export const call = (op, token, argument, text = '') =>
  wordsFrame(FrameKind.CALL, op, 0, token, [argument], text);

/** @param {number} count */
export const credit = (count) => frame(FrameKind.CREDIT, 0, 0, 0, [count]);

/** @param {number} consumed  up to 65,535 */
export const consume = (consumed) => frame(FrameKind.CREDIT, 0, consumed, 0, [0]);

/** @param {number} token */
export const take = (token) => frame(FrameKind.TAKE, 1, 0, token, []);

/**
 * One message as a record.
 *
 * @param {string} name @param {number | Uint8Array} data  bytes, or how many zeros
 * @param {{ flags?: number, network?: number, serial?: number, to?: number, reply?: number }} [options]
 */
export function record(name, data, options = {}) {
  const { flags = 0, network = 0, serial = 0, to = 0, reply = 0 } = options;
  const words = new RecordWords();
  words.to = to;
  words.replySerial = reply;
  words.idNetwork = network;
  words.idSerial = serial;
  const fields =
    (to !== 0 ? Field.TO : 0) | (reply !== 0 ? Field.REPLY : 0) | (network !== 0 ? Field.ID : 0);
  const length = typeof data === 'number' ? data : data.length;
  const bytes = Buffer.alloc(1100 + ((length + 3) & ~3));
  const at = writeRecord(bytes, 0, name, flags, fields, words, length);
  if (typeof data !== 'number') bytes.set(data, at);
  return bytes.subarray(0, at + ((length + 3) & ~3));
}

/**
 * A SEND of these records.
 *
 * @param {number} token @param {number} detail @param {readonly Uint8Array[]} records
 */
export const send = (token, detail, records) =>
  frame(FrameKind.SEND, detail, 0, token, [records.length, 0, 0], Buffer.concat(records));

/** Connects to a port of this machine, or to a path. @param {string | number} where */
export async function dial(where) {
  for (;;) {
    const socket =
      typeof where === 'string' ? createConnection(where) : createConnection(where, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      // Many connect at once.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') throw error;
      await new Promise(setImmediate);
    }
  }
}

/** A connection that has been welcomed. */
export class Wire {
  /** @param {import('node:net').Socket} socket */
  constructor(socket) {
    this.socket = socket;
    socket.setMaxListeners(0);
    /** Its Ksock id. */
    this.id = 0;
    /** Bytes that it has read. */
    this.heard = 0;
    /** The frames that it has read whole, by kind. @type {Map<number, number>} */
    this.frames = new Map();
    /** Why the daemon has ended it. */
    this.farewell = '';
    /** @type {Buffer} */
    this.rest = Buffer.alloc(0);
    socket.on('data', (chunk) => this.hear(chunk));
    socket.on('error', () => {});
  }

  /** @param {string} directory @param {number} [bus] @param {number} [mode]  1: read-only */
  static async open(directory, bus = 0, mode = 3) {
    const socket = await dial(join(directory, `kbus${bus}.sock`));
    const wire = new Wire(socket);
    const hello = [...PROTOCOL, mode, process.pid];
    wire.write(wordsFrame(FrameKind.HELLO, 0, 0, 0, hello, 'greedy'));
    await once(socket, 'data');
    return wire;
  }

  /** @param {Buffer} chunk */
  hear(chunk) {
    this.heard += chunk.length;
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (this.rest.length >= 4 && this.rest.readUInt32BE(0) <= this.rest.length) {
      const length = this.rest.readUInt32BE(0);
      const kind = /** @type {number} */ (this.rest[4]);
      this.frames.set(kind, (this.frames.get(kind) ?? 0) + 1);
      if (kind === FrameKind.WELCOME) this.id = this.rest.readUInt32BE(12 + 12);
      if (kind === FrameKind.FAREWELL) this.farewell = this.rest.toString('latin1', 16, length);
      this.rest = this.rest.subarray(length);
    }
  }

  /** @param {...Uint8Array} frames */
  write(...frames) {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** Writes and waits until the system has taken it, or the connection has ended. @param {...Uint8Array} frames */
  async put(...frames) {
    if (this.socket.destroyed) return;
    if (this.socket.write(Buffer.concat(frames))) return;
    await Promise.race([once(this.socket, 'drain'), once(this.socket, 'close')]).catch(() => {});
  }

  /** Resolves when it has read so many frames of a kind, or has ended. @param {number} kind @param {number} count */
  until(kind, count) {
    return this.when(() => (this.frames.get(kind) ?? 0) >= count);
  }

  /** How many of its calls are answered. */
  get answers() {
    return (this.frames.get(FrameKind.RESULT) ?? 0) + (this.frames.get(FrameKind.REFUSED) ?? 0);
  }

  /** How many of its calls were refused. */
  get refusals() {
    return this.frames.get(FrameKind.REFUSED) ?? 0;
  }

  /** Resolves when so many calls are answered, or it has ended. @param {number} count */
  answered(count) {
    return this.when(() => this.answers >= count);
  }

  /** Resolves when it has read what makes this true, or has ended. @param {() => boolean} isSo */
  async when(isSo) {
    const { socket } = this;
    while (!isSo() && !socket.destroyed) {
      const waited = new AbortController();
      const { signal } = waited;
      await Promise.race([
        once(socket, 'data', { signal }),
        once(socket, 'close', { signal }),
      ]).catch(() => {});
      waited.abort();
    }
  }

  /** From now on, it reads nothing. */
  stop() {
    this.socket.pause();
  }
}

export { FrameKind };

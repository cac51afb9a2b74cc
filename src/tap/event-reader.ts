import { readU32 } from '../base/u32.ts';
import { ATTEMPTS, SETTINGS } from '../message/calls.ts';
import { checkRecords, HeadReader, RecordCursor } from '../message/codec/records.ts';
import type { Head } from '../message/head.ts';
import { MessageId } from '../message/id.ts';
import { ReceivedMessage } from '../message/message.ts';
import { MAX_NAME } from '../message/name.ts';
import { BLOCK_HEADROOM, BLOCK_TIME_BYTES } from './event-writer.ts';
import { Code, EVENTS_VERSION, type SeenMessage, type TapEvent } from './events.ts';

/** A block of events is not what a tap writes. */
export class EventError extends Error {
  override readonly name = 'EventError';
}

/** A name or text longer than this is none of a tap's. */
const MAX_TEXT = 4 * MAX_NAME;

const MAX_U32 = 0xffff_ffff;
const decoder = new TextDecoder();

/** Reads blocks of events. The data of messages are views of the blocks, which must not change. */
export class EventReader {
  /** Events may come from a file, in which numbers mean nothing. */
  private readonly heads = new HeadReader(false);
  private readonly sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;

  /** The events of a block. Throws an {@link EventError} for bad bytes; whatever they are, it reads within them. */
  read(block: Uint8Array): TapEvent[] {
    if (block.length < BLOCK_HEADROOM + BLOCK_TIME_BYTES) throw new EventError('a block too short');
    this.bytes = block;
    this.at = BLOCK_HEADROOM + BLOCK_TIME_BYTES;
    this.end = block.length;
    const high = readU32(block, BLOCK_HEADROOM);
    let time = high * 2 ** 32 + readU32(block, BLOCK_HEADROOM + 4);
    const events: TapEvent[] = [];
    while (this.at < this.end) {
      const code = this.byte();
      if (code === 0) continue;
      time += this.number();
      if (time > Number.MAX_SAFE_INTEGER) throw new EventError('a time past all times');
      events.push(this.event(code, time));
    }
    return events;
  }

  /** The event of this code whose fields are all of `bytes` from `at` on. Throws an {@link EventError}. */
  readOne(code: number, time: number, bytes: Uint8Array, at: number): TapEvent {
    this.bytes = bytes;
    this.at = at;
    this.end = bytes.length;
    const event = this.event(code, time);
    if (this.at !== this.end) throw new EventError(`${this.end - this.at} bytes behind an event`);
    return event;
  }

  private event(code: number, time: number): TapEvent {
    switch (code) {
      case Code.BEGIN:
        return { time, type: 'begin', ...this.begin() };
      case Code.KSOCK:
        return { time, type: 'ksock', ...this.ksock() };
      case Code.BINDING:
        return { time, type: 'binding', ...this.binding() };
      case Code.READY:
        return { time, type: 'ready' };
      case Code.LOST:
        return { time, type: 'lost', events: this.number(), messages: this.number() };
      case Code.OPENED:
        return { time, type: 'opened', ...this.ksock() };
      case Code.CLOSED:
        return { time, type: 'closed', ksock: this.u32() };
      case Code.BOUND:
        return { time, type: 'bound', ...this.binding() };
      case Code.UNBOUND: {
        const binding = this.binding();
        return { time, type: 'unbound', ...binding, dropped: this.number(), unread: this.number() };
      }
      case Code.BIND_REFUSED: {
        const ksock = this.u32();
        const bits = this.byte();
        const errno = this.u32();
        const [replier, isBind] = [(bits & 1) !== 0, (bits & 2) !== 0];
        return { time, type: 'bindRefused', ksock, replier, isBind, errno, name: this.text() };
      }
      case Code.MESSAGES:
        return { time, type: 'messages', ...this.messages() };
      case Code.SENT: {
        const about = this.about();
        const attempt = this.attempt();
        return { time, type: 'sent', ...about, attempt, outstanding: this.number() };
      }
      case Code.REFUSED: {
        const { id, count, messages } = this.messages();
        const ksock = this.u32();
        const attempt = this.attempt();
        return { time, type: 'refused', ksock, id, count, messages, attempt, errno: this.u32() };
      }
      case Code.WAITING:
        return { time, type: 'waiting', ...this.about(), attempt: this.attempt() };
      case Code.DISCARDED:
        return { time, type: 'discarded', ksock: this.u32(), id: this.id() };
      case Code.QUEUED: {
        const about = this.about();
        const binding = this.number();
        const atFront = (this.byte() & 1) !== 0;
        return { time, type: 'queued', ...about, binding, atFront, unread: this.number() };
      }
      case Code.MISSED:
        return { time, type: 'missed', ...this.about(), missed: this.number() };
      case Code.READ: {
        const about = this.about();
        const isAsked = (this.byte() & 1) !== 0;
        const unread = this.number();
        return { time, type: 'read', ...about, isAsked, unread, unreplied: this.number() };
      }
      case Code.ANSWERED: {
        const about = this.about();
        const request = this.id();
        const isDirect = (this.byte() & 1) !== 0;
        const status = this.text();
        const outstanding = this.number();
        const replier = this.u32();
        const unreplied = this.number();
        const more = { request, isDirect, status, outstanding, replier, unreplied };
        return { time, type: 'answered', ...about, ...more };
      }
      case Code.GIVEN_UP: {
        const ksock = this.u32();
        const request = this.id();
        const bits = this.byte();
        const [isTakenBack, hasLeft] = [(bits & 1) !== 0, (bits & 2) !== 0];
        const outstanding = this.number();
        const replier = this.u32();
        const unread = this.number();
        const unreplied = this.number();
        const more = { isTakenBack, hasLeft, outstanding, replier, unread, unreplied };
        return { time, type: 'givenUp', ksock, request, ...more };
      }
      case Code.SET: {
        const ksock = this.u32();
        const setting = this.oneOf(SETTINGS);
        const value = this.u32();
        const isError = (this.byte() & 1) !== 0;
        const result = this.u32();
        return { time, type: 'set', ksock, setting, value, result: isError ? -result : result };
      }
      default:
        throw new EventError(`an event of the unknown kind ${code}`);
    }
  }

  private begin() {
    const version = this.number();
    if (version !== EVENTS_VERSION) {
      throw new EventError(
        `events of version ${version}, where this program reads version ${EVENTS_VERSION}; use the same version of kbus for both`,
      );
    }
    const bus = this.u32();
    const startedAt = this.number();
    const maxMessageSize = this.number();
    const reportReplierBinds = (this.byte() & 1) !== 0;
    const nextKsock = this.number();
    const nextSerial = this.number();
    return { bus, startedAt, maxMessageSize, reportReplierBinds, nextKsock, nextSerial };
  }

  private ksock() {
    const ksock = this.u32();
    const bits = this.byte();
    const program = this.text();
    const pid = this.number();
    const uid = this.number() - 1;
    const maxMessages = this.number();
    const unread = this.number();
    const missed = this.number();
    const outstanding = this.number();
    const unreplied = this.number();
    const mode = (bits & 1) !== 0 ? ('rw' as const) : ('r' as const);
    const [claimed, once, sending] = [(bits & 2) !== 0, (bits & 4) !== 0, (bits & 8) !== 0];
    return {
      ksock,
      mode,
      program,
      pid,
      uid,
      claimed,
      maxMessages,
      once,
      unread,
      missed,
      outstanding,
      unreplied,
      sending,
    };
  }

  private binding() {
    const binding = this.number();
    const ksock = this.u32();
    const replier = (this.byte() & 1) !== 0;
    return { binding, ksock, replier, name: this.text() };
  }

  private about() {
    const ksock = this.u32();
    const id = this.id();
    const count = this.count();
    return { ksock, id, count };
  }

  private messages() {
    const from = this.u32();
    const id = this.id();
    const count = this.count();
    const isCut = (this.byte() & 1) !== 0;
    if (this.at + 4 > this.end) throw tooShort();
    const length = readU32(this.bytes, this.at);
    const start = this.at + 4;
    if (length > this.end - start) throw tooShort();
    // Each record has 4 bytes at least: so the count is bounded before anything is made for it.
    if (count > length / 4) throw new EventError(`${count} messages in ${length} bytes`);
    const wrong = checkRecords(this.bytes, start, length, count, 0, this.sums);
    if (wrong !== '') throw new EventError(wrong);
    this.at = start + length;
    const messages = this.records(from, id, count, start);
    if (isCut) {
      for (const message of messages) {
        const whole = this.number();
        if (whole < message.dataLength) throw new EventError('data longer than it was');
        (message as { wholeLength: number }).wholeLength = whole;
      }
    }
    return { from, id, count, messages };
  }

  private records(from: number, id: MessageId, count: number, start: number): SeenMessage[] {
    const { bytes, end, heads } = this;
    const cursor = new RecordCursor(bytes, start, start, 0);
    const messages: SeenMessage[] = [];
    let head: Head | null = null;
    for (let index = 0; index < count; index++) {
      if (index > 0) cursor.next();
      if (!cursor.isSame) head = heads.read(bytes, cursor.headAt, end, 0);
      if (head === null) throw tooShort();
      const own = cursor.repeats === 0 ? head : head.further(cursor.repeats);
      const serial = id.serialNum === 0 ? 0 : id.serialNum + index;
      const { dataAt, dataLength } = cursor;
      const message = new ReceivedMessage(own, from, serial, bytes, dataAt, dataLength);
      messages.push(Object.assign(message, { wholeLength: dataLength }));
    }
    return messages;
  }

  private byte(): number {
    if (this.at >= this.end) throw tooShort();
    return this.bytes[this.at++] as number;
  }

  private number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new EventError('a number past all numbers');
      if (byte < 0x80) return value;
      // Zeros in front of nothing would go on for ever.
      if (scale >= 2 ** 49) throw new EventError('a number that is too long');
    }
  }

  private u32(): number {
    const value = this.number();
    if (value > MAX_U32) throw new EventError(`${value}, which is no u32`);
    return value;
  }

  private id(): MessageId {
    const network = this.u32();
    const serial = this.u32();
    return network === 0 && serial === 0 ? MessageId.UNSET : new MessageId(network, serial);
  }

  private count(): number {
    const count = this.u32();
    if (count === 0) throw new EventError('an event about no message');
    return count;
  }

  private text(): string {
    const length = this.number();
    if (length > MAX_TEXT || length > this.end - this.at) throw tooShort();
    const { at, bytes } = this;
    this.at = at + length;
    return decoder.decode(bytes.subarray(at, at + length));
  }

  private attempt() {
    return this.oneOf(ATTEMPTS);
  }

  private oneOf<T>(all: readonly T[]): T {
    const index = this.byte();
    if (index >= all.length) throw new EventError(`${index}, which stands for nothing`);
    return all[index] as T;
  }
}

function tooShort(): EventError {
  return new EventError('a block ends in the middle of an event');
}

import { readU32 } from '../base/u32.ts';
import { EventError } from './event-reader.ts';
import { BLOCK_HEADROOM, BLOCK_TIME_BYTES } from './event-writer.ts';
import { Code } from './events.ts';

/** The fields of each event: n a number, b a byte, t a text, m messages. docs/protocol.md says what they mean. */
const FIELDS: Readonly<Record<number, string>> = {
  [Code.BEGIN]: 'nnnnbnn',
  [Code.KSOCK]: 'nbtnnnnnnn',
  [Code.BINDING]: 'nnbt',
  [Code.READY]: '',
  [Code.LOST]: 'nn',
  [Code.OPENED]: 'nbtnnnnnnn',
  [Code.CLOSED]: 'n',
  [Code.BOUND]: 'nnbt',
  [Code.UNBOUND]: 'nnbtnn',
  [Code.BIND_REFUSED]: 'nbnt',
  [Code.MESSAGES]: 'm',
  [Code.SENT]: 'nnnnbn',
  [Code.REFUSED]: 'mnbn',
  [Code.WAITING]: 'nnnnb',
  [Code.DISCARDED]: 'nnn',
  [Code.QUEUED]: 'nnnnnbn',
  [Code.MISSED]: 'nnnnn',
  [Code.READ]: 'nnnnbnn',
  [Code.ANSWERED]: 'nnnnnnbtnnn',
  [Code.GIVEN_UP]: 'nnnbnnnn',
  [Code.SET]: 'nbnbn',
};

/**
 * Walks over the events of a block without making objects of them: for those who pass them on. Throws an
 * {@link EventError} for bytes that are no events; it does not look at records.
 */
export class EventWalker {
  bytes: Uint8Array = new Uint8Array(0);
  private end = 0;
  private next = 0;
  code = 0;
  /** Microseconds since the tap began. */
  time = 0;
  /** Where the fields of the event begin, and end. */
  from = 0;
  to = 0;

  begin(block: Uint8Array): void {
    if (block.length < BLOCK_HEADROOM + BLOCK_TIME_BYTES) throw new EventError('a block too short');
    this.bytes = block;
    this.end = block.length;
    this.time = readU32(block, BLOCK_HEADROOM) * 2 ** 32 + readU32(block, BLOCK_HEADROOM + 4);
    this.next = BLOCK_HEADROOM + BLOCK_TIME_BYTES;
  }

  /** Moves to the next event; false at the end of the block. */
  step(): boolean {
    const { bytes } = this;
    while (this.next < this.end && bytes[this.next] === 0) this.next++;
    if (this.next >= this.end) return false;
    this.code = bytes[this.next++] as number;
    this.time += this.number();
    this.from = this.next;
    const fields = FIELDS[this.code];
    if (fields === undefined) throw new EventError(`an event of the unknown kind ${this.code}`);
    for (let at = 0; at < fields.length; at++) this.pass(fields.charCodeAt(at));
    this.to = this.next;
    return true;
  }

  private pass(field: number): void {
    if (field === NUMBER) {
      this.number();
    } else if (field === BYTE) {
      this.go(1);
    } else if (field === TEXT) {
      this.go(this.number());
    } else {
      this.number();
      this.number();
      this.number();
      const count = this.number();
      this.go(1);
      const isCut = ((this.bytes[this.next - 1] as number) & 1) !== 0;
      this.go(4);
      this.go(readU32(this.bytes, this.next - 4));
      if (isCut) for (let left = count; left > 0; left--) this.number();
    }
  }

  private go(length: number): void {
    if (length > this.end - this.next)
      throw new EventError('a block ends in the middle of an event');
    this.next += length;
  }

  private number(): number {
    const { bytes, end } = this;
    let value = 0;
    for (let scale = 1; this.next < end; scale *= 128) {
      const byte = bytes[this.next++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (scale >= 2 ** 49) break;
    }
    throw new EventError('a number that is too long');
  }
}

const NUMBER = 'n'.charCodeAt(0);
const BYTE = 'b'.charCodeAt(0);
const TEXT = 't'.charCodeAt(0);

import { describe, expect, it } from 'vitest';
import { Assembler } from '../../../src/message/codec/assembler.ts';
import { Errno } from '../../../src/message/errno.ts';
import { Message } from '../../../src/message/message.ts';

const MAX = 1_000_000;
const MESSAGE = new Message('$.Fred', 'hello', { flags: 0x10_0000 });
const BYTES = MESSAGE.toBytes();

function pointy(name: bigint, data: bigint, dataLength: number): Uint8Array {
  const bytes = BYTES.slice(0, 88);
  const view = new DataView(bytes.buffer);
  const little = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
  view.setUint32(56, dataLength, little);
  view.setBigUint64(64, name, little);
  view.setBigUint64(72, data, little);
  return bytes;
}

describe('Assembler', () => {
  it('assembles a message from any number of pieces of any size.', () => {
    for (let size = 1; size <= BYTES.length; size++) {
      const assembler = new Assembler();
      for (let at = 0; at < BYTES.length; at += size) {
        expect(assembler.isComplete).toBe(false);
        expect(assembler.write(BYTES.subarray(at, at + size), MAX)).toBe(0);
        expect(assembler.position).toBe(Math.min(at + size, BYTES.length));
      }
      expect(assembler.isComplete).toBe(true);
      expect(assembler.pointy).toBeNull();
      expect(assembler.message().equivalent(MESSAGE)).toBe(true);
    }
  });

  it('names the part that the next byte belongs to, as `stats` does.', () => {
    const assembler = new Assembler();
    const parts: string[] = [];
    for (const byte of BYTES) {
      parts.push(assembler.part);
      assembler.write(Uint8Array.of(byte), MAX);
    }
    const expected = ['HDR', 'NAME', 'DATA', 'FINAL'].flatMap((part, at) =>
      Array(([88, 8, 8, 4] as const)[at]).fill(part),
    );
    expect(parts).toEqual(expected);
  });

  it('refuses a wrong message as soon as its header is complete, and drops it.', () => {
    const bytes = BYTES.slice();
    bytes[0] = 1;
    const assembler = new Assembler();
    expect(assembler.write(bytes.subarray(0, 87), MAX)).toBe(0);
    expect(assembler.write(bytes.subarray(87, 88), MAX)).toBe(Errno.EINVAL);
    expect(assembler.isEmpty).toBe(true);
    expect(assembler.write(BYTES, MAX)).toBe(0);
    expect(assembler.isComplete).toBe(true);
  });

  it('refuses a message above the maximum before it is complete: EMSGSIZE.', () => {
    const assembler = new Assembler();
    expect(assembler.write(BYTES.subarray(0, 88), BYTES.length - 1)).toBe(Errno.EMSGSIZE);
    expect(assembler.isEmpty).toBe(true);
    expect(assembler.write(BYTES.subarray(0, 88), BYTES.length)).toBe(0);
  });

  it('refuses a length that would overflow: EMSGSIZE.', () => {
    for (const length of [0x8000_0000, 0xffff_fffd, 0xffff_ffff]) {
      expect(new Assembler().write(pointy(0n, 0n, length), MAX)).toBe(Errno.EMSGSIZE);
    }
  });

  it('refuses a bad name at the write that completes the message: EBADMSG.', () => {
    const bytes = new Message('$.Fred.*').toBytes();
    const assembler = new Assembler();
    expect(assembler.write(bytes.subarray(0, -1), MAX)).toBe(0);
    expect(assembler.write(bytes.subarray(-1), MAX)).toBe(Errno.EBADMSG);
    expect(assembler.isEmpty).toBe(true);
  });

  it('refuses bytes after the end: EMSGSIZE.', () => {
    const assembler = new Assembler();
    assembler.write(BYTES, MAX);
    expect(assembler.write(Uint8Array.of(0), MAX)).toBe(Errno.EMSGSIZE);
    expect(assembler.isEmpty).toBe(true);
    expect(assembler.write(Buffer.concat([BYTES, Buffer.of(0)]), MAX)).toBe(Errno.EMSGSIZE);
    const header = new Assembler();
    expect(header.write(Buffer.concat([pointy(1n, 1n, 5), Buffer.of(0)]), MAX)).toBe(
      Errno.EMSGSIZE,
    );
  });

  it('a message with pointers is complete with its header.', () => {
    const assembler = new Assembler();
    expect(assembler.write(pointy(0x1000n, 0x2000n, 5), MAX)).toBe(0);
    expect(assembler.isComplete).toBe(true);
    expect(assembler.pointy).toMatchObject({
      namePointer: 0x1000n,
      dataPointer: 0x2000n,
      nameLength: 6,
      dataLength: 5,
    });
    expect(() => assembler.message()).toThrow();
  });

  it.for([
    ['a name pointer without a data pointer while there is data', 1n, 0n, 5],
    ['a data pointer without a name pointer', 0n, 1n, 5],
    ['a data pointer, and no data', 1n, 1n, 0],
  ] as const)('%s → EINVAL.', ([, name, data, length]) => {
    expect(new Assembler().write(pointy(name, data, length), MAX)).toBe(Errno.EINVAL);
  });

  it('takes no more memory than the bytes written.', () => {
    const assembler = new Assembler();
    const header = new Message('$.a', new Uint8Array(1)).toBytes().subarray(0, 88).slice();
    const little = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
    new DataView(header.buffer).setUint32(56, 0xfff_fff0, little);
    const before = process.memoryUsage().arrayBuffers;
    expect(assembler.write(header, 0x2000_0000)).toBe(0);
    expect(assembler.write(new Uint8Array(1000), 0x2000_0000)).toBe(0);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });

  it('keeps the size in the header, also of a refused message.', () => {
    const assembler = new Assembler();
    expect(assembler.size).toBe(0);
    assembler.write(BYTES.subarray(0, 87), MAX);
    expect(assembler.size).toBe(0);
    assembler.write(BYTES.subarray(87, 90), MAX);
    expect(assembler.size).toBe(BYTES.length);
    assembler.write(new Uint8Array(1000), MAX);
    expect([assembler.isEmpty, assembler.size]).toEqual([true, BYTES.length]);
    assembler.write(BYTES.subarray(0, 1), MAX);
    expect(assembler.size).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import {
  type Answer,
  AnswerEncoder,
  encodeDirectory,
  S_IFDIR,
  S_IFREG,
} from '../../src/fuse/answer.ts';
import { bytesOf } from './bytes.ts';

const FILE = { node: 2, mode: S_IFREG | 0o666, uid: 10, gid: 11, size: 12, time: 1_500_250 };
const FILE_BYTES = bytesOf(
  ...[2n, 12n, 0n, 1500n, 1500n, 1500n, 250_000_000, 250_000_000, 250_000_000],
  ...[0o100666, 1, 10, 11, 0, 4096, 0],
);
const ROOT = { node: 1, mode: S_IFDIR | 0o755, uid: 0, gid: 0 };
const ROOT_BYTES = bytesOf(...[1n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o040755, 2, 0, 0, 0, 4096, 0]);

const ANSWERS: [Answer, number, Uint8Array][] = [
  [{ kind: 'error', errno: 38 }, -38 >>> 0, bytesOf()],
  [{ kind: 'done' }, 0, bytesOf()],
  [
    {
      kind: 'init',
      minor: 38,
      maxReadahead: 131072,
      flags: 0x400028,
      maxBackground: 400,
      maxWrite: 1 << 20,
      maxPages: 256,
    },
    0,
    bytesOf(7, 38, 131072, 0x400028, 400 | (300 << 16), 1 << 20, 1, 256, 0n, 0n, 0n, 0n),
  ],
  [
    { kind: 'entry', attributes: FILE },
    0,
    Buffer.concat([bytesOf(2n, 0n, 0n, 0n, 0n), FILE_BYTES]),
  ],
  [{ kind: 'attributes', attributes: ROOT }, 0, Buffer.concat([bytesOf(0n, 0n), ROOT_BYTES])],
  [{ kind: 'opened', handle: 2 ** 33, flags: 21 }, 0, bytesOf(0x2_0000_0000n, 21, 0)],
  [{ kind: 'data', data: bytesOf('Ahem') }, 0, bytesOf('Ahem')],
  [{ kind: 'data', data: bytesOf() }, 0, bytesOf()],
  [{ kind: 'written', size: 100 }, 0, bytesOf(100, 0)],
  [{ kind: 'ioctl', result: -11, output: bytesOf(7, 8) }, 0, bytesOf(-11 >>> 0, 0, 0, 0, 7, 8)],
  [{ kind: 'poll', events: 5 }, 0, bytesOf(5, 0)],
  [
    { kind: 'statfs', files: 3, nameLength: 255 },
    0,
    bytesOf(0n, 0n, 0n, 3n, 0n, 4096, 255, 4096, 0, 0n, 0n, 0n),
  ],
];

describe('AnswerEncoder', () => {
  const encoder = new AnswerEncoder();

  it.each(ANSWERS)('encodes $kind', (answer, error, body) => {
    // Whatever was encoded before leaves no trace.
    encoder.encode(0xffff_ffff_ffff_ffffn, { kind: 'entry', attributes: FILE });
    const { head, data } = encoder.encode(0x1_0000_0002n, answer);
    const expected = Buffer.concat([bytesOf(16 + body.length, error, 0x1_0000_0002n), body]);
    expect(Buffer.concat([head, data]).toString('hex')).toBe(expected.toString('hex'));
  });

  it('encodes a poll notification', () => {
    const { head, data } = encoder.encodePollNotification(0xffff_ffff_ffff_ffffn);
    const expected = Buffer.from(bytesOf(24, 1, 0n, 0xffff_ffff_ffff_ffffn));
    expect(Buffer.concat([head, data]).toString('hex')).toBe(expected.toString('hex'));
  });
});

describe('encodeDirectory', () => {
  const entries = [
    { node: 2, name: 'kbus0', type: S_IFREG },
    { node: 3, name: 'bindings', type: S_IFREG },
  ];
  const first = bytesOf(2n, 1n, 5, 8, 'kbus0\0\0\0');
  const second = bytesOf(3n, 2n, 8, 8, 'bindings');

  it('encodes entries in a row, each with the offset of the next', () => {
    expect(Buffer.from(encodeDirectory(entries, 0, 4096))).toEqual(Buffer.concat([first, second]));
  });

  it('starts at the given offset', () => {
    expect(Buffer.from(encodeDirectory(entries, 1, 4096))).toEqual(second);
    expect(encodeDirectory(entries, 2, 4096)).toHaveLength(0);
    expect(encodeDirectory(entries, 99, 4096)).toHaveLength(0);
  });

  it('never cuts an entry', () => {
    expect(Buffer.from(encodeDirectory(entries, 0, 63))).toEqual(first);
    expect(Buffer.from(encodeDirectory(entries, 0, 64))).toEqual(Buffer.concat([first, second]));
    expect(encodeDirectory(entries, 0, 31)).toHaveLength(0);
  });
});

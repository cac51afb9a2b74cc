import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Request, RequestDecoder } from '../../src/fuse/request.ts';
import { bytesOf } from './bytes.ts';

const HEADER = { unique: 0x1_0000_0002n, node: 3, uid: 4, gid: 5, pid: 6 };
const utf8 = new TextEncoder();

function requestBytes(opcode: number, body: Uint8Array): Uint8Array {
  const { unique, node, uid, gid, pid } = HEADER;
  const header = bytesOf(40 + body.length, opcode, unique, BigInt(node), uid, gid, pid, 0);
  return Buffer.concat([header, body]);
}

function decode(bytes: Uint8Array): Request | null {
  return new RequestDecoder(bytes).decode(bytes.length);
}

/** A request of every kind: opcode, body, what it says; and whether a newer kernel may append to it. */
const REQUESTS: [number, Uint8Array, Record<string, unknown>, 'grows' | 'exact'][] = [
  [1, bytesOf('kbus0\0'), { op: 'lookup', name: 'kbus0' }, 'exact'],
  [2, bytesOf(9n), { op: 'forget', forgotten: [{ node: 3, lookups: 9 }] }, 'grows'],
  [3, bytesOf(1, 0, 7n), { op: 'getattr' }, 'grows'],
  [
    4,
    bytesOf(9, 0, 7n, 10n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o644, 0, 11, 12, 0),
    { op: 'setattr', valid: 9, size: 10, mode: 0o644, owner: 11, group: 12 },
    'grows',
  ],
  [5, bytesOf(), { op: 'readlink' }, 'grows'],
  [8, bytesOf(0o100644, 0, 0o022, 0), { op: 'create' }, 'grows'],
  [14, bytesOf(0o100002, 0), { op: 'open', flags: 0o100002 }, 'grows'],
  [
    15,
    bytesOf(7n, 0x2_0000_0000n, 4096, 0, 0n, 0, 0),
    { op: 'read', handle: 7, offset: 0x2_0000_0000, size: 4096 },
    'grows',
  ],
  [
    16,
    bytesOf(7n, 8n, 3, 0, 0n, 0, 0, 'abc'),
    { op: 'write', handle: 7, offset: 8, data: utf8.encode('abc') },
    'exact',
  ],
  [17, bytesOf(), { op: 'statfs' }, 'grows'],
  [18, bytesOf(7n, 2, 0, 0n), { op: 'release', handle: 7 }, 'grows'],
  [25, bytesOf(7n, 0, 0, 0n), { op: 'flush', handle: 7 }, 'grows'],
  [
    26,
    bytesOf(7, 45, 131072, 0x73fffffb),
    { op: 'init', major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb },
    'grows',
  ],
  [27, bytesOf(0o200000, 0), { op: 'opendir', flags: 0o200000 }, 'grows'],
  [
    28,
    bytesOf(7n, 2n, 4096, 0, 0n, 0, 0),
    { op: 'readdir', handle: 7, offset: 2, size: 4096 },
    'grows',
  ],
  [29, bytesOf(7n, 2, 0, 0n), { op: 'releasedir', handle: 7 }, 'grows'],
  [34, bytesOf(6, 0), { op: 'access', mask: 6 }, 'grows'],
  [35, bytesOf(0o100101, 0o100644, 0o022, 0), { op: 'create' }, 'grows'],
  [36, bytesOf(0x1_0000_0000n), { op: 'interrupt', target: 0x1_0000_0000n }, 'grows'],
  [38, bytesOf(), { op: 'destroy' }, 'grows'],
  [
    39,
    bytesOf(7n, 1, 0x40086b02, 0x7fff_0000_1234n, 8, 0, 'is_repln'),
    {
      op: 'ioctl',
      handle: 7,
      flags: 1,
      command: 0x40086b02,
      argument: 0x7fff_0000_1234n,
      outputSize: 0,
      input: utf8.encode('is_repln'),
    },
    'exact',
  ],
  [
    40,
    bytesOf(7n, 0xffff_ffff_ffff_ffffn, 1, 5),
    { op: 'poll', handle: 7, pollHandle: 0xffff_ffff_ffff_ffffn, notify: true, events: 5 },
    'grows',
  ],
  [
    42,
    bytesOf(2, 0, 3n, 1n, 4n, 2n),
    {
      op: 'forget',
      forgotten: [
        { node: 3, lookups: 1 },
        { node: 4, lookups: 2 },
      ],
    },
    'exact',
  ],
];

describe('RequestDecoder', () => {
  describe.each(REQUESTS)('opcode %i', (opcode, body, said, growth) => {
    const whole = { opcode, ...HEADER, ...said };

    it('is decoded when it is whole', () => {
      const request = decode(requestBytes(opcode, body));
      expect(plain(request)).toEqual(plain(whole));
    });

    if (body.length > 0) {
      it('is malformed if its body is cut anywhere', () => {
        for (let length = 0; length < body.length; length++) {
          const request = decode(requestBytes(opcode, body.subarray(0, length)));
          expect(request).toMatchObject({ op: 'malformed', opcode, unique: HEADER.unique });
        }
      });
    }

    it(`${growth === 'exact' ? 'is malformed' : 'is the same'} with bytes behind it`, () => {
      const request = decode(requestBytes(opcode, Buffer.concat([body, bytesOf(0, 1n)])));
      if (growth === 'exact') expect(request).toMatchObject({ op: 'malformed', opcode });
      else expect(plain(request)).toEqual(plain(whole));
    });

    it('is not a request if its length field is wrong', () => {
      const bytes = requestBytes(opcode, body);
      for (let length = 0; length < bytes.length; length++) {
        expect(decode(bytes.subarray(0, length))).toBeNull();
      }
      expect(decode(Buffer.concat([bytes, bytesOf(0)]))).toBeNull();
    });
  });

  it('refuses counts of bytes, names or nodes past its end', () => {
    const wrong: [number, Uint8Array][] = [
      [1, bytesOf('\0')],
      [1, bytesOf('kb\0us\0')],
      [16, bytesOf(7n, 8n, 0xffff_ffff, 0, 0n, 0, 0, 'abc')],
      [39, bytesOf(7n, 0, 1, 0n, 0xffff_ffff, 0, 'abc')],
      [42, bytesOf(0xffff_ffff, 0, 3n, 1n)],
    ];
    for (const [opcode, body] of wrong) {
      expect(decode(requestBytes(opcode, body))).toMatchObject({ op: 'malformed' });
    }
  });

  it('decodes an opcode that is not in the table as unknown', () => {
    for (const opcode of [0, 20, 53, 4096, 0xffff_ffff]) {
      const request = decode(requestBytes(opcode, bytesOf(1n, 2n)));
      expect(request).toMatchObject({ op: 'unknown', opcode, unique: HEADER.unique });
    }
  });

  it('decodes a request at the start of a longer array', () => {
    const all = new Uint8Array(4096).fill(0xff);
    const decoder = new RequestDecoder(all);
    for (const [opcode, body, said] of REQUESTS) {
      const bytes = requestBytes(opcode, body);
      all.set(bytes);
      const request = decoder.decode(bytes.length);
      expect(plain(request)).toEqual(plain({ opcode, ...HEADER, ...said }));
    }
  });

  it('never throws or reads past the end, whatever the bytes', () => {
    // fast-check prints the seed and the path of what fails; give them to fc.assert to see it again.
    const opcodes = fc.oneof(fc.integer({ min: 0, max: 52 }), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(opcodes, fc.uint8Array({ maxLength: 200 }), (opcode, body) => {
        const bytes = requestBytes(opcode, body);
        const alone = decode(Uint8Array.from(bytes));
        const all = new Uint8Array(400).fill(0xff);
        all.set(bytes);
        expect(plain(new RequestDecoder(all).decode(bytes.length))).toEqual(plain(alone));
      }),
    );
  });
});

/** With byte arrays of whatever class as arrays of numbers. */
function plain(value: object | null): unknown {
  return Object.fromEntries(
    Object.entries(value ?? {}).map(([key, part]) => [
      key,
      part instanceof Uint8Array ? [...part] : part,
    ]),
  );
}

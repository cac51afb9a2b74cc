import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, serve } from '../../src/fuse/connection.ts';
import type { Filesystem, Kernel } from '../../src/fuse/filesystem.ts';
import type { Request } from '../../src/fuse/request.ts';
import { newFolder } from '../device/ground.ts';
import { bytesOf } from './bytes.ts';

describe('serve', () => {
  let folder: string;
  let descriptor: number;
  let connection: Connection;
  let ask: (opcode: number, ...body: (number | bigint)[]) => void;
  let give: (bytes: Uint8Array) => void;
  let end: (error: Error | null) => void;
  let asked: Request[];
  let kernel: Kernel;

  /** Plain files in place of /dev/fuse: what is written can be read again. */
  beforeEach(async () => {
    folder = await newFolder();
    descriptor = openSync(join(folder, 'answers'), 'w');
    asked = [];
    const filesystem: Filesystem = {
      handle(request, to) {
        asked.push(request);
        kernel = to;
      },
    };
    connection = serve(descriptor, filesystem, (_, buffer, take, over) => {
      end = over;
      give = (bytes) => {
        buffer.set(bytes);
        take(bytes.length);
      };
      ask = (opcode, ...body) => {
        const rest = bytesOf(...body);
        const header = bytesOf(40 + rest.length, opcode, 9n, 1n, 0, 0, 0, 0);
        give(Buffer.concat([header, rest]));
      };
    });
  });

  afterEach(() => {
    closeSync(descriptor);
    rmSync(folder, { recursive: true });
  });

  function answers(): string {
    return readFileSync(join(folder, 'answers'), 'hex');
  }

  function hex(...parts: (number | bigint)[]): string {
    return Buffer.from(bytesOf(...parts)).toString('hex');
  }

  it('agrees on the lower version, and on the flags that both know', async () => {
    ask(26, 7, 31, 131072, 0xffff_ffff);
    await connection.ready;
    const flags = 0x40_0028 | 0x4_0000;
    const sizes = [65535 | (49151 << 16), 1 << 20, 1, 256] as const;
    expect(answers()).toBe(
      hex(80, 0, 9n, 7, 31, 131072, flags, sizes[0] >>> 0, ...sizes.slice(1), 0n, 0n, 0n, 0n),
    );
    expect(asked).toEqual([]);
  });

  it('agrees on no version and no flags that it does not know', async () => {
    ask(26, 7, 99, 4096, 0x20);
    await connection.ready;
    expect(answers().slice(32, 64)).toBe(hex(7, 38, 4096, 0x20));
  });

  it.each([
    [6, 40],
    [7, 22],
    [8, 0],
  ])('does not speak FUSE %i.%i', async (major, minor) => {
    ask(26, major, minor, 4096, 0);
    await expect(connection.ready).rejects.toThrow(`FUSE ${major}.${minor}`);
    expect(answers()).toBe(hex(16, -71 >>> 0, 9n));
  });

  it('refuses unknown requests with ENOSYS, and malformed ones with EIO', () => {
    ask(20, 1n);
    ask(16, 1n);
    expect(answers()).toBe(hex(16, -38 >>> 0, 9n) + hex(16, -5 >>> 0, 9n));
    expect(asked).toEqual([]);
  });

  it('passes everything else to the filesystem, and writes its answers', () => {
    ask(40, 7n, 5n, 1, 1);
    expect(asked).toMatchObject([{ op: 'poll', unique: 9n }]);
    kernel.answer(asked[0]!, { kind: 'poll', events: 4 });
    kernel.wake(5n);
    kernel.answer(asked[0]!, { kind: 'data', data: bytesOf(1, 2) });
    expect(answers()).toBe(hex(24, 0, 9n, 4, 0) + hex(24, 1, 0n, 5n) + hex(24, 0, 9n, 1, 2));
  });

  it('writes nothing after the end of the mount', async () => {
    ask(17);
    end(null);
    kernel.answer(asked[0]!, { kind: 'done' });
    kernel.wake(5n);
    expect(answers()).toBe('');
    await connection.closed;
    await expect(connection.ready).rejects.toThrow('unmounted before');
  });

  it('rejects with the error that ended the mount', async () => {
    end(new Error('EBADF'));
    await expect(connection.closed).rejects.toThrow('EBADF');
    await expect(connection.ready).rejects.toThrow('EBADF');
  });

  it('throws on bytes that are not a request', () => {
    expect(() => give(bytesOf(41, 17, 9n, 1n, 0, 0, 0, 0))).toThrow('40 bytes, not a request');
  });

  it('does not catch exceptions of the filesystem: they are bugs', () => {
    serve(
      descriptor,
      {
        handle: () => {
          throw new Error('bug');
        },
      },
      (_, buffer, take) => {
        buffer.set(bytesOf(40, 17, 9n, 1n, 0, 0, 0, 0));
        expect(() => take(40)).toThrow('bug');
      },
    );
    expect.assertions(1);
  });
});

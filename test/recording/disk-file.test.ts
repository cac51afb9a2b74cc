import { constants, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { McapStreamReader } from '@mcap/core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { DiskFile, type OpenFile } from '../../src/recording/disk-file.ts';
import { pageMemory } from '../../src/recording/page-memory.ts';
import { Program } from '../bus/program.ts';
import { newFolder } from '../support/folder.ts';
import { failed } from '../support/refused.ts';
import { readAll, record } from './recorded.ts';

const PAGE = 4096;

let folder: string;
/** The file system lets a program write past the page cache. */
let mayPass: boolean;
beforeAll(async () => {
  folder = await newFolder();
  const flags = constants.O_CREAT | constants.O_WRONLY | constants.O_DIRECT;
  mayPass = await open(join(folder, 'none'), flags)
    .then((handle) => handle.close())
    .then(() => constants.O_DIRECT !== undefined)
    .catch(() => false);
});

/** Memory of so many pages, all of whose bytes differ from those around them. */
function pages(count: number, memory = pageMemory): Uint8Array {
  const bytes = memory(count * PAGE).subarray(0, count * PAGE);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 31 + (at >> 8)) & 0xff;
  return bytes;
}

/** Opens files, and counts the pieces that are written by way of the page cache. */
function counting(): { openFile: OpenFile; pieces: number[] } {
  const pieces: number[] = [];
  const openFile: OpenFile = async (...args) => {
    const handle = await open(...args);
    const write = (...given: Parameters<typeof handle.write>) => {
      pieces.push(Number(given[2]));
      return handle.write(...given);
    };
    return {
      fd: handle.fd,
      write: write as typeof handle.write,
      datasync: () => handle.datasync(),
      truncate: (length) => handle.truncate(length),
      close: () => handle.close(),
    };
  };
  return { openFile, pieces };
}

describe('A file on a disk', () => {
  it('has its pieces one after the other, whether they are pages or not, and wherever they lie.', async () => {
    const path = join(folder, 'pieces');
    const disk = await DiskFile.create(path, false);
    const plain = (length: number): Uint8Array => new Uint8Array(length);
    const pieces = [
      pages(3),
      pages(2, plain),
      pages(1).subarray(5),
      pages(2),
      pages(1).subarray(PAGE - 5),
      pages(4),
      new Uint8Array(0),
      pages(1).subarray(0, 7),
    ];
    for (const piece of pieces) disk.append(piece);
    await disk.close();
    expect(readFileSync(path).equals(Buffer.concat(pieces))).toBe(true);
    expect(disk.safeBytes).toBe(statSync(path).size);
  });

  it('passes the page cache with pieces of whole pages, where the file system allows it.', async () => {
    const { openFile, pieces } = counting();
    const disk = await DiskFile.create(join(folder, 'direct'), false, openFile);
    for (const piece of [pages(3), pages(2), pages(1).subarray(1), pages(2)]) disk.append(piece);
    await disk.close();
    // Not a page, and no longer at the beginning of one.
    const rest = [PAGE - 1, 2 * PAGE];
    expect(pieces).toEqual(mayPass ? rest : [3 * PAGE, 2 * PAGE, ...rest]);
  });

  it('that can only be written by way of the page cache is written so, and says why it can’t be.', async () => {
    const disk = await DiskFile.create('/dev/full', true);
    disk.append(pages(2));
    const error = (await failed(disk.close())) as Error;
    expect(error.message).toBe('/dev/full: no space left on device (ENOSPC)');
  });
});

describe('Full chunks', () => {
  it('end with a page, which other implementations of MCAP read, too.', async () => {
    const path = join(folder, 'long.mcap');
    const { openFile, pieces } = counting();
    const sends = 14_000;
    await record(
      path,
      (bus: Bus) => {
        const program = new Program(bus);
        for (let send = 0; send < sends; send++) {
          program.announce('$.News', { data: String(send).padEnd(1000) });
        }
      },
      { openFile },
    );
    const bytes = readFileSync(path);
    const stream = new McapStreamReader({ validateCrcs: true });
    stream.append(bytes);
    const ends: number[] = [];
    let [count, chunks] = [0, 0];
    for (let one = stream.nextRecord(); one !== undefined; one = stream.nextRecord()) {
      if (one.type === 'Message') count++;
      if (one.type === 'Unknown') ends.push((bytes.length - stream.bytesRemaining()) % PAGE);
      if (one.type === 'ChunkIndex') chunks++;
    }
    const { events, faults } = await readAll(path);
    expect([count, stream.done(), faults]).toEqual([events.length, true, []]);
    expect(chunks).toBe(4);
    expect(ends).toEqual([0, 0, 0]);
    // The first chunk begins behind the header, and the last one is not full.
    expect(pieces).toHaveLength(mayPass ? 4 : 6);
  });
});

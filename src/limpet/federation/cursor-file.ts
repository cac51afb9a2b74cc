import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { EngineError } from './engine.ts';
import type { Cursor } from './journal-reader.ts';

/** A cursor has two places in its file, so that one is whole whatever happens while the other is written. */
const PLACE = 256 * 1024;

/** In each: u32 CRC-32 of the rest, u32 length of the text, f64 how many cursors were written before, the text (JSON). */
const HEADER = 16;

/**
 * Keeps the cursor of a bus in a file. What is written there outlasts the end of the process, also a sudden one. It may be lost
 * with the machine's power, but with it goes the bus: who comes back then is given some messages that nobody there has heard.
 */
export class CursorFile {
  private readonly file: number;
  private written = 0;

  /** Throws an EngineError. */
  constructor(path: string) {
    try {
      makeFolder(dirname(path));
      this.file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    } catch (cause) {
      throw new EngineError(
        `can't keep in ${path} how far the bus has the stream: ${(cause as Error).message} (--state names another file)`,
        { cause },
      );
    }
  }

  /** The newest cursor; null if there is none. */
  read(): Cursor | null {
    let newest: Cursor | null = null;
    for (const place of [0, PLACE]) {
      const bytes = Buffer.alloc(PLACE);
      const length = readSync(this.file, bytes, 0, PLACE, place);
      if (length < HEADER) continue;
      const end = HEADER + bytes.readUInt32BE(4);
      if (end > length || crc32(bytes.subarray(4, end)) !== bytes.readUInt32BE(0)) continue;
      const count = bytes.readDoubleBE(8);
      if (count < this.written) continue;
      this.written = count;
      newest = JSON.parse(bytes.toString('utf8', HEADER, end)) as Cursor;
    }
    return newest;
  }

  write(cursor: Cursor): void {
    const text = Buffer.from(JSON.stringify(cursor));
    const bytes = Buffer.allocUnsafe(HEADER + text.length);
    bytes.writeUInt32BE(text.length, 4);
    bytes.writeDoubleBE(++this.written, 8);
    text.copy(bytes, HEADER);
    bytes.writeUInt32BE(crc32(bytes.subarray(4)), 0);
    writeSync(this.file, bytes, 0, bytes.length, (this.written % 2) * PLACE);
  }

  close(): void {
    closeSync(this.file);
  }
}

/** As `mkdir -p`. That of Node does not end in /proc, where a folder can't be made although its parent is there. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

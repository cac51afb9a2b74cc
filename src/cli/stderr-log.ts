import { fstatSync, writeSync } from 'node:fs';
import process from 'node:process';
import type { Writable } from 'node:stream';
import { Log, type LogFormat } from '../daemon/log.ts';

/** So much may wait for whoever reads the log, in characters; more is dropped. */
const ROOM = 1024 * 1024;

/** How long the last of the log may take at the end, in milliseconds. */
const PATIENCE = 500;

/**
 * A log on stderr that never keeps the program from its work, or grows: what a reader doesn't take, or a full disk, is
 * dropped and counted, and the log says so once it can. Whoever read it may go: then nothing is written any more.
 */
export function stderrLog(format: LogFormat): Log {
  if (isFile()) return new Log(format, fileWriter());
  const { stderr } = process;
  stopBlocking();
  stderr.on('error', () => {});
  const log = new Log(format, (line) => {
    if (stderr.writableLength + line.length > ROOM) return false;
    stderr.write(line);
    return true;
  });
  stderr.on('drain', () => log.reportDropped());
  return log;
}

/** Resolves when what was logged has been written, or nobody seems to read it. */
export function logged(): Promise<void> {
  const stderr: Writable = process.stderr;
  if (isFile() || stderr.writableLength === 0) return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, PATIENCE).unref();
    stderr.once('drain', resolve).once('close', resolve);
  });
}

/** A regular file, or a device that is none of a terminal: written at once, or not. */
function isFile(): boolean {
  const stats = fstatSync(2);
  return !process.stderr.isTTY && !stats.isFIFO() && !stats.isSocket();
}

/** A terminal may be stopped, by Ctrl-S, and Node waits in each write to one unless it is told not to. */
function stopBlocking(): void {
  const { _handle: handle } = process.stderr as { _handle?: { setBlocking?(is: boolean): void } };
  handle?.setBlocking?.(false);
}

/** Node's own stream to a file would write no more once the disk was full. */
function fileWriter(): (line: string) => boolean {
  /** The last line got there in part. */
  let isCut = false;
  return (line) => {
    const bytes = Buffer.from(isCut ? `\n${line}` : line);
    try {
      isCut = writeSync(2, bytes) < bytes.length;
      return !isCut;
    } catch {
      return false;
    }
  };
}

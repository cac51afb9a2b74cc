import { fstatSync, writeSync } from 'node:fs';
import process from 'node:process';
import type { Writable } from 'node:stream';
import { Log, type LogFormat } from '../daemon/log.ts';

/** The largest backlog for a slow reader of the log; lines beyond it are dropped. */
const MAX_BACKLOG_CHARACTERS = 1024 * 1024;

/** How long the daemon waits at its end for the log to be written. */
const DRAIN_TIMEOUT_MS = 500;

/**
 * A log on stderr that never blocks the program, and never grows without limit. It drops and counts the lines that a slow
 * reader or a full disk does not take, and later reports their number. If the reader exits, the program goes on.
 */
export function stderrLog(format: LogFormat): Log {
  if (isFile()) return new Log(format, fileWriter());
  const { stderr } = process;
  stopBlocking();
  stderr.on('error', () => {});
  const log = new Log(format, (line) => {
    if (stderr.writableLength + line.length > MAX_BACKLOG_CHARACTERS) return false;
    stderr.write(line);
    return true;
  });
  stderr.on('drain', () => log.reportDropped());
  return log;
}

/** Resolves when the log is written, or after the timeout. */
export function logged(): Promise<void> {
  const stderr: Writable = process.stderr;
  if (isFile() || stderr.writableLength === 0) return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, DRAIN_TIMEOUT_MS).unref();
    stderr.once('drain', resolve).once('close', resolve);
  });
}

/** A regular file, or a device that is not a terminal: a write there succeeds or fails at once. */
function isFile(): boolean {
  const stats = fstatSync(2);
  return !process.stderr.isTTY && !stats.isFIFO() && !stats.isSocket();
}

/** A terminal may be stopped with Ctrl-S, and by default Node blocks in each write to one. */
function stopBlocking(): void {
  const { _handle: handle } = process.stderr as { _handle?: { setBlocking?(is: boolean): void } };
  handle?.setBlocking?.(false);
}

/** After an error such as a full disk, Node's own stream to a file would never write again. */
function fileWriter(): (line: string) => boolean {
  /** The last line was written in part. */
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

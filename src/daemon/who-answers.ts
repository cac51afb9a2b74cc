import { createConnection } from 'node:net';
import process from 'node:process';
import { escaped } from '../base/escape.ts';
import { checkSocketPath } from '../system/socket-folder.ts';
import { textOf, wordOf, wordsFrame } from '../wire/frame.ts';
import { FrameReader } from '../wire/frame-reader.ts';
import {
  ASK_WHO,
  FRAME_AT,
  FrameKind,
  MAX_GREETING_BYTES,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
} from '../wire/protocol.ts';

/** How long a program that accepted a connection may take to answer HELLO. */
const WELCOME_TIMEOUT_MS = 1000;

/** Errors of connect(2) that mean that no process listens. */
const NOT_LISTENING = ['ECONNREFUSED', 'ENOENT'];
/** Errors that don't tell whether a process listens. */
const INCONCLUSIVE = ['EACCES', 'EPERM', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EMFILE', 'ENFILE'];

const MAX_WHY_CHARACTERS = 1000;

const SILENT_PROGRAM = 'a program that does not identify itself';
const SUSPENDED = 'a program that does not answer: it is suspended, or it is not kbus';

/** The reason of a FAREWELL, from a program that may not be KBUS. */
const why = (frame: FrameReader): string => escaped(textOf(frame, 1).slice(0, MAX_WHY_CHARACTERS));

/** Describes the program that listens at a socket; null if none does. Rejects if that can't be found out. */
export function whoAnswers(path: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    checkSocketPath(path);
    const socket = createConnection(path);
    const reader = new FrameReader(MAX_GREETING_BYTES);
    const settle = (who: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(who);
    };
    const timer = setTimeout(() => settle(SUSPENDED), WELCOME_TIMEOUT_MS);
    const words = [PROTOCOL_MAGIC, PROTOCOL_VERSION, ASK_WHO, process.pid];
    socket.on('connect', () => socket.write(wordsFrame(FrameKind.HELLO, 0, 0, 0, words)));
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
        if (!reader.read()) return;
        const kind = reader.bytes[reader.at + FRAME_AT.kind];
        if (kind === FrameKind.WELCOME && wordOf(reader, 0) === PROTOCOL_MAGIC) {
          settle(`the KBUS daemon with process id ${wordOf(reader, 4)}`);
        } else {
          settle(kind === FrameKind.FAREWELL ? `KBUS (${why(reader)})` : 'another program');
        }
      } catch {
        settle('another program');
      }
    });
    socket.on('end', () => settle(SILENT_PROGRAM));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      if (NOT_LISTENING.includes(code)) return settle(null);
      // A full backlog (EAGAIN), or a reset: a process listens.
      if (!INCONCLUSIVE.includes(code)) return settle(SILENT_PROGRAM);
      clearTimeout(timer);
      reject(error);
    });
  });
}

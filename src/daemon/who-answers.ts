import { createConnection } from 'node:net';
import process from 'node:process';
import { checkSocketPath } from '../system/socket-folder.ts';
import { textOf, wordOf, wordsFrame } from '../wire/frame.ts';
import { FrameReader } from '../wire/frame-reader.ts';
import {
  ASK_WHO,
  FRAME_AT,
  FrameKind,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
} from '../wire/protocol.ts';

/** How long somebody who took a connection may take to say who it is, in milliseconds. */
const PATIENCE = 1000;

/** What a connection is refused with where nobody listens. */
const NOBODY = ['ECONNREFUSED', 'ENOENT'];
/** What says nothing of whether anybody listens. */
const UNKNOWN = ['EACCES', 'EPERM', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EMFILE', 'ENFILE'];

/** Says who listens at a socket, or null when nobody does. Rejects where that can't be known. */
export function whoAnswers(path: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    checkSocketPath(path);
    const socket = createConnection(path);
    const reader = new FrameReader(4096);
    const settle = (who: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(who);
    };
    const timer = setTimeout(() => settle('a program that does not say who it is'), PATIENCE);
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
          settle(kind === FrameKind.FAREWELL ? `KBUS (${textOf(reader, 1)})` : 'another program');
        }
      } catch {
        settle('another program');
      }
    });
    socket.on('end', () => settle('a program that does not say who it is'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      if (NOBODY.includes(code)) return settle(null);
      // So many are about to connect (EAGAIN), or it hung up: somebody is there.
      if (!UNKNOWN.includes(code)) return settle('a program that does not say who it is');
      clearTimeout(timer);
      reject(error);
    });
  });
}

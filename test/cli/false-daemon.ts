import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { newFolder } from '../support/folder.ts';
import { type Frame, welcome, wholeFramesOf } from '../support/frames.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** What a false daemon answers to a frame of a client, HELLO too. It may also write later. */
export type Says = (frame: Frame, socket: Socket) => Uint8Array | readonly Uint8Array[];

/** A program that listens where a daemon would, and answers as the test says. Gives its folder. */
export async function falseDaemon(says: Says): Promise<string> {
  const directory = await newFolder();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest: Uint8Array = new Uint8Array(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const framed = wholeFramesOf(Buffer.concat([rest, chunk]));
      rest = framed.rest;
      for (const frame of framed.whole) {
        const said = says(frame, socket);
        for (const bytes of said instanceof Uint8Array ? [said] : said) {
          if (socket.writable) socket.write(bytes);
        }
      }
    });
  });
  server.listen(join(directory, 'kbus0.sock'));
  await once(server, 'listening');
  open.push({
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  return directory;
}

/** One that welcomes its clients first. */
export function welcoming(says: Says): Promise<string> {
  return falseDaemon((frame, socket) =>
    frame.kind === 'HELLO' ? welcome({ frame: 64 * 1024 * 1024 }) : says(frame, socket),
  );
}

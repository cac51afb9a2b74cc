import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { newFolder } from '../support/folder.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Something that takes connections where a daemon's socket is, and answers nothing, as a daemon that is stopped. */
export interface Mute {
  readonly directory: string;
  /** Resolves when somebody waits for an answer. */
  readonly asked: Promise<void>;
  /** Resolves when somebody's connection has ended. */
  readonly left: Promise<void>;
}

/** With the socket of a daemon, that one welcomes who comes; what is asked behind that is not answered. */
export async function mute(daemon?: string): Promise<Mute> {
  const directory = await newFolder();
  const sockets: Socket[] = [];
  let ask = (): void => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  let leave = (): void => {};
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const server = createServer((client) => {
    sockets.push(client);
    client.once('close', leave);
    client.on('error', () => {});
    if (daemon === undefined) {
      client.once('data', ask);
      return;
    }
    const real = createConnection(daemon);
    sockets.push(real);
    real.on('error', () => {});
    real.pipe(client);
    client.once('data', (hello) => {
      real.write(hello);
      client.once('data', ask);
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
  return { directory, asked, left };
}

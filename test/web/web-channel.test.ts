import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Deadlines } from '../../src/base/deadlines.ts';
import { WebChannel } from '../../src/web/web-channel.ts';
import { receiveBuffers } from '../support/receive-buffers.ts';

/** What is put off, and a way to wait for it. */
class Later {
  private readonly waiting: (() => void)[] = [];
  private came: () => void = () => {};

  readonly add = (what: () => void): void => {
    this.waiting.push(what);
    this.came();
  };

  async next(): Promise<() => void> {
    if (this.waiting.length === 0) {
      await new Promise<void>((resolve) => {
        this.came = resolve;
      });
    }
    return this.waiting.shift() as () => void;
  }
}

it.each([
  ['ends', (peer: Socket) => peer.end()],
  ['resets it', (peer: Socket) => peer.resetAndDestroy()],
])(
  'A WebSocket whose peer %s is closed for its listener when there is time for it.',
  async (_, end) => {
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const later = new Later();
    const connected = once(sockets, 'connection') as Promise<[WebSocket, { socket: Socket }]>;
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    client.on('error', () => {});
    const opened = once(client, 'open');
    const [webSocket, { socket }] = await connected;
    await opened;
    const leaving = new Deadlines<Socket>(5000, (one) => one.destroy());
    const { gather } = receiveBuffers();
    const channel = new WebChannel(webSocket, socket, gather, leaving, later.add);
    let isClosed = false;
    channel.events = {
      received: () => 0,
      drained: () => {},
      closed: () => {
        isClosed = true;
      },
    };
    end((client as unknown as { _socket: Socket })._socket);
    const first = await later.next();
    expect(isClosed).toBe(false);
    first();
    while (!isClosed) (await later.next())();
    expect(socket.destroyed).toBe(true);
    server.close();
  },
);

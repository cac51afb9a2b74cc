import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ksock } from '../../../src/client/ksock.ts';
import { connectUnix } from '../../../src/client/ports/connect-unix.ts';
import { Announcement } from '../../../src/message/message.ts';
import { mute } from '../../cli/mute.ts';
import { newFolder } from '../../support/folder.ts';
import { frame, welcome } from '../../support/frames.ts';
import { failed, refused } from '../../support/refused.ts';

/** The daemon's end of the only connection; the test plays the daemon. */
let daemon: Socket;
let accepted: Socket[];
let server: Server;
let ksock: Ksock;
let directory: string;

beforeEach(async () => {
  accepted = [];
  directory = await newFolder();
  server = createServer((socket) => {
    daemon = socket.on('error', () => {});
    accepted.push(socket);
    socket.once('data', () => socket.write(welcome()));
  });
  server.listen({ path: join(directory, 'kbus0.sock'), backlog: 1 });
  await once(server, 'listening');
  ksock = await Ksock.open(0, { directory });
});

afterEach(async () => {
  for (const socket of accepted) socket.destroy();
  await ksock.close();
  server.close();
});

const farewell = frame('FAREWELL', { words: [12], text: 'max-somethings of the daemon' });

describe('A connection that the daemon ends', () => {
  it('has the daemon’s reason, even if a write fails before the client has read it.', async () => {
    daemon.write(farewell);
    daemon.destroy();
    const error = await refused(ksock.sendMsg(new Announcement('$.A')), 'ENOMEM');
    expect(error.message).toContain('max-somethings of the daemon');
  });

  it('has the daemon’s reason, even if the client goes on writing.', async () => {
    const sends: Promise<unknown>[] = [];
    daemon.pause();
    for (let count = 0; count < 50; count++) {
      sends.push(ksock.sendMsg(new Announcement('$.A', new Uint8Array(100_000))).catch((e) => e));
      await new Promise(setImmediate);
    }
    daemon.write(farewell);
    daemon.destroy();
    for (const error of await Promise.all(sends)) {
      expect(error).toMatchObject({ code: 'ENOMEM' });
    }
    await refused(ksock.numMessages(), 'ENOMEM');
  });

  it('without a farewell is ECONNRESET, even if a write fails first.', async () => {
    daemon.destroy();
    await refused(ksock.sendMsg(new Announcement('$.A')), 'ECONNRESET');
    await refused(ksock.numMessages(), 'ECONNRESET');
  });

  it('can be closed after a write has failed.', async () => {
    daemon.destroy();
    const sent = refused(ksock.sendMsg(new Announcement('$.A')), 'ECONNRESET');
    await ksock.close();
    await sent;
  });
});

describe('Opening', () => {
  it('retries when the daemon’s backlog of connections is full.', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => Ksock.open(0, { directory })));
    expect(new Set(all.map(({ id }) => id))).toEqual(new Set([ksock.id]));
    // The test's daemon does not answer CLOSE.
    for (const one of accepted) one.destroy();
    await Promise.all(all.map((one) => one.close()));
  });

  it('times out if the daemon does not answer, and leaves no connection open.', async () => {
    const silent = await mute();
    const opening = Ksock.open(connectUnix(0, { directory: silent.directory, timeout: 20 }));
    await silent.asked;
    const error = await refused(opening, 'ETIMEDOUT');
    expect(error.message).toContain(`${silent.directory}/kbus0.sock did not answer within 0.02 s`);
    expect(error.meaning).toContain('it is stopped, or it is not kbus');
    await silent.left;
  });

  it('ends when its signal aborts, and leaves no connection open.', async () => {
    const silent = await mute();
    const controller = new AbortController();
    const opening = Ksock.open(0, { directory: silent.directory, signal: controller.signal });
    await silent.asked;
    controller.abort(new Error('enough'));
    expect(await failed(opening)).toMatchObject({ message: 'enough' });
    await silent.left;
  });

  it('has an error of its own for a program that closes the connection before WELCOME.', async () => {
    server.removeAllListeners('connection').on('connection', (socket) => socket.destroy());
    const error = await refused(Ksock.open(0, { directory }), 'ECONNRESET');
    expect(error.meaning).toBe(
      'the program that listens there closed the connection before it sent WELCOME',
    );
  });

  it('stops to retry when its signal aborts.', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const all = Array.from({ length: 20 }, () =>
      Ksock.open(0, { directory, signal }).catch((error: unknown) => error),
    );
    controller.abort(new Error('enough'));
    for (const one of await Promise.all(all)) expect(one).toMatchObject({ message: 'enough' });
  });
});

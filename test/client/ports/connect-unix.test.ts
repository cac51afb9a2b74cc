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

/** The daemon's end of the only connection, which the test plays. */
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
  it('is told why, though a write fails before that is read.', async () => {
    daemon.write(farewell);
    daemon.destroy();
    const error = await refused(ksock.sendMsg(new Announcement('$.A')), 'ENOMEM');
    expect(error.message).toContain('max-somethings of the daemon');
  });

  it('is told why, though it writes on and on.', async () => {
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

  it('without a word is ECONNRESET, though a write fails before that is known.', async () => {
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
  it('waits its turn where more connect at once than the daemon can come to.', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => Ksock.open(0, { directory })));
    expect(new Set(all.map(({ id }) => id))).toEqual(new Set([ksock.id]));
    // The daemon that the test plays answers no CLOSE.
    for (const one of accepted) one.destroy();
    await Promise.all(all.map((one) => one.close()));
  });

  it('ends by itself where nothing answers, and leaves no connection open.', async () => {
    const silent = await mute();
    const opening = Ksock.open(connectUnix(0, silent.directory, 20));
    await silent.asked;
    const error = await refused(opening, 'ETIMEDOUT');
    expect(error.message).toContain(`${silent.directory}/kbus0.sock did not answer within 0.02 s`);
    expect(error.meaning).toContain('it is stopped, or it is not kbus');
    await silent.left;
  });

  it('ends when its signal says so, and leaves no connection open.', async () => {
    const silent = await mute();
    const controller = new AbortController();
    const opening = Ksock.open(0, { directory: silent.directory, signal: controller.signal });
    await silent.asked;
    controller.abort(new Error('enough'));
    expect(await failed(opening)).toMatchObject({ message: 'enough' });
    await silent.left;
  });

  it('a program that hangs up before it says anything is told from a bus that is lost.', async () => {
    server.removeAllListeners('connection').on('connection', (socket) => socket.destroy());
    const error = await refused(Ksock.open(0, { directory }), 'ECONNRESET');
    expect(error.meaning).toBe(
      'the program that listens there closed the connection before it sent WELCOME',
    );
  });

  it('does so no longer than its signal lets it.', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const all = Array.from({ length: 20 }, () =>
      Ksock.open(0, { directory, signal }).catch((error: unknown) => error),
    );
    controller.abort(new Error('enough'));
    for (const one of await Promise.all(all)) expect(one).toMatchObject({ message: 'enough' });
  });
});

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { newFolder } from '../support/folder.ts';
import { frame, welcome } from '../support/frames.ts';
import { refused } from '../support/refused.ts';

/** The daemon's end of the only connection, which the test plays. */
let daemon: Socket;
let server: Server;
let ksock: Ksock;

beforeEach(async () => {
  const directory = await newFolder();
  server = createServer((socket) => {
    daemon = socket.on('error', () => {});
    socket.once('data', () => socket.write(welcome()));
  });
  server.listen(join(directory, 'kbus0.sock'));
  await once(server, 'listening');
  ksock = await Ksock.open(0, { directory });
});

afterEach(async () => {
  await ksock.close();
  daemon.destroy();
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

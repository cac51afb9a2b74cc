import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { frame, framesOf, frameText, hello, messagesFrame } from '../support/frames.ts';
import { failed, refused } from '../support/refused.ts';

let locals: LocalDaemon[] = [];
afterEach(async () => {
  await Promise.all(locals.map((local) => local.stop()));
  locals = [];
});

async function start(...words: Parameters<typeof LocalDaemon.start>): Promise<LocalDaemon> {
  const local = await LocalDaemon.start(...words);
  locals.push(local);
  return local;
}

/** A connection that says the bytes, and gathers what it hears. */
async function connection(local: LocalDaemon, bytes: Uint8Array): Promise<[Socket, () => Buffer]> {
  const socket = createConnection(local.daemon.path(0));
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => heard.push(chunk));
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.write(bytes);
  return [socket, () => Buffer.concat(heard)];
}

describe('A daemon', () => {
  it('serves the given number of buses.', async () => {
    const local = await start({}, { buses: 3 });
    expect(readdirSync(local.directory).sort()).toEqual(['kbus0.sock', 'kbus1.sock', 'kbus2.sock']);
    for (const bus of [0, 1, 2]) expect((await local.open({}, bus)).number).toBe(bus);
    await refused(local.open({}, 3), 'ENOENT');
  });

  it('has a new bus’s socket ready when NEWDEVICE returns, with the permissions of the others.', async () => {
    const local = await start({}, { socket: { mode: 0o666, group: undefined } });
    const ksock = await local.open();
    const numbers = await Promise.all([ksock.newDevice(), ksock.newDevice(), ksock.newDevice()]);
    expect(numbers.sort()).toEqual([1, 2, 3]);
    for (const number of numbers) {
      expect(statSync(local.daemon.path(number)).mode & 0o777).toBe(0o666);
      expect((await local.open({}, number)).number).toBe(number);
    }
  });

  it('gives the number of a bus without a socket to the next bus, also of many at once.', async () => {
    const local = await start();
    const ksock = await local.open();
    mkdirSync(local.daemon.path(1));
    const calls = Array.from({ length: 300 }, () => ksock.newDevice().catch(({ code }) => code));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['EACCES']));
    expect(local.daemon.buses.count).toBe(1);
    rmSync(local.daemon.path(1), { recursive: true });
    expect(await Promise.all([ksock.newDevice(), ksock.newDevice()])).toEqual([1, 2]);
  });

  it('refuses NEWDEVICE with EACCES if it can’t create the socket.', async () => {
    const local = await start();
    const ksock = await local.open();
    mkdirSync(local.daemon.path(1));
    await refused(ksock.newDevice(), 'EACCES');
    expect(local.said.join('')).toContain("can't create another bus");
    rmSync(local.daemon.path(1), { recursive: true });
    // The number is free.
    expect(await ksock.newDevice()).toBe(1);
  });

  it.for([
    ['its owner only', 0o600, 0o700],
    ['a group', 0o660, 0o750],
    ['everybody', 0o666, 0o755],
  ] as const)(
    'gives its folder the permissions that match those of the sockets: %s.',
    async ([, mode, folderMode]) => {
      const directory = join(await newFolder(), 'deeper', 'kbus');
      const before = process.umask(0o077);
      let local: LocalDaemon;
      try {
        local = await start({}, { directory, socket: { mode, group: undefined } });
      } finally {
        process.umask(before);
      }
      expect(statSync(directory).mode & 0o777).toBe(folderMode);
      expect(statSync(local.daemon.path(0)).mode & 0o777).toBe(mode);
    },
  );

  it('gives its folder and sockets the group.', async ({ skip }) => {
    if (process.getuid?.() !== 0) return skip('SKIPPED: only root may give files to any group');
    const directory = join(await newFolder(), 'kbus');
    const local = await start({}, { directory, socket: { mode: 0o660, group: 12345 } });
    expect(statSync(directory).gid).toBe(12345);
    expect(statSync(local.daemon.path(0)).gid).toBe(12345);
  });

  it('leaves the permissions of an existing folder unchanged.', async () => {
    const directory = await newFolder();
    const before = statSync(directory).mode;
    await start({}, { directory, socket: { mode: 0o666, group: undefined } });
    expect(statSync(directory).mode).toBe(before);
  });

  it('removes what it created when it stops, and nothing else.', async () => {
    const above = await newFolder();
    const directory = join(above, 'a', 'b');
    const local = await LocalDaemon.start({}, { directory });
    const ksock = await local.open();
    await ksock.newDevice();
    await local.stop();
    expect(readdirSync(above)).toEqual([]);

    const there = await newFolder();
    const second = await LocalDaemon.start({}, { directory: there });
    writeFileSync(join(there, 'mine'), '');
    await second.stop();
    expect(readdirSync(there)).toEqual(['mine']);

    const shared = join(above, 'shared');
    const third = await LocalDaemon.start({}, { directory: shared });
    writeFileSync(join(shared, 'mine'), '');
    await third.stop();
    expect(readdirSync(shared)).toEqual(['mine']);
  });

  it('sends every client the reason when it stops, also those that are sending or not reading.', async () => {
    const local = await LocalDaemon.start();
    const reading = await local.open();
    const busy = await local.open();
    const [idle, heard] = await connection(local, hello());
    const waiting = refused(reading.waitForMsg(), 'ECONNRESET');
    const sends = busy
      .sendAll(
        (function* () {
          for (;;) yield new Announcement('$.News', 'x'.repeat(1000));
        })(),
      )
      .catch((error) => error);
    const [deaf] = await connection(local, hello());
    deaf.pause();
    await reading.numMessages();
    await local.daemon.stop('it is late');
    expect((await waiting).message).toContain('(it is late)');
    expect(await sends).toMatchObject({ code: 'ECONNRESET' });
    await new Promise((resolve) => (idle.closed ? resolve(null) : idle.once('close', resolve)));
    const { frames } = framesOf(heard());
    expect(frames.map(({ kind }) => kind)).toEqual(['WELCOME', 'FAREWELL']);
    expect(frameText(frames[1]!, 1)).toBe('it is late');
    deaf.destroy();
    expect(existsSync(local.daemon.path(0))).toBe(false);
  });

  it('ends the connection of a client that breaks the protocol, says why, and serves the others.', async () => {
    const local = await start();
    const asker = await local.open();
    const replier = await local.open();
    await replier.replier('$.Ask', () => 'yes');
    for (const nonsense of [
      Buffer.from('GET / HTTP/1.0\r\n\r\n'),
      Buffer.concat([hello(), frame(99)]),
      Buffer.concat([hello(), frame('SEND')]),
      Buffer.concat([hello(), Buffer.alloc(100_000, 0xff)]),
    ]) {
      const [socket, heard] = await connection(local, nonsense);
      await new Promise((resolve) => socket.once('close', resolve));
      expect(framesOf(heard()).frames.at(-1)?.kind).toBe('FAREWELL');
      expect((await asker.request('$.Ask')).text()).toBe('yes');
    }
    expect(local.said.filter((line) => line.includes('warn'))).toHaveLength(4);
    expect((await asker.stats()).ksocks).toHaveLength(2);
  });

  it('survives clients that disconnect before WELCOME, or in the middle of a frame.', async () => {
    const local = await start();
    const asker = await local.open();
    for (const bytes of [
      Buffer.alloc(0),
      hello().subarray(0, 10),
      Buffer.concat([hello(), hello()]),
    ]) {
      const [socket] = await connection(local, bytes.subarray(0, bytes.length - 1));
      socket.destroy();
    }
    const [socket] = await connection(local, hello());
    socket.destroy();
    while ((await asker.stats()).ksocks.length > 1);
    await refused(asker.sendMsg(new Request('$.Ask')), 'EADDRNOTAVAIL');
  });

  it('keeps little memory for a client that does not read, which then gets every message but the missed ones.', async () => {
    const local = await start({ maxMessages: 200 });
    const sender = await local.open();
    const socket = createConnection(local.daemon.path(0));
    let heard = 0;
    const until = async (bytes: number): Promise<void> => {
      while (heard < bytes) await once(socket, 'data');
    };
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.length;
    });
    socket.write(
      Buffer.concat([
        hello(),
        frame('CALL', { detail: 1, token: 1, words: [0], text: '$.News' }),
        frame('CREDIT', { words: [60_000] }),
      ]),
    );
    const welcomed = 44 + 20;
    await until(welcomed);
    socket.pause();
    const message = new Announcement('$.News', new Uint8Array(50_000));
    for (let at = 0; at < 200; at++) await sender.sendMsg(message);
    expect((await sender.stats()).ksocks[0]?.queue).toBe(200);
    await refused(
      sender.sendMsg(new Announcement('$.News', '', { flags: Flag.ALL_OR_FAIL })),
      'EBUSY',
    );
    expect(heard).toBe(welcomed);
    socket.resume();
    await until(welcomed + 200 * messagesFrame('PREFETCH', [message]).length);
    expect((await sender.stats()).ksocks[0]?.queue).toBe(200);
    socket.destroy();
  });

  it('serves a program with many Ksocks.', async () => {
    const local = await start();
    const ksocks = await Promise.all(Array.from({ length: 100 }, () => local.open()));
    const ids = ksocks.map(({ id }) => id).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
    const listener = ksocks[99] as Ksock;
    await listener.bind('$.a');
    await Promise.all(ksocks.map((ksock) => ksock.sendMsg(new Announcement('$.a'))));
    expect(await listener.numMessages()).toBe(100);
    expect((await next(listener)).from).toBeGreaterThan(0);
  });

  it('is not running: the error of `open` names the folders that it looked in.', async () => {
    const directory = await newFolder();
    const error = await refused(Ksock.open(7, { directory }), 'ENOENT');
    expect(error.message).toBe(
      `ENOENT (2): open bus 7 (no daemon answers at ${directory}/kbus7.sock): there is no bus 7; start one with \`kbus serve --directory ${directory} --buses 8\``,
    );
    const nowhere = await refused(Ksock.open(0, { directory: `${directory}/none` }), 'ENOENT');
    expect(nowhere.message).toContain('none/kbus0.sock');
  });

  it('has no such bus: the error of `open` names the existing ones, and how to create one.', async () => {
    const local = await start({}, { buses: 2 });
    const error = await refused(local.open({}, 7), 'ENOENT');
    expect(error.meaning).toBe(
      `there is no bus 7, but buses 0 and 1 exist; newDevice() makes the next one, or stop the daemon and start it with \`kbus serve --directory ${local.directory} --buses 8\``,
    );
  });

  it('leaves its folder to a daemon that creates it again during its stop.', async () => {
    const directory = join(await newFolder(), 'kbus');
    const old = await LocalDaemon.start({}, { directory });
    rmSync(directory, { recursive: true });
    const local = await start({}, { directory });
    await old.stop();
    expect((await local.open()).id).toBe(1);
  });

  it('creates its folder again for a new bus if it was removed.', async () => {
    const directory = join(await newFolder(), 'kbus');
    const local = await start({}, { directory });
    const ksock = await local.open();
    rmSync(directory, { recursive: true });
    expect(await ksock.newDevice()).toBe(1);
    expect((await local.open({}, 1)).number).toBe(1);
  });

  it('is another program: `open` fails with EPROTO.', async () => {
    const { createServer } = await import('node:net');
    const directory = await newFolder();
    const server = createServer((socket) => socket.resume().end('220 mail ready\r\n'));
    await new Promise<void>((resolve) => server.listen(join(directory, 'kbus0.sock'), resolve));
    const error = await refused(Ksock.open(0, { directory }), 'EPROTO');
    expect(error.meaning).toBe('the program that listens there is not kbus');
    await new Promise((resolve) => server.close(resolve));
  });

  it('fails to start if its folder is a file.', async () => {
    const file = join(await newFolder(), 'file');
    writeFileSync(file, '');
    expect(await failed(LocalDaemon.start({}, { directory: file }))).toMatchObject({
      code: 'ENOTDIR',
    });
  });
});

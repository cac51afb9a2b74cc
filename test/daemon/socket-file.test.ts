import { chmodSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  closeSocket,
  listenAt,
  SocketInUseError,
  SocketPathError,
} from '../../src/daemon/socket-file.ts';
import { PROTOCOL_VERSION } from '../../src/wire/frames.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { frame, welcome } from '../support/frames.ts';
import { failed } from '../support/refused.ts';

const OURS = { mode: 0o600, group: undefined };

let folder: string;
let path: string;
let servers: Server[] = [];
beforeEach(async () => {
  folder = await newFolder();
  path = join(folder, 'kbus0.sock');
});
afterEach(async () => {
  for (const server of servers) server.close();
  servers = [];
});

function server(says?: Uint8Array | 'nothing' | 'goodbye'): Server {
  const made = createServer((socket) => {
    socket.on('error', () => {});
    if (says === 'goodbye') socket.end();
    else if (says instanceof Uint8Array) socket.write(says);
  });
  made.unref();
  servers.push(made);
  return made;
}

/** Somebody who listens at the path already. */
const somebody = (says: Uint8Array | 'nothing' | 'goodbye'): Promise<void> =>
  new Promise((resolve) => server(says).listen(path, resolve));

/** What is left of a daemon that died: a socket that nobody listens at. */
async function leaveStale(): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(statSync(path).isSocket()).toBe(true);
}

const connects = (to: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(to);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

describe('listenAt', () => {
  it('makes the socket, and nothing else.', async () => {
    await listenAt(server(), path, OURS);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
    expect(await connects(path)).toBe(true);
  });

  it.for([0o600, 0o660, 0o666])('gives it its mode, whatever the umask is: %o.', async (mode) => {
    const before = process.umask(0o027);
    try {
      await listenAt(server(), path, { mode, group: undefined });
    } finally {
      process.umask(before);
    }
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  it('gives it its group.', async ({ skip }) => {
    const groups = process.getgroups?.() ?? [];
    const group = process.getuid?.() === 0 ? 12345 : groups.find((id) => id !== process.getgid?.());
    if (group === undefined) return skip('SKIPPED: this user has no second group');
    await listenAt(server(), path, { mode: 0o660, group });
    expect(statSync(path).gid).toBe(group);
  });

  it('the kernel knows it by its path.', async ({ skip }) => {
    if (process.platform !== 'linux') return skip('SKIPPED: only Linux tells');
    await listenAt(server(), path, OURS);
    expect(readFileSync('/proc/net/unix', 'utf8')).toContain(` ${path}\n`);
  });

  it('of two at once that find a dead one, one serves, and the other says so.', async () => {
    await leaveStale();
    const both = await Promise.allSettled([0, 1].map(() => listenAt(server(), path, OURS)));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await connects(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('one that ends leaves the socket of another that has its place now.', async () => {
    const old = server();
    const file = await listenAt(old, path, OURS);
    unlinkSync(path);
    await listenAt(server(), path, OURS);
    await new Promise<void>((resolve) => closeSocket(old, file, resolve));
    expect(await connects(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('replaces what a dead daemon left.', async () => {
    await leaveStale();
    expect(await connects(path)).toBe(false);
    await listenAt(server(), path, OURS);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
    expect(await connects(path)).toBe(true);
  });

  it('leaves a living daemon alone, and says which it is.', async () => {
    const local = await LocalDaemon.start({}, { directory: folder });
    const ksock = await local.open();
    const error = (await failed(listenAt(server(), path, OURS))) as Error;
    expect(error).toBeInstanceOf(SocketInUseError);
    expect(error.message).toBe(
      `${path} is in use by the KBUS daemon with process id ${process.pid}. Stop that, or choose another folder with --directory or $KBUS_DIR.`,
    );
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
    // It has noticed nothing, and was no Ksock's place.
    expect(await ksock.numMessages()).toBe(0);
    expect((await local.open()).id).toBe(2);
    await local.stop();
    expect(local.said.join('')).not.toContain('warn');
  });

  it.for<[string, Uint8Array | 'nothing' | 'goodbye', string]>([
    ['another program', Buffer.from('220 mail ready\r\n'), 'another program'],
    ['a program that hangs up', 'goodbye', 'a program that does not say who it is'],
    ['a program that says nothing', 'nothing', 'a program that does not say who it is'],
    [
      'a daemon of another version',
      frame('FAREWELL', { words: [71], text: 'the client speaks version 9' }),
      'KBUS (the client speaks version 9)',
    ],
    ['a daemon with another process id', welcome(), 'the KBUS daemon with process id 4242'],
    ['another frame', frame('SENT', { words: [PROTOCOL_VERSION] }), 'another program'],
  ])('leaves %s alone.', async ([, says, who]) => {
    await somebody(says);
    const error = (await failed(listenAt(server(), path, OURS))) as Error;
    expect(error).toBeInstanceOf(SocketInUseError);
    expect(error.message).toContain(`${path} is in use by ${who}. `);
    expect(await connects(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('leaves a file that is no socket alone.', async () => {
    writeFileSync(path, 'precious');
    const error = (await failed(listenAt(server(), path, OURS))) as Error;
    expect(error).toBeInstanceOf(SocketInUseError);
    expect(error.message).toContain(`${path} is in use by a file that is no socket`);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('a folder that it may not write to is an error, and nothing is left.', async ({ skip }) => {
    if (process.getuid?.() === 0) return skip('SKIPPED: root may write anywhere');
    chmodSync(folder, 0o500);
    expect(await failed(listenAt(server(), path, OURS))).toMatchObject({ code: 'EACCES' });
    chmodSync(folder, 0o700);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('a path that is too long for a socket is an error that says so.', async () => {
    const long = join(folder, `${'x'.repeat(120)}.sock`);
    expect(await failed(listenAt(server(), long, OURS))).toBeInstanceOf(SocketPathError);
    expect(readdirSync(folder)).toEqual([]);
  });
});

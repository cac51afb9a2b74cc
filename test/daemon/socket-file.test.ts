import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimOf, listenAt, SocketInUseError } from '../../src/daemon/socket-file.ts';
import { identityOf } from '../../src/system/file-identity.ts';
import { SocketPathError } from '../../src/system/socket-folder.ts';
import { PROTOCOL_VERSION } from '../../src/wire/protocol.ts';
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
async function leaveStale(at = path): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(at)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(statSync(at).isSocket()).toBe(true);
}

/** A server, and the rights that its socket has in the moment when it is bound. */
function watched(): { made: Server; modes: number[] } {
  const made = server();
  const listen = made.listen.bind(made) as (...words: unknown[]) => Server;
  const modes: number[] = [];
  made.listen = (...words: unknown[]) => {
    const listening = listen(...words);
    modes.push(statSync(path).mode & 0o777);
    return listening;
  };
  return { made, modes };
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
  it('creates the socket, and nothing else.', async () => {
    await listenAt(server(), path, OURS);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
    expect(await connects(path)).toBe(true);
  });

  it.for([0o600, 0o660, 0o666])(
    'gives the socket its mode, whatever the umask is: %o.',
    async (mode) => {
      const before = process.umask(0o027);
      try {
        await listenAt(server(), path, { mode, group: undefined });
      } finally {
        process.umask(before);
      }
      expect(statSync(path).mode & 0o777).toBe(mode);
    },
  );

  it('gives the socket its mode before any client can connect.', async () => {
    const { made, modes } = watched();
    await listenAt(made, path, { mode: 0o640, group: undefined });
    expect(modes).toEqual([0o640]);
  });

  it('lets only the owner connect until the group is set.', async () => {
    const { made, modes } = watched();
    await listenAt(made, path, { mode: 0o666, group: process.getgid?.() });
    expect([modes, statSync(path).mode & 0o777]).toEqual([[0o600], 0o666]);
  });

  it('gives the socket its group.', async ({ skip }) => {
    const groups = process.getgroups?.() ?? [];
    const group = process.getuid?.() === 0 ? 12345 : groups.find((id) => id !== process.getgid?.());
    if (group === undefined) return skip('SKIPPED: this user has no second group');
    await listenAt(server(), path, { mode: 0o660, group });
    expect(statSync(path).gid).toBe(group);
  });

  it('makes the kernel know the socket by its path.', async ({ skip }) => {
    if (process.platform !== 'linux') return skip('SKIPPED: only Linux tells');
    await listenAt(server(), path, OURS);
    expect(readFileSync('/proc/net/unix', 'utf8')).toContain(` ${path}\n`);
  });

  it('lets one of many daemons replace a dead socket, and refuses the others with its name.', async () => {
    await leaveStale();
    const many = Array.from({ length: 10 }, () => listenAt(server('goodbye'), path, OURS));
    const all = await Promise.allSettled(many);
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of all) {
      if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(SocketInUseError);
    }
    expect(await connects(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('leaves another daemon’s socket at its path alone when it closes.', async () => {
    const old = server();
    const file = await listenAt(old, path, OURS);
    unlinkSync(path);
    await listenAt(server(), path, OURS);
    await file.close();
    expect(await connects(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('closes without an error if its socket was removed.', async () => {
    const file = await listenAt(server(), path, OURS);
    unlinkSync(path);
    await file.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('waits for another daemon that is replacing the same dead socket.', async () => {
    await leaveStale();
    const other = createServer();
    const waiting = once(other, 'connection');
    other.listen(claimOf(path, identityOf(path) as string));
    const outcome = failed(listenAt(server(), path, OURS));
    const [socket] = (await waiting) as [Socket];
    unlinkSync(path);
    await somebody('goodbye');
    const theirs = identityOf(path);
    other.close();
    socket.destroy();
    expect(await outcome).toBeInstanceOf(SocketInUseError);
    expect(identityOf(path)).toBe(theirs);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('goes on if that daemon dies meanwhile.', async () => {
    await leaveStale();
    const claim = claimOf(path, identityOf(path) as string);
    await leaveStale(claim);
    await leaveStale(claimOf(claim, identityOf(claim) as string));
    await listenAt(server(), path, OURS);
    expect(await connects(path)).toBe(true);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('leaves alone a socket that is bound and does not listen yet.', async ({ skip }) => {
    if (process.platform !== 'linux') return skip('SKIPPED: only Linux tells');
    if (spawnSync('python3', ['--version']).status !== 0)
      return skip('SKIPPED: there is no python3');
    const script = `
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.bind(sys.argv[1])
print('bound', flush=True)
sys.stdin.readline()
one.listen()
while True: one.accept()[0].close()
`;
    const python = spawn('python3', ['-c', script, path]);
    await once(python.stdout, 'data');
    const theirs = identityOf(path);
    const outcome = failed(listenAt(server(), path, OURS));
    for (let count = 0; count < 10; count++) expect(await connects(path)).toBe(false);
    python.stdin.write('\n');
    expect(await outcome).toBeInstanceOf(SocketInUseError);
    expect(identityOf(path)).toBe(theirs);
    python.kill();
    await once(python, 'close');
  });

  it('replaces the socket of a dead daemon.', async () => {
    await leaveStale();
    expect(await connects(path)).toBe(false);
    await listenAt(server(), path, OURS);
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
    expect(await connects(path)).toBe(true);
  });

  it('leaves a living daemon alone, and names it.', async () => {
    const local = await LocalDaemon.start({}, { directory: folder });
    const ksock = await local.open();
    const error = (await failed(listenAt(server(), path, OURS))) as Error;
    expect(error).toBeInstanceOf(SocketInUseError);
    expect(error.message).toBe(
      `${path} is in use by the KBUS daemon with process id ${process.pid}. Stop it, or choose another folder with --directory or $KBUS_DIR.`,
    );
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
    // It has noticed nothing, and was no Ksock's place.
    expect(await ksock.numMessages()).toBe(0);
    expect((await local.open()).id).toBe(2);
    await local.stop();
    expect(local.said.join('')).not.toContain('warn');
  });

  it('leaves alone a daemon whose backlog is full.', async () => {
    const busy = server();
    busy.listen({ path, backlog: 0 });
    await once(busy, 'listening');
    // Nobody accepts while this process is in here.
    const waiting = Array.from({ length: 10 }, () => createConnection(path).on('error', () => {}));
    const error = await failed(listenAt(server(), path, OURS));
    expect(error).toBeInstanceOf(SocketInUseError);
    for (const socket of waiting) socket.destroy();
  });

  it.for<[string, Uint8Array | 'nothing' | 'goodbye', string]>([
    ['another program', Buffer.from('220 mail ready\r\n'), 'another program'],
    ['a program that hangs up', 'goodbye', 'a program that does not identify itself'],
    [
      'a program that says nothing',
      'nothing',
      'a program that does not answer: it is suspended, or it is not kbus',
    ],
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

  it('leaves alone a file that is not a socket.', async () => {
    writeFileSync(path, 'precious');
    const error = (await failed(listenAt(server(), path, OURS))) as Error;
    expect(error).toBeInstanceOf(SocketInUseError);
    expect(error.message).toContain(`${path} is in use by a file that is not a socket`);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(readdirSync(folder)).toEqual(['kbus0.sock']);
  });

  it('fails in a folder without write permission, and leaves nothing behind.', async ({ skip }) => {
    if (process.getuid?.() === 0) return skip('SKIPPED: root may write anywhere');
    chmodSync(folder, 0o500);
    expect(await failed(listenAt(server(), path, OURS))).toMatchObject({ code: 'EACCES' });
    chmodSync(folder, 0o700);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses a path that is too long for a socket.', async () => {
    const long = join(folder, `${'x'.repeat(120)}.sock`);
    expect(await failed(listenAt(server(), long, OURS))).toBeInstanceOf(SocketPathError);
    expect(readdirSync(folder)).toEqual([]);
  });
});

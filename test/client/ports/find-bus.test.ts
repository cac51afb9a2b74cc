import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join, relative } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Ksock } from '../../../src/client/ksock.ts';
import { NoBusError } from '../../../src/client/ports/find-bus.ts';
import { placesToLook, socketDirectory, socketPath } from '../../../src/system/socket-folder.ts';
import { LocalDaemon } from '../../support/daemon.ts';
import { newFolder } from '../../support/folder.ts';
import { failed, refused } from '../../support/refused.ts';

let folder: string;
let locals: LocalDaemon[];
beforeEach(async () => {
  folder = await newFolder();
  locals = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await Promise.all(locals.map((local) => local.stop()));
});

async function serve(directory: string, buses = 1): Promise<LocalDaemon> {
  const local = await LocalDaemon.start({}, { directory, buses });
  locals.push(local);
  return local;
}

/** The socket of a dead daemon. */
function leaveStale(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const path = JSON.stringify(socketPath(directory, 0));
  const script = `require('net').createServer().listen(${path}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
}

describe('Opening without a directory', () => {
  let ours: string;
  let users: string;
  beforeEach(() => {
    ours = join(folder, 'ours');
    users = join(folder, 'run', 'kbus');
    vi.stubEnv('KBUS_DIR', ours);
    vi.stubEnv('XDG_RUNTIME_DIR', join(folder, 'run'));
  });

  it('looks in $KBUS_DIR, then in the user’s directory, then in the system’s.', () => {
    const [first, second, ...more] = placesToLook();
    expect([first, second]).toEqual([ours, users]);
    if (process.platform !== 'win32') expect(more.at(-1)).toBe('/run/kbus');
    expect(placesToLook('here')).toEqual(['here']);
  });

  it('looks in all directories in which `kbus serve` may serve, for any user.', () => {
    expect(placesToLook()).toContain(socketDirectory());
    vi.stubEnv('KBUS_DIR', '');
    for (const uid of [0, 1000]) {
      vi.spyOn(process as { getuid(): number }, 'getuid').mockReturnValue(uid);
      expect(placesToLook()).toContain(socketDirectory());
    }
  });

  it('takes the first directory in which a daemon serves the bus.', async () => {
    const second = await serve(users);
    await using one = await Ksock.open(0);
    expect((await second.open()).id).toBe(one.id + 1);
    const first = await serve(ours);
    await using other = await Ksock.open(0);
    expect(other.id).toBe(1);
    expect((await first.open()).id).toBe(2);
  });

  it('skips the socket of a dead daemon.', async () => {
    leaveStale(ours);
    await serve(users);
    await using ksock = await Ksock.open(0);
    expect(ksock.id).toBe(1);
  });

  it('rejects with an error that names all directories, and the fault of each.', async () => {
    leaveStale(ours);
    const error = await refused(Ksock.open(0), 'ENOENT');
    expect(error.message).toContain(
      `open bus 0 (no daemon answers at ${ours}/kbus0.sock, which a dead daemon has left; no daemon answers at ${users}/kbus0.sock; `,
    );
    expect(error.message).toContain('/run/kbus/kbus0.sock)');
    expect(error.meaning).toBe('there is no bus 0; start one with `kbus serve`');
  });

  it('tells a user without a directory to set one first.', async ({ skip }) => {
    if (process.platform !== 'linux') return skip('SKIPPED: there is always a folder');
    vi.stubEnv('KBUS_DIR', '');
    vi.stubEnv('XDG_RUNTIME_DIR', '');
    vi.spyOn(process as { getuid(): number }, 'getuid').mockReturnValue(1000);
    const { meaning } = new NoBusError({ bus: 0 }, undefined, []);
    expect(meaning).toBe(
      'there is no bus 0; set KBUS_DIR to a folder of your own, and start one with `kbus serve`',
    );
    expect(new NoBusError({ bus: 0 }, 'here', []).meaning).not.toContain('KBUS_DIR');
  });

  it('reconnects in the same directory, and in no other.', async () => {
    const first = await serve(ours);
    let lost = (): void => {};
    let tried = 0;
    const twice = new Promise<void>((resolve) => {
      lost = () => {
        if (++tried === 3) resolve();
      };
    });
    await using ksock = await Ksock.open(0, {
      reconnect: { minDelay: 1, maxDelay: 1 },
      onDisconnected: lost,
    });
    await serve(users);
    await first.stop();
    await twice;
    expect(ksock.isConnected).toBe(false);
  });
});

describe('Opening', () => {
  it('says that the user may not look into the directory, and nothing about its content.', async ({
    skip,
  }) => {
    if (process.getuid?.() === 0) return skip('SKIPPED: root may look anywhere');
    await serve(join(folder, 'a'));
    chmodSync(join(folder, 'a'), 0);
    const error = await refused(Ksock.open(0, { directory: join(folder, 'a') }), 'EACCES');
    expect(error.message).toContain(`this user may not look into ${join(folder, 'a')}`);
    chmodSync(join(folder, 'a'), 0o700);
  });

  it('lists the buses that exist, for programs and for people.', async () => {
    const { directory } = await serve(folder, 2);
    const error = await refused(Ksock.open(3, { directory }), 'ENOENT');
    const cause = error.cause as NoBusError;
    expect(cause).toBeInstanceOf(NoBusError);
    // Node prints them of an error that nobody caught.
    expect(Object.keys(cause)).toEqual(['name']);
    expect(error.meaning).toContain('there is no bus 3, but buses 0 and 1 exist;');
    expect(cause.lines('kbus')).toBe(
      `there is no bus 3: no daemon answers at ${directory}/kbus3.sock.
Buses 0 and 1 exist: that daemon has fewer buses. Stop it, and start it with:  kbus serve --directory ${directory} --buses 4`,
    );
  });

  it.each([
    [[0], 'bus 0 exists'],
    [[0, 1], 'buses 0 and 1 exist'],
    [[0, 1, 2], 'buses 0 to 2 exist'],
    [[0, 2, 5], 'buses 0, 2 and 5 exist'],
  ])('lists the buses %j as "%s".', (others, says) => {
    const look = { says: 'x', errno: 2, others, cause: undefined };
    expect(new NoBusError({ bus: 9 }, undefined, [look]).meaning).toContain(`but ${says};`);
  });

  it.each([
    ['one name', () => 'd'.repeat(120)],
    ['many bytes a character', () => '\u00fc'.repeat(60)],
    ['only with the socket’s name', () => 'd'.repeat(107 - folder.length - '/'.length - 4)],
  ])('refuses a path that is too long: %s.', async (_, name) => {
    const directory = join(folder, name());
    const path = socketPath(directory, 0);
    const length = Buffer.byteLength(path);
    const most = process.platform === 'linux' ? 107 : 103;
    expect(length).toBeGreaterThan(most);
    // A truncated path could be another program's socket.
    let reached = 0;
    const other = createServer(() => reached++);
    mkdirSync(dirname(path.slice(0, most)), { recursive: true });
    await new Promise<void>((resolve) => {
      other.on('error', () => resolve());
      other.listen(path.slice(0, most), resolve);
    });
    const says = `${path} is too long for the path of a socket: it has ${length} bytes, and may have ${most}`;
    const error = await refused(Ksock.open(0, { directory }), 'ENAMETOOLONG');
    expect(error.message).toContain(says);
    expect(reached).toBe(0);
    other.close();
    const served = (await failed(LocalDaemon.start({}, { directory }))) as Error;
    expect(served.message).toBe(says);
  });

  it('accepts the longest path that a socket may have.', async () => {
    const most = process.platform === 'linux' ? 107 : 103;
    const fits = most - folder.length - '/'.length - '/kbus0.sock'.length;
    const local = await serve(join(folder, 'd'.repeat(fits)));
    expect(Buffer.byteLength(local.daemon.path(0))).toBe(most);
    leaveStale(local.directory);
    expect((await local.open()).id).toBe(1);
    await failed(LocalDaemon.start({}, { directory: local.directory }));
  });

  it('accepts a directory relative to the working directory.', async () => {
    const local = await serve(folder);
    const directory = relative(realpathSync(process.cwd()), folder);
    await using ksock = await Ksock.open(0, { directory });
    expect((await local.open()).id).toBe(ksock.id + 1);
  });

  it('needs a working directory only for a relative path.', async () => {
    await serve(folder);
    vi.spyOn(process, 'cwd').mockImplementation(() => {
      throw Object.assign(new Error('ENOENT: uv_cwd'), { code: 'ENOENT' });
    });
    await using ksock = await Ksock.open(0, { directory: folder });
    expect(ksock.id).toBe(1);
    const error = await refused(Ksock.open(0, { directory: basename(folder) }), 'ENOENT');
    expect(error.message).toContain(
      `'${basename(folder)}' is a relative path, and the working directory of this program has been removed`,
    );
    rmSync(join(folder, 'none'), { force: true });
  });
});

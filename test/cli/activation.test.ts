import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { takeActivation } from '../../src/daemon/activation.ts';
import { newFolder } from '../support/folder.ts';
import { refused } from '../support/refused.ts';
import { MAIN, Program } from './kbus.ts';

/**
 * Does what systemd does: listens at each path, passes the sockets as descriptors from 3 on, tells the
 * process of them in its environment, and becomes the program.
 */
const LAUNCHER = `
import os, socket, sys
count = int(sys.argv[1])
paths, command = sys.argv[2:2 + count], sys.argv[2 + count:]
listening = []
for path in paths:
    one = socket.socket(socket.AF_UNIX)
    one.bind(path)
    one.listen()
    listening.append(one)
high = [os.dup2(one.fileno(), 20 + index) for index, one in enumerate(listening)]
for index, descriptor in enumerate(high):
    os.dup2(descriptor, 3 + index, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execvp(command[0], command)
`;

const hasPython = spawnSync('python3', ['--version']).status === 0;

describe('socket activation', () => {
  test.runIf(hasPython)('serves the passed sockets, in their order', async () => {
    const directory = await newFolder();
    const paths = [0, 1].map((bus) => join(directory, `kbus${bus}.sock`));
    const command = [process.execPath, MAIN, 'serve', '--directory', directory];
    const daemon = new Program('python3', ['-c', LAUNCHER, '2', ...paths, ...command]);
    await daemon.says(/serving buses 0 to 1, on sockets of systemd/);
    await using zero = await Ksock.open(0, { directory });
    await using one = await Ksock.open(1, { directory });
    expect([String(zero), String(one)]).toEqual([
      'Ksock device 0, id 1, mode read/write',
      'Ksock device 1, id 1, mode read/write',
    ]);
    // A bus that is made later gets a socket that is the daemon's own.
    expect(await zero.newDevice()).toBe(2);
    expect(readdirSync(directory)).toEqual(['kbus0.sock', 'kbus1.sock', 'kbus2.sock']);
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 });
    // Those that systemd made are systemd's to remove.
    expect(readdirSync(directory)).toEqual(['kbus0.sock', 'kbus1.sock']);
  });

  test.runIf(hasPython)('creates the sockets of further buses', async () => {
    const directory = await newFolder();
    const path = join(directory, 'passed.sock');
    const command = [process.execPath, MAIN, 'serve', '--directory', directory, '--buses', '2'];
    const daemon = new Program('python3', ['-c', LAUNCHER, '1', path, ...command]);
    await daemon.says(/serving buses 0 to 1 in/);
    await using one = await Ksock.open(1, { directory });
    expect(one.id).toBe(1);
    expect(existsSync(join(directory, 'kbus0.sock'))).toBe(false);
  });

  test.runIf(hasPython)('serves access points at the sockets that have their names', async () => {
    const directory = await newFolder();
    const config = join(directory, 'kbus.toml');
    writeFileSync(
      config,
      `buses = 2
[[access]]
name = "guest"
rights = ["read"]
listen = ["$.Public.*"]
`,
    );
    const paths = ['kbus0.sock', 'kbus0.guest.sock', 'kbus1.sock', 'kbus1.guest.sock'].map((name) =>
      join(directory, name),
    );
    const command = [process.execPath, MAIN, 'serve', '--directory', directory, '--config', config];
    const launch = (names: string, ...more: string[]): Program =>
      new Program('python3', ['-c', LAUNCHER, String(more.length), ...more, ...command], {
        env: { LISTEN_FDNAMES: names },
      });
    const daemon = launch('kbus.socket:guest:kbus.socket:guest', ...paths);
    await daemon.says(/serving buses 0 to 1, on sockets of systemd/);
    for (const bus of [0, 1]) {
      await using guest = await Ksock.open(bus, { directory, access: 'guest' });
      expect(guest.number).toBe(bus);
      await guest.bind('$.Public.Door');
      await refused(guest.bind('$.*'), 'EACCES');
      await using owner = await Ksock.open(bus, { directory });
      await owner.bind('$.*');
      expect((await owner.accessPoints()).map(({ path }) => path)).toEqual(
        paths.slice(2 * bus, 2 * bus + 2),
      );
    }
    await daemon.kill('SIGTERM');
    // A socket for an access point that there is not must not get all rights.
    const [stray] = [join(directory, 'stray.sock')];
    const { code, stderr } = await launch('gest', stray as string).ended;
    expect(code).toBe(2);
    expect(stderr).toContain("systemd passes a socket named 'gest' (FileDescriptorName), but");
  });

  test('is for one process, and hidden from its children', () => {
    const others = { LISTEN_PID: '1', LISTEN_FDS: '2' };
    expect(takeActivation({ ...others })).toEqual([]);
    expect(takeActivation({})).toEqual([]);
    const ours = {
      LISTEN_PID: String(process.pid),
      LISTEN_FDS: '4',
      LISTEN_FDNAMES: 'kbus.socket:guest:unknown',
      HOME: '/',
    };
    expect(takeActivation(ours)).toEqual([
      { descriptor: 3, name: '' },
      { descriptor: 4, name: 'guest' },
      { descriptor: 5, name: '' },
      { descriptor: 6, name: '' },
    ]);
    expect(ours).toEqual({ HOME: '/' });
    expect(takeActivation({ LISTEN_PID: String(process.pid), LISTEN_FDS: 'x' })).toEqual([]);
  });
});

/** systemd's end of NOTIFY_SOCKET: prints what it is told. */
const TOLD = `
import socket, sys
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(told.recv(4096).decode(), flush=True)
`;

const hasNotify = hasPython && spawnSync('systemd-notify', ['--version']).status === 0;
const skipped = hasNotify ? '' : ' (skipped: systemd-notify or python3 is not installed)';

describe(`Type=notify${skipped}`, () => {
  test.runIf(hasNotify)('the daemon tells systemd when it serves, and of what', async () => {
    const directory = await newFolder();
    const socket = join(directory, 'notify');
    const systemd = new Program('python3', ['-c', TOLD, socket], { input: null });
    await systemd.says(/listening/);
    const env = { NOTIFY_SOCKET: socket };
    const daemon = new Program(process.execPath, [MAIN, 'serve', '--directory', directory], {
      env,
    });
    await systemd.says(/READY=1/);
    await systemd.says(/STATUS=serving bus 0/);
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.isConnected).toBe(true);
    expect(daemon.stderr).not.toMatch(/systemd does not know/);
  });

  test('without systemd-notify, the daemon serves, and says what is wrong', async () => {
    const directory = await newFolder();
    const env = { NOTIFY_SOCKET: join(directory, 'notify'), PATH: directory };
    const daemon = new Program(process.execPath, [MAIN, 'serve', '--directory', directory], {
      env,
    });
    await daemon.says(/systemd does not know that the daemon serves: .*systemd-notify/);
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.isConnected).toBe(true);
  });
});

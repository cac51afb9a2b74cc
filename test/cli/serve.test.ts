import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { newFolder } from '../support/folder.ts';
import { refused } from '../support/refused.ts';
import { kbus, MAIN, Program, serve, start } from './kbus.ts';

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const isRoot = process.getuid?.() === 0;

/** Bytes that a program has in memory; 0 where the system doesn't tell. */
async function memoryOf({ child }: Program): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
}

describe('kbus serve', () => {
  test('serves bus 0, and logs where', async () => {
    const { directory, daemon } = await serve();
    expect(daemon.stderr).toMatch(
      new RegExp(`info {2}serving bus 0 at ${directory}/kbus0.sock\n$`),
    );
    expect(daemon.stdout).toBe('');
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.id).toBe(1);
  });

  test('names the lack of descriptors when it can make no new bus, and wastes no number', async ({
    skip,
  }) => {
    if (spawnSync('prlimit', ['--version']).status !== 0) return skip('SKIPPED: no prlimit');
    const { directory, daemon } = await serve();
    await using ksock = await Ksock.open(0, { directory });
    const { pid } = daemon.child;
    const open = readdirSync(`/proc/${pid}/fd`).map(Number);
    let free = 0;
    while (open.includes(free)) free++;
    const limit = (most: string): void => {
      expect(spawnSync('prlimit', ['--pid', String(pid), `--nofile=${most}:`]).status).toBe(0);
    };
    limit(String(free));
    for (let count = 0; count < 256; count++) {
      const error = await refused(ksock.newDevice(), 'ENOMEM');
      expect(error.message).toContain('the daemon has no free file descriptor (EMFILE): raise');
    }
    limit('1000');
    expect(await ksock.newDevice()).toBe(1);
  });

  test('creates its folder and sockets for its user only', async () => {
    const { directory } = await serve();
    expect(modeOf(directory)).toBe(0o700);
    expect(modeOf(join(directory, 'kbus0.sock'))).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['kbus0.sock']);
  });

  test('serves the given number of separate buses', async () => {
    const { directory, daemon } = await serve('--buses', '3');
    expect(daemon.stderr).toContain(`serving buses 0 to 2 in ${directory}\n`);
    expect(readdirSync(directory)).toEqual(['kbus0.sock', 'kbus1.sock', 'kbus2.sock']);
    await using one = await Ksock.open(1, { directory });
    await using two = await Ksock.open(2, { directory });
    await one.bind('$.*');
    await two.sendMsg(new Announcement('$.A'));
    expect(await one.readNextMsg()).toBe(null);
    await refused(Ksock.open(3, { directory }), 'ENOENT');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'after %s, tells its clients, removes its files, and exits with 0',
    async (signal) => {
      const { directory, daemon } = await serve('--buses', '2');
      await using ksock = await Ksock.open(0, { directory });
      const waiting = refused(ksock.waitForMsg(), 'ECONNRESET');
      // Once this is answered, the daemon knows of the wait.
      await ksock.numMessages();
      const outcome = await daemon.kill(signal);
      expect(outcome).toMatchObject({ code: 0, signal: null });
      expect(outcome.stderr).toContain(`info  ${signal}: the daemon stops\n`);
      expect((await waiting).message).toContain(`the daemon was stopped by ${signal}`);
      expect(existsSync(directory)).toBe(false);
    },
  );

  test('removes the folders that it created, unless they have other files', async () => {
    const above = await newFolder();
    const one = start(['serve', '--directory', join(above, 'a/b/c')]);
    await one.says(/serving/);
    expect(await one.kill('SIGTERM')).toMatchObject({ code: 0 });
    expect(readdirSync(above)).toEqual([]);
    const two = start(['serve', '--directory', 'a/b/c'], { cwd: above });
    await two.says(/serving/);
    writeFileSync(join(above, 'a', 'note'), '');
    expect(await two.kill('SIGTERM')).toMatchObject({ code: 0 });
    expect(readdirSync(above, { recursive: true })).toEqual(['a', 'a/note']);
  });

  test('leaves a folder that it did not create, with its other files', async () => {
    const directory = await newFolder();
    writeFileSync(join(directory, 'note'), '');
    const daemon = start(['serve', '--directory', directory]);
    await daemon.says(/serving/);
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 });
    expect(readdirSync(directory)).toEqual(['note']);
  });

  test('replaces the socket that a killed daemon left', async () => {
    const { directory, daemon, start } = await serve();
    await daemon.kill('SIGKILL');
    expect(readdirSync(directory)).toEqual(['kbus0.sock']);
    await refused(Ksock.open(0, { directory }), 'ENOENT');
    const next = start(['serve']);
    await next.says(/serving/);
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.id).toBe(1);
    expect(readdirSync(directory)).toEqual(['kbus0.sock']);
  });

  test('fails in the folder of another daemon, and names that', async () => {
    const { directory, daemon, kbus } = await serve();
    const { code, stdout, stderr } = await kbus(['serve']);
    expect(stderr).toBe(
      `kbus: ${directory}/kbus0.sock is in use by the KBUS daemon with process id ${daemon.child.pid}. ` +
        'Stop it, or choose another folder with --directory or $KBUS_DIR.\n',
    );
    expect(stdout).toBe('');
    expect(code).toBe(1);
    // And the daemon that is there goes on.
    await using ksock = await Ksock.open(0, { directory });
    expect(await ksock.sendMsg(new Announcement('$.A'))).toMatchObject({ serialNum: 1 });
  });

  test('lets one of several serve that start at the same time', async () => {
    const directory = join(await newFolder(), 'sockets');
    // What a dead daemon left makes it harder.
    const dead = start(['serve', '--directory', directory]);
    await dead.says(/serving/);
    await dead.kill('SIGKILL');
    const daemons = [1, 2, 3].map(() => start(['serve', '--directory', directory]));
    const serving = await Promise.any(
      daemons.map(async (daemon) => {
        await daemon.says(/serving/);
        return daemon;
      }),
    );
    for (const daemon of daemons) {
      if (daemon === serving) continue;
      const { code, stderr } = await daemon.ended;
      expect(stderr).toContain(`is in use by the KBUS daemon with process id ${serving.child.pid}`);
      expect(code).toBe(1);
    }
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.id).toBe(1);
    expect(readdirSync(directory)).toEqual(['kbus0.sock']);
  });

  test('says that the daemon there may be suspended', async () => {
    const { directory, daemon } = await serve();
    daemon.child.kill('SIGSTOP');
    const { code, stderr } = await kbus(['serve', '--directory', directory]);
    expect(stderr).toMatch(
      /kbus0\.sock is in use by a program that does not answer: it is suspended/,
    );
    expect(code).toBe(1);
  });

  test('leaves a socket of another program alone', async () => {
    const directory = await newFolder();
    const other = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => {
      other.listen(join(directory, 'kbus0.sock'), resolve);
    });
    try {
      const { code, stderr } = await kbus(['serve', '--directory', directory]);
      expect(stderr).toMatch(/kbus0\.sock is in use by a program that does not identify itself\./);
      expect(code).toBe(1);
    } finally {
      other.close();
    }
  });

  test('gives its sockets the --mode, and its folder a matching one', async () => {
    const { directory } = await serve('--mode', '0666');
    expect(modeOf(directory)).toBe(0o755);
    expect(modeOf(join(directory, 'kbus0.sock'))).toBe(0o666);
  });

  test('gives its sockets the --group, by name or number', async () => {
    const gid = process.getgid?.() ?? 0;
    const { directory } = await serve('--group', String(gid));
    expect(modeOf(directory)).toBe(0o750);
    expect(modeOf(join(directory, 'kbus0.sock'))).toBe(0o660);
    expect(statSync(join(directory, 'kbus0.sock')).gid).toBe(gid);
  });

  test.runIf(isRoot)('finds a group by name', async () => {
    // Debian, Fedora, Alpine and others have this one.
    const { directory } = await serve('--group', 'daemon', '--mode', '660');
    const { gid } = statSync(join(directory, 'kbus0.sock'));
    expect(gid).toBeGreaterThan(0);
    expect(statSync(directory).gid).toBe(gid);
  });

  test('fails for an unknown group', async () => {
    const directory = await newFolder();
    const args = ['serve', '--group', 'nobodys', '--directory', directory];
    const { code, stderr } = await kbus(args);
    expect(stderr).toBe(
      "kbus: group: this machine has no group 'nobodys'; create it (groupadd), or name another\n",
    );
    expect(code).toBe(2);
  });

  test('enforces its limits', async () => {
    const { directory } = await serve('--max-messages', '3', '--max-message-size', '1000');
    await using ksock = await Ksock.open(0, { directory });
    expect(await ksock.maxMessages()).toBe(3);
    expect(await ksock.maxMessageSize()).toBe(1000);
    expect(await ksock.setMaxMessageSize(1)).toBe(16 * 1024 * 1024);
  });

  test('a larger maximum size lifts the absolute one, and a smaller absolute one lowers it', async () => {
    const large = await serve('--max-message-size', '20000000');
    await using one = await Ksock.open(0, { directory: large.directory });
    expect(await one.setMaxMessageSize(1)).toBe(20_000_000);
    const small = await serve('--absolute-max-message-size', '5000');
    await using two = await Ksock.open(0, { directory: small.directory });
    expect(await two.maxMessageSize()).toBe(5000);
  });

  test('logs text, or JSON', async () => {
    const human = await serve();
    expect(human.daemon.stderr).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}serving bus 0 at .*\n$/);
    const json = await serve('--log', 'json', '--buses', '2');
    const { level, text, directory, buses } = JSON.parse(json.daemon.stderr);
    expect({ level, buses, directory }).toEqual({
      level: 'info',
      buses: 2,
      directory: json.directory,
    });
    expect(text).toBe(`serving buses 0 to 1 in ${directory}`);
  });

  test('with --verbose, logs all events, on later buses too', async () => {
    const { directory, daemon } = await serve('--verbose');
    await using ksock = await Ksock.open(0, { directory, name: 'thermostat' });
    await daemon.says(
      /debug bus 0: Ksock 1 \('thermostat', process \d+ of user \d+, as it says\) opened \(rw\)\n/,
    );
    await ksock.bind('$.A');
    await daemon.says(/debug bus 0: Ksock 1 \('thermostat'\) bound as Listener for '\$\.A'\n/);
    expect(await ksock.verbose()).toBe(true);
    await using later = await Ksock.open(await ksock.newDevice(), { directory });
    await daemon.says(/debug bus 1: Ksock 1 .* opened/);
    expect(await later.verbose(false)).toBe(true);
  });

  test('goes on when the reader of its log has gone', async () => {
    const { directory, daemon } = await serve('--verbose');
    daemon.child.stderr?.destroy();
    await using ksock = await Ksock.open(0, { directory });
    for (let count = 0; count < 100; count++) await ksock.sendMsg(new Announcement('$.A'));
    expect(await ksock.lastMsgId()).toMatchObject({ serialNum: 100 });
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 });
  });

  test('goes on when its log is not read, and later reports the dropped lines', async () => {
    const { directory, daemon } = await serve('--verbose');
    daemon.child.stderr?.pause();
    await using ksock = await Ksock.open(0, { directory });
    const before = await memoryOf(daemon);
    // Some 1000 characters each, and 1000 of each kind a second: the log may keep 1 MiB of them.
    const name = `$.${'Long'.repeat(240)}`;
    for (let count = 0; count < 300; count++) {
      const told = Array.from({ length: 10 }, () => ksock.sendMsg(new Announcement(name)));
      const asked = Array.from({ length: 10 }, () => ksock.request(name).catch(() => {}));
      await Promise.all([...told, ...asked]);
    }
    expect(await ksock.lastMsgId()).toMatchObject({ serialNum: 6000 });
    expect((await memoryOf(daemon)) - before).toBeLessThan(40 * 1024 * 1024);
    daemon.child.stderr?.resume();
    await daemon.says(/warn {2}dropped \d+ lines/);
    await daemon.says(/debug and [\d,]+ more like this: bus 0: Ksock 1 \('.*'\) sent Announcement/);
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 });
  });

  test('stops at a signal while its log is not read', async () => {
    const { directory, daemon } = await serve('--verbose');
    daemon.child.stderr?.pause();
    await using ksock = await Ksock.open(0, { directory });
    for (let count = 0; count < 100; count++) {
      await Promise.all(Array.from({ length: 100 }, () => ksock.sendMsg(new Announcement('$.A'))));
    }
    const exited = once(daemon.child, 'exit');
    daemon.child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    daemon.child.stderr?.resume();
  });

  test.skipIf(!existsSync('/dev/full'))(
    'goes on, and exits with 0, with its log on a full disk',
    async () => {
      const directory = join(await newFolder(), 'sockets');
      const command = `exec "$@" 2>/dev/full`;
      const args = ['-c', command, 'sh', process.execPath, MAIN, 'serve', '--verbose'];
      const daemon = new Program('sh', [...args, '--directory', directory]);
      await using ksock = await Ksock.open(0, {
        directory,
        reconnect: { minDelay: 5, maxDelay: 5 },
      });
      for (let count = 0; count < 100; count++) await ksock.sendMsg(new Announcement('$.A'));
      expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 });
    },
  );

  test('needs a working directory for a relative folder only', async () => {
    const above = await newFolder();
    const gone = join(above, 'gone');
    const within = (...args: string[]): Program => {
      mkdirSync(gone);
      const command = `cd "$1" && rmdir "$1" && shift && exec "$@"`;
      return new Program('sh', ['-c', command, 'sh', gone, process.execPath, MAIN, ...args]);
    };
    const directory = join(above, 'kbus');
    const daemon = within('serve', '--directory', directory);
    await daemon.says(/serving/);
    const told = { stdout: expect.stringContaining(`${directory}/kbus0.sock: the KBUS daemon`) };
    expect(await within('doctor', '--directory', directory).ended).toMatchObject({
      code: 0,
      ...told,
    });
    expect(await within('send', '$.A', '--directory', directory).ended).toMatchObject({ code: 0 });
    const says =
      "'kbus' is a relative path, and the working directory of this program has been removed";
    const relative = ['--directory', 'kbus'];
    for (const [code, command] of [
      [2, 'serve'],
      [3, 'send', '$.A'],
    ] as const) {
      const rest = command === 'send' ? ['$.A'] : [];
      const outcome = await within(command, ...rest, ...relative).ended;
      expect(outcome.stderr).toContain(says);
      expect(outcome.code).toBe(code);
    }
    const { code, stdout } = await within('doctor', ...relative).ended;
    expect([code, stdout]).toEqual([1, expect.stringContaining(says)]);
  });

  test('after a bug, tells its clients, and exits with 70', async () => {
    // The bug: a handler of a signal that throws.
    const bug = 'process.on("SIGUSR2", () => { throw new Error("a bug for the test") })';
    const directory = join(await newFolder(), 'sockets');
    const daemon = new Program(
      process.execPath,
      ['--import', `data:text/javascript,${bug}`, MAIN, 'serve', '--directory', directory],
      {},
    );
    await daemon.says(/serving/);
    await using ksock = await Ksock.open(0, { directory });
    const waiting = refused(ksock.waitForMsg(), 'ECONNRESET');
    // Once this is answered, the daemon knows of the wait.
    await ksock.numMessages();
    const outcome = await daemon.kill('SIGUSR2');
    expect((await waiting).message).toContain('the daemon stopped because of a bug');
    expect(outcome.stderr).toMatch(
      /error the daemon stops because of a bug: Error: a bug for the test\n +at /,
    );
    expect(outcome.code).toBe(70);
    expect(existsSync(directory)).toBe(false);
  });

  test.skipIf(isRoot)('prints errors of the file system', async () => {
    const above = await newFolder();
    chmodSync(above, 0o500);
    const { code, stderr } = await kbus(['serve', '--directory', join(above, 'sockets')]);
    expect(stderr).toMatch(/^kbus: can't create sockets in .*: EACCES.*--directory or \$KBUS_DIR/);
    expect(code).toBe(1);
  });

  test('fails if its folder is a file', async () => {
    const file = join(await newFolder(), 'file');
    writeFileSync(file, '');
    const { code, stderr } = await kbus(['serve', '--directory', file]);
    expect(stderr).toMatch(
      /^kbus: can't create sockets in .*\/file: ENOTDIR: .*\/file is not a folder\. Choose/,
    );
    expect(code).toBe(1);
  });

  test('fails if the path of a socket is too long', async () => {
    const above = await newFolder();
    const { code, stderr } = await kbus(['serve', '--directory', join(above, 'x'.repeat(80))]);
    expect(stderr).toMatch(
      /kbus0\.sock is too long for the path of a socket: it has \d+ bytes, and may have \d+\. Choose/,
    );
    expect(code).toBe(1);
    expect(readdirSync(above)).toEqual([]);
  });

  test('creates nothing through a dangling link', async () => {
    const above = await newFolder();
    symlinkSync(join(above, 'nowhere'), join(above, 'link'));
    const { code } = await kbus(['serve', '--directory', join(above, 'link')]);
    expect(code).toBe(1);
    mkdirSync(join(above, 'nowhere'));
    const daemon = start(['serve', '--directory', join(above, 'link')]);
    await daemon.says(/serving/);
    expect(readdirSync(join(above, 'nowhere'))).toEqual(['kbus0.sock']);
  });
});

describe('the settings of kbus serve', () => {
  test.each([
    [['--buses', '0'], '--buses must be a whole number from 1 to 256, not 0'],
    [['--buses', 'many'], '--buses must be a whole number from 1 to 256, not "many"'],
    [['--buses', '1.5'], '--buses must be a whole number from 1 to 256, not "1.5"'],
    [['--directory', ''], '--directory must be a folder, as a string that is not empty, not ""'],
    [['--mode', '888'], '--mode must be permission bits in octal and in quotes, such as "0660"'],
    [['--mode', '1777'], '--mode must be permission bits in octal and in quotes, such as "0660"'],
    [['--log', 'xml'], '--log must be human or json, not "xml"'],
    [
      ['--max-message-size', '99'],
      '--max-message-size must be a whole number of bytes from 100 to',
    ],
    [
      ['--max-message-size', '2000', '--absolute-max-message-size', '1000'],
      '--max-message-size must not exceed absolute-max-message-size, which is 1000',
    ],
  ])('%j is a mistake', async (args, says) => {
    const { code, stdout, stderr } = await kbus(['serve', ...args]);
    expect(stderr).toContain(`kbus: ${says}`);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('come from a file too; options override it', async () => {
    const above = await newFolder();
    const file = join(above, 'kbus.toml');
    const directory = join(above, 'sockets');
    writeFileSync(file, `buses = 2\nmode = "0640"\nlog = "json"\ndirectory = "${directory}"\n`);
    const daemon = start(['serve', '--config', file, '--buses', '3']);
    await daemon.says(/serving/);
    expect(JSON.parse(daemon.stderr)).toMatchObject({ buses: 3, directory });
    expect(modeOf(join(directory, 'kbus2.sock'))).toBe(0o640);
  });

  test('of a file are checked; errors name file, line and key', async () => {
    const cwd = await newFolder();
    writeFileSync(join(cwd, 'kbus.toml'), '# mine\nverbose = true\nbuses = 300\n');
    const { code, stderr } = await kbus(['serve', '--config', 'kbus.toml'], { cwd });
    expect(stderr).toBe(
      'kbus: kbus.toml, line 3, buses: must be a whole number from 1 to 256, not 300\n',
    );
    expect(code).toBe(2);
  });

  test('can’t come from a missing file', async () => {
    const { code, stderr } = await kbus(['serve', '--config', 'absent.toml']);
    expect(stderr).toMatch(/^kbus: can't read absent\.toml: ENOENT/);
    expect(code).toBe(2);
  });
});

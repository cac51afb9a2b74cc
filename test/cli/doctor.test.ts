import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { newFolder } from '../support/folder.ts';
import { kbus, MAIN, type Outcome, Program, serve } from './kbus.ts';

interface Found {
  readonly kbus: string;
  readonly node: string;
  readonly ok: boolean;
  readonly sockets: {
    directory: string | null;
    exists: boolean;
    canServe: boolean;
    detail: string;
  };
  readonly buses: { bus: number; path: string; answers: boolean; detail: string }[];
  readonly device: { ok: boolean; missing: { missing: string; remedy: string }[] };
}

const isRoot = process.getuid?.() === 0;

const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, MAIN];
/** Another user can run what is here, which may be in a folder of root's own. */
const canBeSomebody =
  isRoot && spawnSync('setpriv', [...asNobody, '--version'], { stdio: 'ignore' }).status === 0;

/** Runs `kbus` as a user who is not root. */
function asSomebody(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  if (!isRoot) return kbus(args, { env });
  return new Program('setpriv', [...asNobody, ...args], { env }).ended;
}

describe('kbus doctor', () => {
  test('prints the daemon of each bus, and the versions', async () => {
    const { directory, daemon, kbus } = await serve('--buses', '2');
    const { code, stdout, stderr } = await kbus(['doctor']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ {4}kbus {5}\d+\.\d+\.\d+, on Node \d+\./);
    expect(stdout).toContain(`ok  sockets  ${directory}\n`);
    for (const bus of [0, 1]) {
      expect(stdout).toContain(
        `ok  bus ${bus}    ${directory}/kbus${bus}.sock: the KBUS daemon with process id ${daemon.child.pid}\n`,
      );
    }
    expect(stdout).toMatch(/^(ok|NO) {2}device {3}/m);
  });

  test('prints the same as JSON', async () => {
    const { directory, kbus } = await serve();
    const { stdout } = await kbus(['doctor', '--json']);
    const found = JSON.parse(stdout) as Found;
    expect(found).toMatchObject({
      node: process.versions.node,
      ok: true,
      sockets: { directory, exists: true, canServe: true },
      buses: [{ bus: 0, path: join(directory, 'kbus0.sock'), answers: true }],
    });
    expect(found.device.ok).toBe(found.device.missing.length === 0);
  });

  test('changes nothing where no bus is served, and says how to start one', async () => {
    const directory = join(await newFolder(), 'a/b');
    const { code, stdout } = await kbus(['doctor', '--directory', directory]);
    expect(code).toBe(0);
    expect(stdout).toContain(`ok  sockets  ${directory}, which does not exist yet\n`);
    expect(stdout).toContain(`no daemon serves a bus; start one with:  `);
    expect(stdout).toContain(`serve --directory ${directory}\n`);
    expect(existsSync(directory)).toBe(false);
  });

  test('recognizes the socket of a dead daemon, and of another program', async () => {
    const { directory, daemon, kbus } = await serve();
    await daemon.kill('SIGKILL');
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const path = join(directory, 'kbus1.sock');
    await new Promise<void>((resolve) => other.listen(path, resolve));
    const { code, stdout } = await kbus(['doctor']);
    other.close();
    expect(code).toBe(0);
    expect(stdout).toContain(`NO  bus 0    ${directory}/kbus0.sock: no process listens`);
    expect(stdout).toMatch(/^NO {2}bus 1 .*another program$/m);
  });

  test('names each folder where programs look for a bus, with its sockets', async () => {
    const above = await newFolder();
    const KBUS_DIR = join(above, 'mine');
    const served = await serve();
    symlinkSync(served.directory, join(above, 'kbus'));
    const { stdout } = await kbus(['doctor'], { env: { KBUS_DIR, XDG_RUNTIME_DIR: above } });
    expect(stdout).toContain(`    folder   ${KBUS_DIR} does not exist\n`);
    expect(stdout).toContain(`ok  folder   ${above}/kbus: 1 socket\n`);
    expect(stdout).toMatch(/ {2}folder {3}\/run\/kbus/);
    expect(stdout).toContain(`ok  bus 0    ${above}/kbus/kbus0.sock: the KBUS daemon`);
  });

  test.skipIf(isRoot && !canBeSomebody)('reports a folder that it may not read', async () => {
    const above = await newFolder();
    const directory = join(above, 'kbus');
    mkdirSync(directory);
    chmodSync(above, 0o755);
    chmodSync(directory, 0);
    const { stdout } = await asSomebody(['doctor', '--directory', directory], {});
    expect(stdout).toContain(`NO  folder   ${directory}: this user may not read it\n`);
    expect(stdout).toContain('no bus in the folders that this user may read');
    expect(stdout).not.toContain('no daemon serves');
  });

  test('reports a dangling link, and too long a path', async () => {
    const folder = await newFolder();
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    const link = await kbus(['doctor', '--directory', join(folder, 'link', 'kbus')]);
    expect(link.stdout).toContain(
      `${folder}/link is a symbolic link to ${folder}/nowhere, which does not exist`,
    );
    const long = await kbus(['doctor', '--directory', join(folder, 'x'.repeat(100))]);
    expect(long.stdout).toContain('is too long for the path of a socket');
    expect([link.code, long.code]).toEqual([1, 1]);
  });

  test('exits with 1 where sockets can’t be created', async () => {
    const folder = await newFolder();
    writeFileSync(join(folder, 'file'), '');
    const { code, stdout } = await kbus(['doctor', '--directory', join(folder, 'file/sockets')]);
    expect(code).toBe(1);
    expect(stdout).toContain(`${join(folder, 'file')} is not a folder; set KBUS_DIR`);
    const json = await kbus(['doctor', '--json', '--directory', join(folder, 'file')]);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, sockets: { canServe: false } });
  });

  test.skipIf(process.platform !== 'linux' || (isRoot && !canBeSomebody))(
    'exits with 1 if no folder is set for sockets',
    async () => {
      const { code, stdout } = await asSomebody(['doctor'], {});
      expect(code).toBe(1);
      expect(stdout).toContain('neither KBUS_DIR nor XDG_RUNTIME_DIR is set');
    },
  );

  test.skipIf(process.platform !== 'linux')(
    'prints missing prerequisites of device files, which sockets don’t need',
    async () => {
      const env = { PATH: '/nowhere', KBUS_DIR: await newFolder() };
      const { code, stdout } = await kbus(['doctor'], { env });
      expect(code).toBe(0);
      for (const program of ['mount', 'umount', 'sh']) {
        expect(stdout).toContain(
          `NO  device   missing: the program ${program}; install util-linux, or correct the PATH (sockets don't need it)\n`,
        );
      }
    },
  );

  test.skipIf(process.platform !== 'linux' || !canBeSomebody)(
    'prints what another user may not do',
    async () => {
      const { directory } = await serve();
      for (const folder of [directory, dirname(directory)]) chmodSync(folder, 0o755);
      const { code, stdout } = await asSomebody(['doctor', '--json'], { KBUS_DIR: directory });
      const found = JSON.parse(stdout) as Found;
      expect(code).toBe(1);
      expect(found.sockets.detail).toContain('this user may not create files in');
      expect(found.buses[0]?.detail).toContain('this user may not use it');
      expect(found.device.missing.map(({ missing }) => missing)).toContain('permission to mount');
    },
  );
});

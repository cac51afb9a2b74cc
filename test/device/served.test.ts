import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { serve as serveMount } from '../../src/fuse/connection.ts';
import type { Kernel } from '../../src/fuse/filesystem.ts';
import { mount } from '../../src/fuse/mount.ts';
import type { Request } from '../../src/fuse/request.ts';
import { Announcement, Request as RequestMessage } from '../../src/message/message.ts';
import { kbus, type Program, start } from '../cli/kbus.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { failed, refused } from '../support/refused.ts';
import { Caller } from './caller.ts';
import { FileKsock } from './file-ksock.ts';
import { compiled, missing, output, pathOf } from './ground.ts';
import { Slate } from './slate.ts';

const title = missing === null ? 'a served device' : `a served device (SKIPPED: ${missing})`;

/** Never answers a read. */
class Never extends Slate {
  override handle(request: Request, kernel: Kernel): void {
    if (request.op !== 'read') super.handle(request, kernel);
  }
}

/** Which folders are mounted; the kernel tells it in no other way. */
const isMounted = (folder: string): boolean =>
  readFileSync('/proc/mounts', 'utf8').includes(` ${folder} fuse.kbus `);

describe.skipIf(missing !== null)(title, { timeout: 30_000 }, () => {
  let programs: string;
  let scenes: string;
  let folder: string;
  let dev: string;
  let links: string;
  let local: LocalDaemon;

  beforeAll(async () => {
    programs = await newFolder();
    chmodSync(programs, 0o755);
    scenes = compiled('scenes', programs);
  });

  beforeEach(async () => {
    folder = await newFolder();
    chmodSync(folder, 0o755);
    dev = join(folder, 'dev');
    links = join(folder, 'links');
    await mkdir(links);
    local = await serve();
  });

  afterEach(async () => {
    await local.stop();
    expect(isMounted(dev)).toBe(false);
  });

  function serve(mode = 0o600): Promise<LocalDaemon> {
    const socket = { mode, group: undefined };
    const directory = join(folder, 'sockets');
    return LocalDaemon.start({}, { directory, socket, device: { directory: dev, links } });
  }

  const bus = (): Bus => local.daemon.buses.get(0) as Bus;

  it.for([
    ['ioctls', 'every ioctl'],
    ['pieces', 'messages written and read byte by byte'],
    ['large', 'messages of more than one request carries'],
    ['waits', 'poll, select and epoll, with time-outs and without'],
    ['waits_to_send', 'ALL_OR_WAIT, finished through poll'],
    ['shared', 'dup and fork, and the last close by kill -9'],
    ['threads', 'threads that send at once'],
    ['rights', 'read-only and write-only descriptors'],
    ['faults', 'bad pointers and lengths: EFAULT and the like'],
    ['signals', 'calls that go on under a rain of signals'],
    ['lends', 'memory that is mapped from the device itself'],
  ] as const)('serves a C program: %s: %s', async ([scene]) => {
    expect(await output(scenes, scene, dev)).toBe('done\n');
    // Whatever it did, it leaves nothing behind.
    await vi.waitFor(() => expect(bus().ksocks.size).toBe(0));
  });

  it('lets programs open a new bus at once, by its link', async () => {
    expect(await output(scenes, 'new_devices', links)).toBe('done\n');
    expect(readlinkSync(join(links, 'kbus19'))).toBe(join(dev, 'kbus19'));
    const ksock = await local.open();
    const made = await ksock.newDevice();
    expect(readlinkSync(join(links, `kbus${made}`))).toBe(join(dev, `kbus${made}`));
    expect(await readFile(join(dev, 'stats'), 'latin1')).toContain(`dev ${made}: next ksock 1`);
  });

  it('serves a Python program with buffered files', async () => {
    expect(await output('python3', '-B', pathOf('ksock.py'), links)).toBe(
      [
        'ids (0, 1) (0, 2)',
        'id of the Request [0, 1]',
        'readable True',
        "Request b'$.Ask' b'Why?' flags 3 from 2",
        "Reply (b'$.Ask', b'Because.')",
        'nothing None (0, 0)',
        'EADDRNOTAVAIL',
        "read only b''",
        '',
      ].join('\n'),
    );
  });

  it('lets a program be killed whose memory never arrives, and blocks no other', async () => {
    const never = await mount(join(folder, 'never'));
    const connection = serveMount(never.descriptor, new Never());
    const slate = join(never.directory, 'slate');
    const child = spawn(scenes, ['stuck', dev, slate], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(createInterface(child.stdout), 'line');
    await vi.waitFor(() => expect(bus().ksocks.size).toBe(1));
    const other = await local.open();
    expect(await other.numMessages()).toBe(0);
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    expect((await exit)[1]).toBe('SIGKILL');
    await vi.waitFor(() => expect(bus().ksocks.size).toBe(1));
    expect(bus().ksocks.get(other.id)).toBeDefined();
    await never.unmount();
    await connection.closed;
  });

  it('serves others while the memory of six users never answers', async () => {
    await local.stop();
    local = await serve(0o666);
    const users = Array.from({ length: 6 }, (_, at) => 20_000 + at);
    // A file each: who opens a file waits for those who read a page of it.
    const nevers = await Promise.all(
      users.map(async (uid) => {
        const mounted = await mount(join(folder, `never${uid}`));
        return { mounted, connection: serveMount(mounted.descriptor, new Never()) };
      }),
    );
    const stuck = users.map((uid, at) => {
      const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
      const slate = join(nevers[at]?.mounted.directory ?? '', 'slate');
      return spawn('setpriv', [...user, scenes, 'stuck', dev, slate], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    });
    try {
      await Promise.all(stuck.map((child) => once(createInterface(child.stdout), 'line')));
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      for (const scene of ['waits_to_send', 'faults', 'threads']) {
        expect(await output('setpriv', ...nobody, scenes, scene, dev)).toBe('done\n');
      }
      // Two threads wait for them still; the other programs got EFAULT.
      const waiting = () => stuck.filter(({ exitCode }) => exitCode === null);
      await vi.waitFor(() => expect(waiting()).toHaveLength(2), { timeout: 10_000 });
    } finally {
      const ended = stuck.map((child) => child.exitCode ?? once(child, 'exit'));
      for (const child of stuck) child.kill('SIGKILL');
      await Promise.all(ended);
      await Promise.all(nevers.map(({ mounted }) => mounted.unmount()));
      await Promise.all(nevers.map(({ connection }) => connection.closed));
    }
  });

  describe('for files and sockets', () => {
    let caller: Caller;
    beforeAll(() => {
      caller = new Caller();
    });
    afterAll(() => caller.end());

    it('is one bus, with one order', async () => {
      const file = await FileKsock.open(caller, dev);
      const socket = await local.open();
      await file.bind('$.*');
      await socket.bind('$.*');
      for (let at = 0; at < 20; at++) {
        const sender = at % 2 === 0 ? file : socket;
        await sender.sendMsg(new Announcement('$.A', String(at)));
      }
      const texts = Array.from({ length: 20 }, (_, at) => String(at));
      for (const ksock of [file, socket]) {
        const got: string[] = [];
        for (let at = 0; at < 20; at++) got.push((await ksock.readNextMsg())?.text() ?? 'nothing');
        expect(got).toEqual(texts);
      }
      await file.close();
    });

    it('wakes a poll of one when the other sends', async () => {
      const file = await FileKsock.open(caller, dev);
      const socket = await local.open();
      await file.bind('$.File', true);
      const ignored = failed(socket.request('$.File', 'Why?'));
      const got = await file.waitForMsg();
      expect(got?.text()).toBe('Why?');
      await file.close();
      expect(await ignored).toMatchObject({ code: 'STATUS' });
      const again = await FileKsock.open(caller, dev);
      await socket.bind('$.Socket', true);
      const waiting = socket.waitForMsg();
      await again.sendMsg(new RequestMessage('$.Socket', 'What?'));
      expect((await waiting)?.text()).toBe('What?');
      await socket.close();
      expect((await again.waitForMsg())?.name).toBe('$.KBUS.Replier.Ignored');
      await again.close();
    });
  });

  describe('whose files are an access point (spec 1 §13)', () => {
    let caller: Caller;
    beforeAll(() => {
      caller = new Caller();
    });
    afterAll(() => caller.end());

    it('has a mode of its own, and the rights of an access point', async () => {
      await local.stop();
      local = await LocalDaemon.start(
        {},
        {
          directory: join(folder, 'sockets'),
          access: [
            {
              name: 'guest',
              socket: { mode: 0o600, group: undefined },
              rights: ['read', 'write'],
              listen: ['$.Public.*'],
              send: ['$.Public.*'],
            },
          ],
          device: { directory: dev, files: { mode: 0o664, group: 100 }, access: 'guest' },
        },
      );
      const { mode, gid } = await stat(file('kbus0'));
      expect([mode & 0o777, gid]).toEqual([0o664, 100]);
      // The texts show the names of everybody.
      expect((await stat(file('bindings'))).mode & 0o777).toBe(0o400);

      const owner = await local.open();
      await owner.bind('$.*');
      const ksock = await FileKsock.open(caller, dev);
      await ksock.bind('$.Public.%');
      await refused(ksock.bind('$.*'), 'EACCES');
      await refused(ksock.bind('$.Public.Door', true), 'EACCES');
      await ksock.sendMsg(new Announcement('$.Public.Door', 'open'));
      expect((await ksock.readNextMsg())?.text()).toBe('open');
      await refused(ksock.sendMsg(new Announcement('$.Secret')), 'EACCES');
      await refused(ksock.newDevice(), 'EACCES');
      await refused(ksock.setMaxMessageSize(1000), 'EACCES');
      await refused(ksock.verbose(true), 'EACCES');
      expect(await owner.numMessages()).toBe(1);
      expect((await owner.accessPoints()).at(-1)).toEqual({
        device: 0,
        name: 'guest',
        path: file('kbus0'),
        mode: '0664',
        owner: process.geteuid?.(),
        group: 100,
        rights: ['read', 'write'],
        send: ['$.Public.*'],
        listen: ['$.Public.*'],
        reply: null,
        web: '',
      });
      await ksock.close();
    });

    it('tells other programs who uses a file: the kernel knows', async () => {
      const ksock = await FileKsock.open(caller, dev);
      await ksock.bind('$.a', true);
      const owner = await local.open();
      const { meaning } = await refused(owner.bind('$.a', true), 'EADDRINUSE');
      expect(meaning).toMatch(
        new RegExp(
          `^Ksock ${ksock.id} \\('python3.*', process ${caller.pid} of user ${process.geteuid?.()}\\) replies`,
        ),
      );
      expect((await owner.stats()).ksocks.at(-1)).toMatchObject({
        pid: caller.pid,
        uid: process.geteuid?.(),
        claimed: false,
      });
      await ksock.close();
    });

    it('ends a file’s Ksock: its calls get ECONNABORTED, until the program closes it', async () => {
      const boss = await local.open();
      const [ksock, other] = [await FileKsock.open(caller, dev), await FileKsock.open(caller, dev)];
      await ksock.bind('$.a', true);
      // A thread that polls is woken.
      const waiting = failed(ksock.waitForMsg());
      await vi.waitFor(async () => expect((await boss.stats()).ksocks).toHaveLength(3));
      await boss.kick(ksock.id);
      expect(await waiting).toMatchObject({ errno: 103 });
      expect(await failed(ksock.bind('$.b'))).toMatchObject({ errno: 103 });
      expect(await failed(ksock.sendMsg(new Announcement('$.b')))).toMatchObject({ errno: 103 });
      expect(await other.findReplier('$.a')).toBeNull();
      await ksock.close();
      await other.close();
    });

    it('lets the owner read the texts while one program has all files and connections', async () => {
      await local.stop();
      const directory = join(folder, 'sockets');
      local = await LocalDaemon.start(
        {},
        { directory, maxConnections: 1, device: { directory: dev } },
      );
      const ksock = await FileKsock.open(caller, dev);
      await refused(FileKsock.open(caller, dev), 'ENOMEM');
      expect(await caller.call('text', file('stats'))).toContain(`ksock ${ksock.id} `);
      await ksock.close();
    });

    const file = (name: string): string => join(dev, name);
  });

  it('lets in whom the rights let in', async () => {
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    await expect(output('setpriv', ...nobody, scenes, 'rights', dev)).rejects.toThrow('EACCES');
    await local.stop();
    local = await serve(0o666);
    // A program of another user, with memory of its own to be read.
    const ran = await output('setpriv', ...nobody, scenes, 'ioctls', dev);
    expect(ran).toBe('done\n');
    expect(await output('setpriv', ...nobody, scenes, 'faults', dev)).toBe('done\n');
  });

  it('ends for its programs when it is unmounted, while sockets go on', async () => {
    const socket = await local.open();
    await output('umount', '-f', '-l', dev);
    await vi.waitFor(() =>
      expect(local.said.join('')).toContain('the daemon now serves sockets only'),
    );
    expect(await socket.numMessages()).toBe(0);
  });

  it('leaves alone files that are not its links, with a warning', async () => {
    await local.stop();
    writeFileSync(join(links, 'kbus0'), 'precious');
    local = await serve();
    expect(local.said.join('')).toMatch(/can't link to bus 0: .*exists and is not a symbolic link/);
    await local.stop();
    expect(readFileSync(join(links, 'kbus0'), 'utf8')).toBe('precious');
    await rm(join(links, 'kbus0'));
    symlinkSync('/dev/null', join(links, 'kbus0'));
    local = await serve();
    expect(local.said.join('')).toContain('is a link to /dev/null, which exists');
  });

  it('removes its links and its folder at its end', async () => {
    expect(lstatSync(join(links, 'kbus0')).isSymbolicLink()).toBe(true);
    await local.stop();
    expect(existsSync(dev)).toBe(false);
    expect(() => lstatSync(join(links, 'kbus0'))).toThrow('ENOENT');
  });

  describe('by kbus serve', () => {
    const run = (): Program =>
      start(['serve', '--directory', join(folder, 'other'), '--device', dev, '--link', links]);

    it('is announced, and ends with the daemon, however that ends; leftovers are replaced', async () => {
      await local.stop();
      for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
        const daemon = run();
        await daemon.says(/serving/);
        expect(daemon.stderr).toContain(`and as files in ${dev}\n`);
        expect(await output(scenes, 'pieces', links)).toBe('done\n');
        await daemon.kill(signal);
        await vi.waitFor(() => expect(isMounted(dev)).toBe(false), { timeout: 10_000 });
      }
      expect(existsSync(join(links, 'kbus0'))).toBe(false);
    });

    it('fails where another daemon serves one, and the sockets go on', async () => {
      const daemon = run();
      await daemon.says(/serving/);
      expect(daemon.stderr).toMatch(/another kbus serves it .*The daemon serves sockets only\./s);
      const { stdout } = await kbus(['stats', '--directory', join(folder, 'other')]);
      expect(stdout).toMatch(/^bus 0: /);
    });
  });
});

describe('kbus serve --device, where the folder can’t be mounted', () => {
  it('says why, and serves sockets', async () => {
    const folder = await newFolder();
    const daemon = start(['serve', '--directory', folder, '--device', '/dev/null/dev']);
    await daemon.says(/serving/);
    expect(daemon.stderr).toMatch(
      /cannot mount \/dev\/null\/dev: .*The daemon serves sockets only\./,
    );
    expect((await kbus(['stats', '--directory', folder])).code).toBe(0);
  });

  it('requires --device with --link', async () => {
    const folder = await newFolder();
    const { code, stderr } = await kbus(['serve', '--directory', folder, '--link', folder]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--device')]);
  });
});

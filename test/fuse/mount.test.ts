import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CallerMemory } from '../../src/device/caller-memory.ts';
import { OpenFlag } from '../../src/fuse/answer.ts';
import { type Connection, serve } from '../../src/fuse/connection.ts';
import type { Kernel } from '../../src/fuse/filesystem.ts';
import { type Mount, mount } from '../../src/fuse/mount.ts';
import { readInThreads, readRequests } from '../../src/fuse/reader.ts';
import type { Request } from '../../src/fuse/request.ts';
import { compiled, missing, newFolder, output, pathOf, translated } from '../device/ground.ts';
import { Slate } from '../device/slate.ts';

const EXERCISE = `\
open 0 -
read nothing 0 -
poll 4 -
write 4 -
poll 5 -
LENGTH 0 -
numbers 4 bbbbbbbb
AGAIN -1 EAGAIN
numbers 7 8
read 3 -
text Ahe
read 1 -
PUT 1 -
PUT from nowhere -1 EFAULT
PUT no pointer -1 EFAULT
PUT past all memory -1 EFAULT
no such ioctl -1 ENOTTY
read 11 -
text Hello there
poll waits 1 -
read 1 -
epoll waits 1 -
read 1 -
epoll again 0 -
select in vain 0 -
close 0 -
`;

const title = missing === null ? 'a mounted device' : `a mounted device (SKIPPED: ${missing})`;
describe.skipIf(missing !== null)(title, { timeout: 30_000 }, () => {
  /** All of them are made in it. */
  let folder: string;
  let exercise: string;
  let lend: string;
  let keeper: string;
  const mounts: [Mount, Connection][] = [];

  beforeAll(async () => {
    folder = await newFolder();
    // Another user runs what is in it.
    await chmod(folder, 0o755);
    exercise = compiled('exercise', folder);
    lend = compiled('lend', folder);
    keeper = await translated('keeper', folder);
  });

  afterAll(() => rm(folder, { recursive: true }));

  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const [mounted, connection] of mounts.splice(0)) {
      await mounted.unmount();
      await connection.closed;
    }
  });

  async function mountSlate(slate = new Slate(), reader = readRequests): Promise<string> {
    const mounted = await mount(await mkdtemp(join(folder, 'mount-')));
    const connection = serve(mounted.descriptor, slate, reader);
    mounts.push([mounted, connection]);
    await connection.ready;
    return join(mounted.directory, 'slate');
  }

  describe.each([
    { how: 'by polling', reader: readRequests },
    { how: 'in threads', reader: readInThreads },
  ])('read $how', ({ how, reader }) => {
    it('serves a C program: open, read, write, ioctl, poll, select, epoll and close', async () => {
      expect(await output(exercise, await mountSlate(new Slate(), reader))).toBe(EXERCISE);
    });

    it('serves a Python program with a buffered file', async () => {
      const path = await mountSlate(new Slate(OpenFlag.DIRECT_IO), reader);
      expect(await output('python3', pathOf('exercise.py'), path)).toBe(
        '24\n11\nTrue\nWere you \nspeaking to me?\nTrue\n',
      );
    });

    it('survives a program that passes it a page of the device itself', async () => {
      const slate = new Slate();
      const path = await mountSlate(slate, reader);
      expect(await output(lend, path)).toBe('lent -1 EFAULT\n');
      expect(slate.refused).toBeGreaterThan(0);
      expect(await readFile(path, 'latin1')).toBe('Hello there');
    });

    it('gets the last close of a descriptor when its program is killed', async () => {
      const slate = new Slate();
      const path = await mountSlate(slate, reader);
      const released = new Promise<void>((resolve) => {
        slate.onRelease = resolve;
      });
      const child = spawn('sh', ['-c', 'exec 3<>"$0"; echo opened; exec cat', path]);
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await released;
    });

    it('divides a long write and a long read into several requests', async () => {
      const path = await mountSlate(new Slate(), reader);
      const program = `
import os, sys
slate = os.open(sys.argv[1], os.O_RDWR)
text = os.urandom(3 << 20)
assert os.write(slate, text) == len(text)
back = b"".join(iter(lambda: os.read(slate, 1 << 22), b""))
assert back == text, (len(back), len(text))
`;
      expect(await output('python3', '-c', program, path)).toBe('');
    });

    it('ends when it is unmounted from outside', async () => {
      await mountSlate(new Slate(), reader);
      const [[mounted, connection]] = mounts as [[Mount, Connection]];
      await output('umount', '-f', '-l', mounted.directory);
      await connection.closed;
      await mounted.unmount();
    });

    it('makes calls on open files fail once it is unmounted', async () => {
      const path = await mountSlate(new Slate(), reader);
      const [[mounted, connection]] = mounts as [[Mount, Connection]];
      const child = spawn('python3', ['-c', HOLD, path], { stdio: ['pipe', 'pipe', 'inherit'] });
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe('opened');
      await mounted.unmount();
      await connection.closed;
      child.stdin.end('go on\n');
      expect((await lines.next()).value).toBe('ENOTCONN');
      await once(child, 'close');
    });

    it('ends with the process, however that ends', async () => {
      for (const how_ of ['exit', 'throw', 'SIGTERM', 'SIGKILL'] as const) {
        const { child, said, directory } = await keep(how);
        expect(said).toBe(`mounted, read ${how}`);
        expect(await readdir(directory)).toEqual(['slate']);
        const ended = once(child, 'exit');
        if (how_ === 'exit' || how_ === 'throw') child.stdin.end(how_);
        else child.kill(how_);
        const [code, signal] = await ended;
        expect(signal ?? code).toBe({ exit: 7, throw: 1 }[how_ as string] ?? how_);
        await untilUnmounted(directory);
      }
    });
  });

  const HOLD = `
import errno, os, sys
slate = os.open(sys.argv[1], os.O_RDWR)
print("opened", flush=True)
sys.stdin.readline()
try:
    os.read(slate, 10)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
`;

  async function keep(how: string, directory?: string, wrap: string[] = []) {
    directory ??= await mkdtemp(join(folder, 'mount-'));
    const [program, ...words] = [...wrap, process.execPath, keeper, directory, how];
    const child = spawn(program!, words, { stdio: ['pipe', 'pipe', 'ignore'] });
    for await (const said of createInterface(child.stdout)) return { child, said, directory };
    throw new Error(`${program} ${words.join(' ')} ended without a word`);
  }

  /** The kernel tells whoever polls /proc/mounts of every change; reading it again is all we can do. */
  async function untilUnmounted(directory: string): Promise<void> {
    while (readFileSync('/proc/mounts', 'utf8').includes(` ${directory} `)) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  it('lists the files of its folder', async () => {
    const path = await mountSlate();
    const [[{ directory }]] = mounts as [[Mount, Connection]];
    expect(await readdir(directory)).toEqual(['slate']);
    expect((await stat(path)).mode).toBe(0o100666);
    expect((await stat(directory)).isDirectory()).toBe(true);
    await expect(stat(join(directory, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(symlink('slate', join(directory, 'link'))).rejects.toMatchObject({
      code: 'ENOSYS',
    });
  });

  it('gets a close before another program can act on it', async () => {
    const slate = new Slate();
    const path = await mountSlate(slate);
    const program = `
import os, sys
for i in range(200):
    os.close(os.open(sys.argv[1], os.O_RDWR))
    other = os.open(sys.argv[1], os.O_RDWR)
    os.write(other, b"x")
    os.close(other)
`;
    await output('python3', '-c', program, path);
    const seen = slate.asked.filter((op) => op === 'open' || op === 'release' || op === 'write');
    const turn = ['open', 'release', 'open', 'write', 'release'];
    expect(seen).toEqual(Array.from({ length: 200 }, () => turn).flat());
  });

  it('replaces the mount of a process that has exited', async () => {
    const directory = await mkdtemp(join(folder, 'mount-'));
    // A mount without a watcher, whose server is gone at once.
    const fuse = `exec 3<>/dev/fuse; mount -i -t fuse.kbus -o fd=3,rootmode=40000,user_id=0,group_id=0 kbus "$0"`;
    expect(spawnSync('sh', ['-c', fuse, directory]).status).toBe(0);
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOTCONN' });
    const mounted = await mount(directory);
    const connection = serve(mounted.descriptor, new Slate());
    mounts.push([mounted, connection]);
    expect(await readdir(directory)).toEqual(['slate']);
    const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
    expect(lines.filter((line) => line.includes(` ${directory} `))).toHaveLength(1);
  });

  it('does not replace a mount that is served', async () => {
    await mountSlate();
    const [[{ directory }]] = mounts as [[Mount, Connection]];
    await expect(mount(directory)).rejects.toMatchObject({ name: 'MountError', code: 'IN_USE' });
  });

  it('does not unmount its successor', async () => {
    await mountSlate();
    const [[first]] = mounts as [[Mount, Connection]];
    await output('umount', '-f', '-l', first.directory);
    const second = await mount(first.directory);
    mounts.unshift([second, serve(second.descriptor, new Slate())]);
    await first.unmount();
    expect(await readdir(first.directory)).toEqual(['slate']);
  });

  it('creates its folder', async () => {
    const mounted = await mount(join(await mkdtemp(join(folder, 'mount-')), 'with a space', 'dev'));
    mounts.push([mounted, serve(mounted.descriptor, new Slate())]);
    expect(await readdir(mounted.directory)).toEqual(['slate']);
    await expect(mount(mounted.directory)).rejects.toMatchObject({ code: 'IN_USE' });
  });

  it('blocks only the user whose memory never arrives', async () => {
    const path = await mountSlate(new Never());
    const child = spawn(lend, [path, 'keep'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const [never, word] = line.split(' ').map(BigInt) as [bigint, bigint];
    const memory = new CallerMemory();
    const one = { handle: 1, pid: child.pid!, uid: 1 };
    const waits = [
      memory.read(one, never, 4),
      memory.read({ ...one, handle: 2 }, word, 4),
    ] as const;
    const other = await memory.read({ handle: 3, pid: child.pid!, uid: 2 }, word, 4);
    expect(Buffer.from(other!).toString()).toBe('Ahem');
    expect(await Promise.race([...waits, 'waiting'])).toBe('waiting');
    await mounts[0]![0].unmount();
    expect(await waits[0]).toBeNull();
    expect(Buffer.from((await waits[1])!).toString()).toBe('Ahem');
    for (const handle of [1, 2, 3]) memory.forget(handle);
    child.stdin.end();
    await once(child, 'close');
  });

  /** Never answers a read. */
  class Never extends Slate {
    override handle(request: Request, kernel: Kernel): void {
      if (request.op !== 'read') super.handle(request, kernel);
    }
  }

  it('reports that there is no /dev/fuse', async () => {
    const directory = await mkdtemp(join(folder, 'mount-'));
    await expect(mount(directory, { fuse: '/dev/no-fuse' })).rejects.toThrow(
      `cannot mount ${directory}: there is no /dev/no-fuse (ENOENT); load the kernel's module (modprobe fuse); in a container, give it the device (--device /dev/no-fuse)`,
    );
  });

  it('reports that there is no mount program', async () => {
    vi.stubEnv('PATH', '/nowhere');
    await expect(mount('/tmp')).rejects.toMatchObject({
      code: 'NO_PROGRAM',
      message:
        'cannot mount /tmp: the program mount is not in the PATH; install util-linux, or correct the PATH',
    });
  });

  it('reports that the folder can’t be created', async () => {
    await expect(mount('/dev/null/dev')).rejects.toMatchObject({ code: 'BAD_FOLDER' });
  });

  it('reports that the user may not mount', async () => {
    const wrap = ['setpriv', '--inh-caps=-sys_admin', '--bounding-set=-sys_admin'];
    const { said, child } = await keep('by polling', undefined, wrap);
    expect(said).toMatch(/^MOUNT_REFUSED: cannot mount .*CAP_SYS_ADMIN/);
    if (child.exitCode === null) await once(child, 'exit');
  });

  it('reports that the user may not open /dev/fuse', async () => {
    const wrap = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const { said, child } = await keep('by polling', '/tmp', wrap);
    expect(said).toMatch(/^FUSE_REFUSED: cannot mount .*run kbus as root/);
    if (child.exitCode === null) await once(child, 'exit');
  });
});

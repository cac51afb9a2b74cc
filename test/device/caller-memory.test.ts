import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { type Caller, CallerMemory } from '../../src/device/caller-memory.ts';

/** Says where in its memory its word is; ends with its input, or becomes itself with another word. */
const PROGRAM = `
import ctypes, os, sys
word = ctypes.create_string_buffer(sys.argv[1].encode())
print(ctypes.addressof(word), flush=True)
line = sys.stdin.buffer.raw.readline()
if line:
    os.execv(sys.executable, [sys.executable, "-c", os.environ["PROGRAM"], "Guildenstern"])
`;

const noPython = spawnSync('python3', ['--version']).status !== 0;
const title = noPython ? 'the memory of a caller (SKIPPED: no python3)' : 'the memory of a caller';
if (noPython) console.warn('SKIPPED: the tests of the memory of callers: no python3');

describe.skipIf(noPython)(title, () => {
  const started: ReturnType<typeof spawn>[] = [];

  afterEach(async () => {
    for (const child of started.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  async function start() {
    const env = { ...process.env, PROGRAM };
    const child = spawn('python3', ['-c', PROGRAM, 'Rosencrantz'], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    started.push(child);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const address = async () => BigInt((await lines.next()).value as string);
    const caller: Caller = { handle: 1, pid: child.pid!, uid: 0 };
    return { child, address, caller };
  }

  function textOf(bytes: Uint8Array | null): string | null {
    return bytes && Buffer.from(bytes).toString();
  }

  function openMemories(): string[] {
    const links = readdirSync('/proc/self/fd').map((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`);
      } catch {
        return ''; // the folder itself
      }
    });
    return links.filter((link) => /^\/proc\/\d+\/mem$/.test(link));
  }

  it('is read', async () => {
    const memory = new CallerMemory();
    const { address, caller } = await start();
    const at = await address();
    expect(textOf(await memory.read(caller, at, 11))).toBe('Rosencrantz');
    expect(textOf(await memory.read(caller, at + 5n, 6))).toBe('crantz');
    expect(textOf(await memory.read(caller, at, 0))).toBe('');
    memory.forget(caller.handle);
  });

  it('is null at an address that is not mapped', async () => {
    const memory = new CallerMemory();
    const { address, caller } = await start();
    const at = await address();
    for (const nowhere of [
      0n,
      16n,
      (1n << 47n) - 8n,
      1n << 62n,
      (1n << 63n) - 1n,
      (1n << 64n) - 1n,
    ]) {
      expect(await memory.read(caller, nowhere, 11)).toBeNull();
    }
    // It begins where there is some, and goes on past its end.
    expect(await memory.read(caller, at, 1 << 30)).toBeNull();
    expect(textOf(await memory.read(caller, at, 11))).toBe('Rosencrantz');
    memory.forget(caller.handle);
  });

  it('is null if the caller has exited, or is in no visible pid namespace', async () => {
    const memory = new CallerMemory();
    const { child, address, caller } = await start();
    const at = await address();
    await memory.read(caller, at, 11);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await memory.read(caller, at, 11)).toBeNull();
    expect(await memory.read({ ...caller, pid: 0 }, at, 11)).toBeNull();
  });

  it('is that of the new program after an exec', async () => {
    const memory = new CallerMemory();
    const { child, address, caller } = await start();
    expect(textOf(await memory.read(caller, await address(), 11))).toBe('Rosencrantz');
    child.stdin.write('become\n');
    expect(textOf(await memory.read(caller, await address(), 12))).toBe('Guildenstern');
    memory.forget(caller.handle);
  });

  it('stays open for at most 64 files, each until it is forgotten', async () => {
    const memory = new CallerMemory();
    const { address, caller } = await start();
    const at = await address();
    for (let handle = 1; handle <= 70; handle++) {
      await memory.read({ ...caller, handle }, at, 11);
      await memory.read({ ...caller, handle }, at, 11);
    }
    await expect.poll(openMemories).toHaveLength(64);
    for (let handle = 1; handle <= 70; handle++) memory.forget(handle);
    await expect.poll(openMemories).toHaveLength(0);
  });

  describe('without a free descriptor', () => {
    const taken: number[] = [];
    const usual = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))![1]!;

    /** How many descriptors this process may have. */
    function limit(most: string): void {
      execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${most}:`]);
    }

    function takeAll(): void {
      limit('500');
      for (;;) {
        try {
          taken.push(openSync('/dev/null', 'r'));
        } catch {
          return;
        }
      }
    }

    function giveBack(): void {
      for (const descriptor of taken.splice(0)) closeSync(descriptor);
    }

    afterEach(() => {
      giveBack();
      limit(usual);
    });

    it('is read with a kept descriptor', async () => {
      const memory = new CallerMemory();
      const { address, caller } = await start();
      const at = await address();
      for (const handle of [1, 2, 3]) await memory.read({ ...caller, handle }, at, 11);
      takeAll();
      for (const handle of [4, 5]) {
        expect(textOf(await memory.read({ ...caller, handle }, at, 11))).toBe('Rosencrantz');
      }
      giveBack();
      expect(openMemories()).toHaveLength(3);
      for (const handle of [3, 4, 5]) memory.forget(handle);
    });

    it('rejects if no descriptor is kept, until one is free again', async () => {
      const memory = new CallerMemory();
      const { address, caller } = await start();
      const at = await address();
      takeAll();
      const reads = [memory.read(caller, at, 11), memory.read(caller, at, 11)];
      await Promise.all(
        reads.map((read) => expect(read).rejects.toMatchObject({ code: 'EMFILE' })),
      );
      closeSync(taken.pop()!);
      expect(textOf(await memory.read(caller, at, 11))).toBe('Rosencrantz');
      memory.forget(caller.handle);
    });
  });

  it('is read correctly by concurrent reads, of one file and of several', async () => {
    const memory = new CallerMemory();
    const { address, caller } = await start();
    const at = await address();
    const reads = Array.from({ length: 200 }, (_, i) =>
      memory.read({ ...caller, handle: 1 + (i % 3), uid: i % 4 }, at, 11),
    );
    for (const bytes of await Promise.all(reads)) expect(textOf(bytes)).toBe('Rosencrantz');
    for (const handle of [1, 2, 3]) memory.forget(handle);
    await expect.poll(openMemories).toHaveLength(0);
  });

  it('recognizes a request of this process only during a read', async () => {
    const memory = new CallerMemory();
    const { address, caller } = await start();
    const at = await address();
    expect(memory.isOurs(process.pid)).toBe(false);
    const reading = memory.read(caller, at, 11);
    await Promise.resolve();
    expect(memory.isOurs(process.pid)).toBe(true);
    expect(memory.isOurs(caller.pid)).toBe(false);
    await reading;
    expect(memory.isOurs(process.pid)).toBe(false);
    memory.forget(caller.handle);
  });
});

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { SlowMemory } from '../../src/device/slow-memory.ts';
import { failed } from '../support/refused.ts';

/** A program with a word in its environment, which lies in its memory. */
async function start(): Promise<{ pid: number; address: bigint; end(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log("ready")'], {
    env: { WORD: 'Rosencrantz' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const { pid = 0 } = child;
  // Fields 50 and 51 of /proc/PID/stat: where the environment begins and ends.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  const environment = readFileSync(`/proc/${pid}/environ`);
  const address = BigInt(fields[47] as string) + BigInt(environment.indexOf('Rosencrantz'));
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { pid, address, end };
}

describe.skipIf(process.platform !== 'linux')('Slow memory', () => {
  it('is read by other programs, many at once, in the order of the calls.', async () => {
    const { pid, address, end } = await start();
    const memory = new SlowMemory();
    const all = Array.from({ length: 20 }, (_, at) => memory.read(at, pid, address, 11));
    const texts = (await Promise.all(all)).map((bytes) => bytes && Buffer.from(bytes).toString());
    expect(texts).toEqual(Array(20).fill('Rosencrantz'));
    await end();
  });

  it('that is not there, or of a program that has ended, can’t be read.', async () => {
    const { pid, address, end } = await start();
    const memory = new SlowMemory();
    expect(await memory.read(0, pid, 4096n, 11)).toBe(null);
    await end();
    expect(await memory.read(0, pid, address, 11)).toBe(null);
  });

  it('can’t be read without a free descriptor: that is another error.', async () => {
    const { pid, address, end } = await start();
    const memory = new SlowMemory();
    await memory.read(0, pid, address, 11);
    const usual = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    const limit = (most: string): void => {
      execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${most}:`]);
    };
    limit('500');
    const taken: number[] = [];
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    } catch {
      // No descriptor is free.
    }
    const error = await failed(memory.read(0, pid, address, 11));
    for (const descriptor of taken) closeSync(descriptor);
    limit(usual as string);
    expect(error).toMatchObject({ code: 'EMFILE' });
    expect(Buffer.from((await memory.read(0, pid, address, 11)) ?? []).toString()).toBe(
      'Rosencrantz',
    );
    await end();
  });
});

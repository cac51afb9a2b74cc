import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { newFolder } from '../support/folder.ts';

const { KBUS_TEST_DIST = fileURLToPath(new URL('../../dist', import.meta.url)) } = process.env;

/** The program as users run it. */
export const MAIN = join(KBUS_TEST_DIST, 'cli/main.cjs');

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What is on stdin; null leaves it open. Default: nothing. */
  readonly input?: string | Uint8Array | null;
  /** False: nobody reads its stdout. */
  readonly isRead?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

const running = new Set<Program>();

afterEach(async () => {
  for (const program of running) await program.kill();
});

/** A program that runs; ended after the test if it did not end by itself. */
export class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  stdout = '';
  stderr = '';
  private changed: () => void = () => {};
  private hasEnded = false;

  constructor(
    file: string,
    args: readonly string[],
    { input, isRead = true, env, cwd }: RunOptions = {},
  ) {
    this.child = spawn(file, args, { cwd, env: { ...cleanEnv(), ...env } });
    running.add(this);
    const { stdin, stdout, stderr } = this.child;
    // A program need not read what it is given.
    stdin?.on('error', () => {});
    if (input !== null) stdin?.end(input);
    if (isRead) {
      stdout?.setEncoding('latin1').on('data', (text: string) => {
        this.stdout += text;
        this.changed();
      });
    }
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.changed();
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      running.delete(this);
      this.hasEnded = true;
      this.changed();
      const decoded = Buffer.from(this.stdout, 'latin1').toString('utf8');
      return { code, signal, stdout: decoded, stderr: this.stderr };
    });
  }

  /** Resolves when what the program has written matches; rejects when it ends before that. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stderr) && !pattern.test(this.stdout)) {
      if (this.hasEnded) {
        throw new Error(`it ended without saying ${pattern}: ${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.changed = resolve;
      });
    }
  }

  /** Sends a signal, and resolves when the program has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Outcome> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Nothing of whoever runs the tests decides where a bus is, or whether there are colours. */
function cleanEnv(): NodeJS.ProcessEnv {
  const { KBUS_DIR, XDG_RUNTIME_DIR, FORCE_COLOR, NO_COLOR, CI, NODE_OPTIONS, ...rest } =
    process.env;
  return rest;
}

/** Starts `kbus` with these arguments. */
export function start(args: readonly string[], options?: RunOptions): Program {
  return new Program(process.execPath, [MAIN, ...args], options);
}

/** Runs `kbus` with these arguments to its end. */
export function kbus(args: readonly string[], options?: RunOptions): Promise<Outcome> {
  return start(args, options).ended;
}

/** A daemon for one test, in a folder of its own, and `kbus` commands that use it. */
export interface Served {
  readonly directory: string;
  readonly daemon: Program;
  readonly start: (args: readonly string[], options?: RunOptions) => Program;
  readonly kbus: (args: readonly string[], options?: RunOptions) => Promise<Outcome>;
}

export async function serve(...args: readonly string[]): Promise<Served> {
  const directory = join(await newFolder(), 'sockets');
  const env = { KBUS_DIR: directory };
  const daemon = start(['serve', ...args], { env });
  await daemon.says(/serving/);
  const here = (options?: RunOptions): RunOptions => ({
    ...options,
    env: { ...env, ...options?.env },
  });
  return {
    directory,
    daemon,
    start: (args, options) => start(args, here(options)),
    kbus: (args, options) => kbus(args, here(options)),
  };
}

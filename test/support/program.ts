import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { newFolder } from './folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Compiles the programs of test/support/programs, and the sources that they import, for plain Node: so the tests
 * run the current sources, not an earlier build. Gives their directory.
 */
export async function translatePrograms(): Promise<string> {
  const out = await newFolder();
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'package.json'), '{"type":"module"}');
  const words = '--ignoreConfig --module nodenext --target es2022 --types node --noCheck';
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const programs = join(ROOT, 'test/support/programs');
  await promisify(execFile)(process.execPath, [
    tsc,
    ...words.split(' '),
    ...['--rewriteRelativeImportExtensions', '--rootDir', ROOT, '--outDir', out],
    ...['daemon.ts', 'client.ts', 'keeper.ts'].map((name) => join(programs, name)),
  ]);
  return join(out, 'test/support/programs');
}

/** A program in a process of its own, which reads commands and prints results, line by line. */
export class Program {
  readonly child: ChildProcess;
  private readonly lines: AsyncIterableIterator<string>;
  private readonly reader: Interface;
  complaints = '';

  constructor(path: string, words: readonly string[]) {
    this.child = spawn(process.execPath, [path, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.reader = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    this.lines = this.reader[Symbol.asyncIterator]();
    this.child.stderr?.on('data', (chunk) => {
      this.complaints += chunk;
    });
  }

  /** The next line that it prints; throws an Error if it exits instead. */
  async line(): Promise<string> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`the program has exited: ${this.complaints}`);
    return value;
  }

  /** All further lines until it exits. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of this.lines) lines.push(line);
    return lines;
  }

  /** Sends a line to it, and gives its answer. */
  async ask(line: string): Promise<string> {
    this.child.stdin?.write(`${line}\n`);
    return this.line();
  }

  /** Kills it. Resolves when it has exited. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

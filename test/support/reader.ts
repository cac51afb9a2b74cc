import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './markdown.ts';

/** Somebody who types what a page shows, in a folder and with a bus of their own. */
export class Reader {
  /** A folder that is removed at the end. */
  readonly home = mkdtempSync(join(tmpdir(), 'kbus-reader-'));
  /** The folder in which the reader types. */
  readonly folder = join(this.home, 'house');
  readonly env: NodeJS.ProcessEnv;
  private readonly jobs: ChildProcess[] = [];

  constructor() {
    mkdirSync(join(this.folder, 'node_modules', '.bin'), { recursive: true });
    const { PATH } = process.env;
    this.env = {
      ...process.env,
      HOME: this.home,
      KBUS_DIR: join(this.home, 'run'),
      PATH: `${join(this.folder, 'node_modules', '.bin')}:${PATH}`,
    };
    delete this.env['XDG_RUNTIME_DIR'];
  }

  /** A reader in a checkout: with `kbus`, the package, its examples, and a bus on which nothing has happened yet. */
  static async inCheckout(): Promise<Reader> {
    const reader = new Reader();
    const modules = join(reader.folder, 'node_modules');
    symlinkSync(root, join(modules, 'kbus'));
    symlinkSync(join(root, 'examples'), join(reader.folder, 'examples'));
    const main = `${root}dist/cli/main.cjs`;
    const command = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;
    writeFileSync(join(modules, '.bin', 'kbus'), command, { mode: 0o755 });
    await reader.type('kbus serve &');
    return reader;
  }

  /**
   * Types a command in bash. Resolves with what it prints until it ends, to stdout and stderr; with `&` at the end, until
   * it has printed as much as `output`, or something.
   */
  async type(command: string, output = ''): Promise<string> {
    const isJob = command.endsWith('&');
    const line = isJob ? `exec ${command.slice(0, -1)}` : command;
    // A group of its own, since npx has a child.
    const child = spawn('bash', ['-c', `{ ${line}\n} 2>&1`], {
      cwd: this.folder,
      env: this.env,
      detached: true,
    });
    let printed = '';
    const enough = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text) => {
        printed += text;
        if (isJob && printed.length >= output.length) resolve();
      });
    });
    const closed = once(child, 'close');
    if (!isJob) {
      await closed;
      return printed;
    }
    this.jobs.push(child);
    const ended = closed.then(() => Promise.reject(new Error(`'${command}' ended: ${printed}`)));
    await Promise.race([enough, ended]);
    ended.catch(() => {});
    return output === '' ? '' : printed;
  }

  /** Ends all jobs, and removes the folder. */
  async leave(): Promise<void> {
    const running = this.jobs.filter((job) => job.exitCode === null && job.signalCode === null);
    const ended = running.map((job) => once(job, 'close'));
    for (const { pid } of running) if (pid !== undefined) process.kill(-pid);
    await Promise.all(ended);
    rmSync(this.home, { recursive: true, force: true });
  }
}

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach } from 'vitest';
import { newFolder } from '../support/folder.ts';
import { MAIN } from './kbus.ts';

export const HAS_TMUX = spawnSync('tmux', ['-V']).status === 0;

const open: Screen[] = [];

afterEach(() => {
  for (const screen of open.splice(0)) screen.kill();
});

/** A terminal of this size, in which a `kbus` command runs. */
export class Screen {
  private readonly socket: string;

  private constructor(socket: string) {
    this.socket = socket;
    open.push(this);
  }

  static async start(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    [width, height]: readonly [number, number] = [80, 24],
  ): Promise<Screen> {
    const set = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
    const command = `env ${set.join(' ')} '${process.execPath}' '${MAIN}' ${args.join(' ')}; echo "ended with $?"; cat`;
    return Screen.run(command, [width, height]);
  }

  /** A terminal in which a command of the shell runs. */
  static async run(
    command: string,
    [width, height]: readonly [number, number] = [80, 24],
  ): Promise<Screen> {
    const screen = new Screen(join(await newFolder(), 'tmux'));
    screen.tmux(
      '-f',
      '/dev/null',
      'new-session',
      '-d',
      '-x',
      String(width),
      '-y',
      String(height),
      command,
    );
    return screen;
  }

  private tmux(...args: string[]): string {
    const env = { ...process.env, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8' };
    return spawnSync('tmux', ['-u', '-S', this.socket, ...args], { encoding: 'utf8', env }).stdout;
  }

  /** What it shows, line by line; with `styles`, as it came. */
  lines(styles = false): string[] {
    return this.tmux('capture-pane', '-p', ...(styles ? ['-e'] : []))
      .split('\n')
      .slice(0, -1);
  }

  press(...keys: string[]): void {
    this.tmux('send-keys', ...keys);
  }

  resize(width: number, height: number): void {
    this.tmux('resize-window', '-x', String(width), '-y', String(height));
  }

  /** Resolves with what it shows when that matches. */
  async shows(pattern: RegExp): Promise<string[]> {
    for (;;) {
      const lines = this.lines();
      if (pattern.test(lines.join('\n'))) return lines;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  kill(): void {
    this.tmux('kill-server');
  }
}

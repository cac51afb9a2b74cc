import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { escapedLines } from '../base/escape.ts';
import type { Actor } from './script.ts';

/** What the director sends to an actor's process. */
export type ToActor =
  | { number: number; line: string }
  | { number: number; kbus: readonly string[] }
  | { interrupt: true }
  | { exit: true };

/** What an actor's process sends: the outcome of the line with a number, or printed text. */
export type FromActor = { done: number; isGood: boolean } | { printed: string };

/** The playlet does not follow its script. */
export class PlayError extends Error {
  override readonly name = 'PlayError';
}

/** An actor's process, as its director sees it. Methods throw a PlayError if the actor does not follow the script. */
export class Player {
  private readonly who: Actor;
  private readonly child: ChildProcess;
  private readonly onPrinted: (text: string) => void;
  private readonly running = new Map<number, (isGood: boolean) => void>();
  private nextNumber = 1;
  private lastPrinted = '';
  /** The line that runs until Ctrl-C. */
  private started: Promise<boolean> = Promise.resolve(true);
  /** Its printed lines that no `prints` has counted yet. */
  private uncounted = 0;
  private onUncounted: () => void = () => {};
  private readonly ended: Promise<number | string>;

  /** The actor's Ksocks use the daemon of this folder. Printed text goes to `onPrinted`. */
  constructor(who: Actor, directory: string, onPrinted: (text: string) => void) {
    this.who = who;
    this.onPrinted = onPrinted;
    this.child = fork(fileURLToPath(new URL('./actor.cjs', import.meta.url)), {
      env: { ...process.env, KBUS_DIR: directory },
      execArgv: [],
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code, signal) => resolve(code ?? signal ?? 'an unknown end'));
    });
    this.ended.catch(() => {});
    this.child.on('message', (message: FromActor) => this.received(message));
  }

  /** Types a line; resolves when it is done. */
  async types(line: string): Promise<void> {
    if (await this.alive(this.run({ line }))) return;
    throw new PlayError(`${this.who} typed: ${line}\nand that failed: ${this.lastPrinted}`);
  }

  /** Types a line that must fail. */
  async fails(line: string): Promise<void> {
    if (!(await this.alive(this.run({ line })))) return;
    throw new PlayError(`${this.who} typed: ${line}\nand that should have failed`);
  }

  /** Types a line that runs until `interrupts`. */
  starts(line: string): void {
    this.uncounted = 0;
    this.started = this.run({ line });
  }

  /** Resolves when the started line has printed `count` more lines. */
  prints(count: number): Promise<void> {
    const over = this.started.then(() => {
      throw new PlayError(`the line that ${this.who} started ended too early: ${this.lastPrinted}`);
    });
    const printed = new Promise<void>((resolve) => {
      this.onUncounted = () => {
        if (this.uncounted < count) return;
        this.uncounted -= count;
        this.onUncounted = () => {};
        resolve();
      };
    });
    this.onUncounted();
    return this.alive(Promise.race([printed, over]));
  }

  /** Presses Ctrl-C; resolves when the started line has ended. */
  async interrupts(): Promise<void> {
    this.tell({ interrupt: true });
    await this.alive(this.started);
  }

  /** Runs `kbus`; resolves when it has exited. */
  async runs(args: readonly string[]): Promise<void> {
    await this.alive(this.run({ kbus: args }));
  }

  /** Makes the program exit; resolves when it has. */
  async exits(): Promise<void> {
    this.tell({ exit: true });
    const how = await this.ended;
    if (how !== 0) throw new PlayError(`${this.who}'s program ended with ${how}`);
  }

  /** Kills the program; resolves when it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves with whether it succeeded. */
  private run(what: { line: string } | { kbus: readonly string[] }): Promise<boolean> {
    return new Promise((resolve) => {
      const number = this.nextNumber++;
      this.running.set(number, resolve);
      this.tell({ number, ...what });
    });
  }

  private tell(message: ToActor): void {
    // If the program has ended, sending fails, and `ended` reports it.
    this.child.send(message, () => {});
  }

  /** Rejects if the program ends during the wait. */
  private alive<T>(wait: Promise<T>): Promise<T> {
    const died = this.ended.then((how) => {
      throw new PlayError(`${this.who}'s program ended with ${how} before its part was over`);
    });
    return Promise.race([wait, died]);
  }

  private received(message: FromActor): void {
    if ('printed' in message) {
      // The text may have parts from any program on the bus.
      this.lastPrinted = escapedLines(message.printed);
      this.uncounted++;
      this.onPrinted(this.lastPrinted);
      this.onUncounted();
    } else {
      this.running.get(message.done)?.(message.isGood);
      this.running.delete(message.done);
    }
  }
}

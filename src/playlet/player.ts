import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { escapedLines } from '../base/escape.ts';
import type { Actor } from './script.ts';

/** What the director tells an actor's process. */
export type ToActor =
  | { number: number; line: string }
  | { number: number; kbus: readonly string[] }
  | { interrupt: true }
  | { exit: true };

/** What it tells the director: that a line of that number is done, and how, or what was printed. */
export type FromActor = { done: number; isGood: boolean } | { printed: string };

/** The playlet does not go as it is written. */
export class PlayError extends Error {
  override readonly name = 'PlayError';
}

/** An actor's process, as its director sees it. What doesn't happen as it should is a PlayError. */
export class Player {
  private readonly who: Actor;
  private readonly child: ChildProcess;
  private readonly onPrinted: (text: string) => void;
  private readonly running = new Map<number, (isGood: boolean) => void>();
  private nextNumber = 1;
  private lastPrinted = '';
  /** What goes on until Ctrl-C. */
  private started: Promise<boolean> = Promise.resolve(true);
  /** Lines printed by it that no `prints` has waited for. */
  private ahead = 0;
  private heard: () => void = () => {};
  private readonly ended: Promise<number | string>;

  /** The actor's Ksocks use the daemon of this folder. What is printed goes to `onPrinted`. */
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

  /** Types a line; resolves when it was carried out. */
  async types(line: string): Promise<void> {
    if (await this.alive(this.run({ line }))) return;
    throw new PlayError(`${this.who} typed: ${line}\nand that failed: ${this.lastPrinted}`);
  }

  /** Types a line that is to be refused. */
  async fails(line: string): Promise<void> {
    if (!(await this.alive(this.run({ line })))) return;
    throw new PlayError(`${this.who} typed: ${line}\nand that should have failed`);
  }

  /** Types a line that goes on until `interrupts`. */
  starts(line: string): void {
    this.ahead = 0;
    this.started = this.run({ line });
  }

  /** Resolves when what was started has printed `count` lines more. */
  prints(count: number): Promise<void> {
    const over = this.started.then(() => {
      throw new PlayError(`what ${this.who} started is over already: ${this.lastPrinted}`);
    });
    const printed = new Promise<void>((resolve) => {
      this.heard = () => {
        if (this.ahead < count) return;
        this.ahead -= count;
        this.heard = () => {};
        resolve();
      };
    });
    this.heard();
    return this.alive(Promise.race([printed, over]));
  }

  /** Presses Ctrl-C; resolves when what was started has ended. */
  async interrupts(): Promise<void> {
    this.tell({ interrupt: true });
    await this.alive(this.started);
  }

  /** Runs `kbus`; resolves when it has ended. */
  async runs(args: readonly string[]): Promise<void> {
    await this.alive(this.run({ kbus: args }));
  }

  /** The program ends; resolves when it has. */
  async exits(): Promise<void> {
    this.tell({ exit: true });
    const how = await this.ended;
    if (how !== 0) throw new PlayError(`${this.who}'s program ended with ${how}`);
  }

  /** Ends the program, whatever it does; resolves when it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Resolves with whether it was carried out without an error. */
  private run(what: { line: string } | { kbus: readonly string[] }): Promise<boolean> {
    return new Promise((resolve) => {
      const number = this.nextNumber++;
      this.running.set(number, resolve);
      this.tell({ number, ...what });
    });
  }

  private tell(message: ToActor): void {
    // Of a program that has ended, `ended` tells.
    this.child.send(message, () => {});
  }

  /** A wait ends with an error when the program does. */
  private alive<T>(wait: Promise<T>): Promise<T> {
    const died = this.ended.then((how) => {
      throw new PlayError(`${this.who}'s program ended with ${how} before its part was over`);
    });
    return Promise.race([wait, died]);
  }

  private received(message: FromActor): void {
    if ('printed' in message) {
      // Whoever speaks on the bus may have made some of it.
      this.lastPrinted = escapedLines(message.printed);
      this.ahead++;
      this.onPrinted(this.lastPrinted);
      this.heard();
    } else {
      this.running.get(message.done)?.(message.isGood);
      this.running.delete(message.done);
    }
  }
}

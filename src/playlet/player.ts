import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Actor } from './script.ts';

/** What the director tells an actor's process. */
export type ToActor =
  | { number: number; line: string }
  | { number: number; kbus: readonly string[] }
  | { interrupt: true }
  | { exit: true };

/** What it tells the director: that a line of that number is done, or what was printed. */
export type FromActor = { done: number } | { printed: string };

/** An actor's process, as its director sees it. */
export class Player {
  private readonly who: Actor;
  private readonly child: ChildProcess;
  private readonly onPrinted: (text: string) => void;
  private readonly running = new Map<number, () => void>();
  private started: Promise<void> = Promise.resolve();
  private nextNumber = 1;
  /** Lines printed that no `prints` has waited for. */
  private ahead = 0;
  private heard: () => void = () => {};
  private readonly ended: Promise<number | string>;

  /** The actor's Ksocks use the daemon of this folder. What is printed goes to `onPrinted`, line by line. */
  constructor(who: Actor, directory: string, onPrinted: (text: string) => void) {
    this.who = who;
    this.onPrinted = onPrinted;
    this.child = fork(fileURLToPath(new URL('./actor.js', import.meta.url)), {
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
  types(line: string): Promise<void> {
    return this.alive(this.run({ line }));
  }

  /** Types a line that goes on until `interrupts`. */
  starts(line: string): void {
    this.ahead = 0;
    this.started = this.run({ line });
  }

  /** Resolves when `count` lines more were printed. */
  prints(count: number): Promise<void> {
    return this.alive(
      new Promise((resolve) => {
        this.heard = () => {
          if (this.ahead < count) return;
          this.ahead -= count;
          this.heard = () => {};
          resolve();
        };
        this.heard();
      }),
    );
  }

  /** Presses Ctrl-C; resolves when what was started has ended. */
  interrupts(): Promise<void> {
    this.child.send({ interrupt: true } satisfies ToActor);
    return this.alive(this.started);
  }

  /** Runs `kbus`; resolves when it has ended. */
  runs(args: readonly string[]): Promise<void> {
    return this.alive(this.run({ kbus: args }));
  }

  /** The program ends; resolves when it has. */
  async exits(): Promise<void> {
    this.child.send({ exit: true } satisfies ToActor);
    const how = await this.ended;
    if (how !== 0) throw new Error(`${this.who}'s program ended with ${how}`);
  }

  /** Ends the program, whatever it does; resolves when it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private run(what: { line: string } | { kbus: readonly string[] }): Promise<void> {
    return new Promise((resolve) => {
      const number = this.nextNumber++;
      this.running.set(number, resolve);
      this.child.send({ number, ...what } satisfies ToActor);
    });
  }

  /** A wait ends with an error when the program does. */
  private alive(wait: Promise<void>): Promise<void> {
    const died = this.ended.then((how) => {
      throw new Error(`${this.who}'s program ended with ${how} before its part was over`);
    });
    return Promise.race([wait, died]);
  }

  private received(message: FromActor): void {
    if ('printed' in message) {
      this.ahead++;
      this.onPrinted(message.printed);
      this.heard();
    } else {
      this.running.get(message.done)?.();
      this.running.delete(message.done);
    }
  }
}

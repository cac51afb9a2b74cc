import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { escaped } from '../base/escape.ts';
import { Ksock } from '../client/ksock.ts';
import { ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';

/** The longest wait for anything to happen on the stage. */
const PATIENCE_MS = 20_000;

/** A bus that the play shows. */
export interface Place {
  readonly directory: string;
  readonly bus: number;
}

/** A stage on which real programs play, each in a process of its own; the buses of several places are joined. */
export abstract class Stage {
  protected readonly folder = mkdtempSync(join(tmpdir(), 'kbus-play-'));
  /** One at each place. */
  protected readonly ksocks: Ksock[] = [];
  private readonly children: ChildProcess[] = [];
  /** What the listeners have printed. */
  private readonly heard: string[] = [];
  private readonly pace: number;
  /** What a place is called. */
  protected abstract readonly word: string;
  protected abstract readonly places: readonly Place[];

  /** `pace`: milliseconds to read what is said. */
  constructor(pace: number) {
    this.pace = pace;
  }

  /** Plays, until the play or the program ends. */
  async play(): Promise<void> {
    try {
      await untilEnded(this.perform());
    } finally {
      await this.end();
    }
  }

  protected abstract perform(): Promise<void>;

  /** Opens a Ksock at each place. */
  protected async openKsocks(): Promise<void> {
    for (const { directory, bus } of this.places) {
      const options = { directory, reconnect: true, onDisconnected: () => {} };
      this.ksocks.push(await this.inTime(`bus ${bus}`, Ksock.open(bus, options)));
    }
  }

  /** Waits until each of two places knows a name of the other: then the Limpets between them are joined. */
  protected async untilJoined(one: number, other: number): Promise<void> {
    const [first, last] = [this.ksocks[one] as Ksock, this.ksocks[other] as Ksock];
    const names = [`$.Ready.At${one}`, `$.Ready.At${other}`] as const;
    await first.bind(names[0], true);
    await last.bind(names[1], true);
    await this.until('the Limpets', () => first.findReplier(names[1]));
    await this.until('the Limpets', () => last.findReplier(names[0]));
    await first.unbind(names[0], true);
    await last.unbind(names[1], true);
  }

  /** Goldfish that print all that they hear, one at each place. */
  protected async listenEverywhere(name: string): Promise<void> {
    for (const place of this.places.keys()) {
      const { stdout } = this.start(['listen', name, '--full'], place);
      if (stdout === null) continue;
      createInterface({ input: stdout }).on('line', (line) => {
        this.heard.push(line);
        void this.tell(place, line);
      });
    }
    await this.until('the listeners', async () => {
      const lists = await Promise.all(this.ksocks.map((ksock) => ksock.readBindings()));
      return lists.every((all) => all.some((binding) => binding.name === name));
    });
  }

  /** Starts a command of kbus at a place. */
  protected start(args: readonly string[], place: number): ChildProcess {
    const { directory, bus } = this.places[place] as Place;
    const words = bus === 0 ? args : [...args, '--bus', String(bus)];
    return this.run(process.execPath, [process.argv[1] as string, ...words], directory);
  }

  /** Starts a program, which ends with the play. */
  protected run(program: string, args: readonly string[], directory: string): ChildProcess {
    const child = spawn(program, args, {
      env: { ...process.env, KBUS_DIR: directory },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.children.push(child);
    return child;
  }

  /** Runs a command at a place, and gives what it prints. */
  protected kbus(args: readonly string[], place: number): Promise<string> {
    const child = this.start(args, place);
    let text = '';
    child.stdout?.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    const done = new Promise<string>((resolve, reject) => {
      child.once('close', (code) => {
        if (code === 0) resolve(text.trimEnd());
        else reject(new Failure(Exit.REFUSED, `kbus ${args.join(' ')} failed`));
      });
    });
    return this.inTime(`kbus ${args[0]}`, done);
  }

  protected async say(text: string): Promise<void> {
    await pause(this.pace, undefined, { signal: ending }).catch(() => {});
    await print(`\n${text}\n`);
  }

  protected tell(place: number, text: string): Promise<void> {
    return print(`  ${this.word} ${place} │ ${escaped(text)}\n`);
  }

  /** Waits until so many places have heard a message. */
  protected async hears(count: number, text: RegExp): Promise<void> {
    await this.until(
      `${count} places to hear ${text.source}`,
      () => this.heard.filter((line) => text.test(line)).length >= count,
    );
  }

  protected async until<T>(what: string, look: () => T | Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = await look();
      if (found) return found;
      if (performance.now() > end)
        throw new Failure(Exit.REFUSED, `the play waits for ${what}, in vain`);
      await pause(10, undefined, { signal: ending }).catch(() => {});
      ending.throwIfAborted();
    }
  }

  protected inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new Failure(Exit.REFUSED, `the play waits for ${what}, in vain`));
      const timer = setTimeout(late, PATIENCE_MS);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  protected async end(): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    const ended = this.children.map((child) => {
      if (child.exitCode !== null || child.signalCode !== null) return undefined;
      return new Promise((resolve) => child.once('exit', resolve));
    });
    for (const child of this.children) child.kill();
    await Promise.all(ended);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

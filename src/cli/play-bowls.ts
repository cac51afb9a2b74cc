import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { escaped } from '../base/escape.ts';
import { Ksock } from '../client/ksock.ts';
import { StatusError } from '../message/request-error.ts';
import { ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { LinkProxy } from './link-proxy.ts';
import { print } from './output.ts';

/** The longest wait for anything to happen on the stage. */
const PATIENCE_MS = 20_000;

const BOWLS = 3;

const PICTURE = `Goldfish in three bowls: a play of thirteen programs.

    bowl 0              bowl 1              bowl 2
  ╭─────────────╮     ╭───────────────╮     ╭─────────────╮
  │ G  Limpet 1 ├─────┤ Limpet 2    3 ├──✂──┤ Limpet 4  A │
  ╰─────────────╯     ╰───────────────╯     ╰─────────────╯

`;

/** The play of three joined buses: real programs, each hop shown, and a link that is cut. */
export async function playBowls(pace: number): Promise<void> {
  const stage = new BowlsStage(pace);
  try {
    await untilEnded(stage.perform());
  } finally {
    await stage.end();
  }
}

class BowlsStage {
  private readonly folder = mkdtempSync(join(tmpdir(), 'kbus-bowls-'));
  private readonly children: ChildProcess[] = [];
  private readonly ksocks: Ksock[] = [];
  /** What the listeners of the bowls have printed. */
  private readonly heard: string[] = [];
  private readonly proxy: LinkProxy;
  private readonly pace: number;

  constructor(pace: number) {
    this.pace = pace;
    this.proxy = new LinkProxy(join(this.folder, 'cut.sock'), join(this.folder, 'right.sock'));
  }

  async perform(): Promise<void> {
    await print(PICTURE);
    await this.openBowls();
    const [g, , a] = this.ksocks as [Ksock, Ksock, Ksock];

    await this.say(
      'A announces $.Gulp.Hello. Each bowl hears it once, with the id of the bowl that it came from:',
    );
    await this.kbus(['send', '$.Gulp.Hello', 'is anybody there?', '--bus', '2']);
    await this.hears(3, /is anybody there/);

    await this.say(
      'G replies to $.Gulp.Ask. Its Limpet tells the others, and they bind the name in their bowls:',
    );
    this.start(['reply', '$.Gulp.Ask', 'gulp!', '--bus', '0']);
    for (const [bowl, ksock] of this.ksocks.entries()) {
      const id = await this.until(`a Replier in bowl ${bowl}`, () =>
        ksock.findReplier('$.Gulp.Ask'),
      );
      await this.tell(
        bowl,
        `Ksock ${id} is the Replier of $.Gulp.Ask${bowl === 0 ? '' : ': a Limpet'}`,
      );
    }

    await this.say('A asks. The Request goes through all three bowls, and the Reply comes back:');
    const reply = await this.kbus(['request', '$.Gulp.Ask', 'hungry?', '--bus', '2']);
    await this.hears(3, /hungry/);
    await this.tell(2, `A got the Reply '${reply}'`);

    await this.say(
      'G thinks about a second question; meanwhile the link between bowls 1 and 2 is cut:',
    );
    let isAsked = false;
    await g.replier('$.Gulp.Slowly', async () => {
      isAsked = true;
      await new Promise(() => {});
    });
    await this.until('a Replier in bowl 2', () => a.findReplier('$.Gulp.Slowly'));
    const asked = a.request('$.Gulp.Slowly', 'and why?').then(
      () => 'a Reply',
      (error: unknown) => (error instanceof StatusError ? error.status.name : String(error)),
    );
    await this.until('the question', () => isAsked);
    this.proxy.cut();
    await this.tell(2, `A got the Status ${await asked}`);
    await this.until(
      'no Replier in bowl 2',
      async () => (await a.findReplier('$.Gulp.Ask')) === null,
    );
    await this.tell(
      2,
      'nobody replies to $.Gulp.Ask here any more: requesters get EADDRNOTAVAIL at once',
    );

    await this.say('The link is back. The Limpets find each other by themselves:');
    this.proxy.mend();
    await this.until('a Replier in bowl 2', () => a.findReplier('$.Gulp.Ask'));
    const again = await this.kbus(['request', '$.Gulp.Ask', 'still hungry?', '--bus', '2']);
    await this.hears(3, /still hungry/);
    await this.tell(2, `A got the Reply '${again}'`);
    await print('\nTo join buses of your own, see kbus limpet --help.\n');
  }

  private async openBowls(): Promise<void> {
    this.start(['serve', '--buses', String(BOWLS)]);
    for (let bus = 0; bus < BOWLS; bus++) {
      const opened = Ksock.open(bus, {
        directory: this.folder,
        reconnect: true,
        onDisconnected: () => {},
      });
      this.ksocks.push(await this.inTime(`bus ${bus}`, opened));
    }
    await this.proxy.open();
    const at = (name: string): string => join(this.folder, name);
    this.start(['limpet', '--server', '--id', '1', '--bus', '0', at('left.sock')]);
    this.start(['limpet', '--client', '--id', '2', '--bus', '1', at('left.sock')]);
    this.start(['limpet', '--server', '--id', '3', '--bus', '1', at('right.sock')]);
    this.start(['limpet', '--client', '--id', '4', '--bus', '2', at('cut.sock')]);
    for (let bowl = 0; bowl < BOWLS; bowl++) this.listen(bowl);
    const [, , last] = this.ksocks as [Ksock, Ksock, Ksock];
    const [first] = this.ksocks as [Ksock];
    // Once a name of each end is known at the other, all Limpets are joined.
    await first.bind('$.Ready.First', true);
    await last.bind('$.Ready.Last', true);
    await this.until('the Limpets', () => first.findReplier('$.Ready.Last'));
    await this.until('the Limpets', () => last.findReplier('$.Ready.First'));
    await this.until('the listeners', async () => {
      const lists = await Promise.all(this.ksocks.map((ksock) => ksock.readBindings()));
      return lists.every((all) => all.some(({ name }) => name === '$.Gulp.*'));
    });
  }

  /** A goldfish that prints all that it hears in its bowl. */
  private listen(bowl: number): void {
    const child = this.start(['listen', '$.Gulp.*', '--full', '--bus', String(bowl)]);
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.heard.push(line);
      void this.tell(bowl, line);
    });
  }

  private start(args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [process.argv[1] as string, ...args], {
      env: { ...process.env, KBUS_DIR: this.folder },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.children.push(child);
    return child;
  }

  /** Runs a command, and gives what it prints. */
  private kbus(args: readonly string[]): Promise<string> {
    const child = this.start(args);
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

  private async say(text: string): Promise<void> {
    await pause(this.pace, undefined, { signal: ending }).catch(() => {});
    await print(`\n${text}\n`);
  }

  private tell(bowl: number, text: string): Promise<void> {
    return print(`  bowl ${bowl} │ ${escaped(text)}\n`);
  }

  /** Waits until so many bowls have heard a message. */
  private async hears(count: number, text: RegExp): Promise<void> {
    await this.until(
      `${count} bowls`,
      () => this.heard.filter((line) => text.test(line)).length >= count,
    );
  }

  private async until<T>(what: string, look: () => T | Promise<T>): Promise<T> {
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

  private inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new Failure(Exit.REFUSED, `the play waits for ${what}, in vain`));
      const timer = setTimeout(late, PATIENCE_MS);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  async end(): Promise<void> {
    this.proxy.close();
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

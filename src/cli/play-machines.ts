import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Ksock } from '../client/ksock.ts';
import { StatusError } from '../message/request-error.ts';
import { programPath } from '../system/program-path.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';
import { type Place, Stage } from './stage.ts';

const MACHINES = 3;

const PICTURE = `Goldfish on three machines: a play of eleven programs.

    machine 0           machine 1           machine 2
  ╭─────────────╮     ╭─────────────╮     ╭─────────────╮
  │ G  Limpet 1 │     │    Limpet 2 │     │ A  Limpet 3 │
  ╰──────────┬──╯     ╰──────┬──────╯     ╰──────┬──────╯
             ╰───────────────┴───────────────────╯
                        a NATS server

`;

/** The play of three machines, each a folder with a daemon of its own, whose Limpets meet through a NATS server. */
export async function playMachines(pace: number): Promise<void> {
  const server = programPath('nats-server', ['/usr/sbin', '/usr/local/sbin']);
  if (server === undefined) {
    throw new Failure(
      Exit.REFUSED,
      'this play needs the program nats-server, which is not installed (on Debian: apt-get install nats-server); kbus play --bowls does without it',
    );
  }
  await new MachinesStage(pace, server).play();
}

class MachinesStage extends Stage {
  protected readonly word = 'machine';
  protected readonly places: readonly Place[];
  private readonly program: string;
  private port = 0;

  constructor(pace: number, program: string) {
    super(pace);
    this.program = program;
    this.places = Array.from({ length: MACHINES }, (_, machine) => {
      return { directory: join(this.folder, `machine${machine}`), bus: 0 };
    });
  }

  protected async perform(): Promise<void> {
    await print(PICTURE);
    const server = await this.openMachines();
    const [g, , a] = this.ksocks as [Ksock, Ksock, Ksock];

    await this.say('A announces $.Gulp.Hello. Each machine hears it once:');
    await this.kbus(['send', '$.Gulp.Hello', 'is anybody there?'], 2);
    await this.hears(3, /is anybody there/);

    await this.say('G replies to $.Gulp.Ask. A asks, from another machine:');
    this.start(['reply', '$.Gulp.Ask', 'gulp!'], 0);
    await this.until('a Replier on machine 2', () => a.findReplier('$.Gulp.Ask'));
    const reply = await this.kbus(['request', '$.Gulp.Ask', 'hungry?'], 2);
    await this.hears(3, /hungry/);
    await this.tell(2, `A got the Reply '${reply}'`);

    await this.say('G thinks about a second question; meanwhile the NATS server is killed:');
    let isAsked = false;
    await g.replier('$.Gulp.Slowly', async () => {
      isAsked = true;
      await new Promise(() => {});
    });
    await this.until('a Replier on machine 2', () => a.findReplier('$.Gulp.Slowly'));
    const asked = a.request('$.Gulp.Slowly', 'and why?').then(
      () => 'a Reply',
      (error: unknown) => (error instanceof StatusError ? error.status.name : String(error)),
    );
    await this.until('the question', () => isAsked);
    server.kill('SIGKILL');
    await this.tell(2, `A got the Status ${await asked}`);
    await this.until(
      'no Replier on machine 2',
      async () => (await a.findReplier('$.Gulp.Ask')) === null,
    );
    await this.tell(2, 'nobody replies to $.Gulp.Ask here any more');
    await this.kbus(['send', '$.Gulp.News', 'sent while the server was away'], 2);
    await this.hears(1, /while the server was away/);

    await this.say('The server is back. The Limpets go on where they were:');
    await this.startServer();
    await this.hears(3, /while the server was away/);
    await this.until('a Replier on machine 2', () => a.findReplier('$.Gulp.Ask'));
    const again = await this.kbus(['request', '$.Gulp.Ask', 'still hungry?'], 2);
    await this.hears(3, /still hungry/);
    await this.tell(2, `A got the Reply '${again}'`);
    await print('\nTo join machines of your own, see kbus limpet --help, and docs/machines.md.\n');
  }

  private async openMachines(): Promise<ChildProcess> {
    this.port = await freePort();
    const server = await this.startServer();
    for (const [machine, { directory }] of this.places.entries()) {
      mkdirSync(directory, { mode: 0o700 });
      this.start(['serve'], machine);
    }
    await this.openKsocks();
    const link = ['--nats', `nats://127.0.0.1:${this.port}`, '--federation', 'play'];
    for (const machine of this.places.keys()) {
      this.start(['limpet', '--id', String(machine + 1), ...link], machine);
    }
    await this.untilJoined(0, 2);
    await this.untilJoined(1, 2);
    await this.listenEverywhere('$.Gulp.*');
    return server;
  }

  private async startServer(): Promise<ChildProcess> {
    const log = join(this.folder, 'nats.log');
    const args = ['-a', '127.0.0.1', '-p', String(this.port), '-l', log];
    return this.run(this.program, args, this.folder);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

import { join } from 'node:path';
import type { Ksock } from '../client/ksock.ts';
import { StatusError } from '../message/request-error.ts';
import { LinkProxy } from './link-proxy.ts';
import { print } from './output.ts';
import { type Place, Stage } from './stage.ts';

const BOWLS = 3;

const PICTURE = `Goldfish in three bowls: a play of thirteen programs.

    bowl 0              bowl 1              bowl 2
  ╭─────────────╮     ╭───────────────╮     ╭─────────────╮
  │ G  Limpet 1 ├─────┤ Limpet 2    3 ├──✂──┤ Limpet 4  A │
  ╰─────────────╯     ╰───────────────╯     ╰─────────────╯

`;

/** The play of three joined buses: real programs, each hop shown, and a link that is cut. */
export async function playBowls(pace: number): Promise<void> {
  await new BowlsStage(pace).play();
}

class BowlsStage extends Stage {
  protected readonly word = 'bowl';
  protected readonly places: readonly Place[];
  private readonly proxy: LinkProxy;

  constructor(pace: number) {
    super(pace);
    const { folder: directory } = this;
    this.places = Array.from({ length: BOWLS }, (_, bus) => ({ directory, bus }));
    this.proxy = new LinkProxy(join(directory, 'cut.sock'), join(directory, 'right.sock'));
  }

  protected async perform(): Promise<void> {
    await print(PICTURE);
    await this.openBowls();
    const [g, , a] = this.ksocks as [Ksock, Ksock, Ksock];

    await this.say(
      'A announces $.Gulp.Hello. Each bowl hears it once, with the id of the bowl that it came from:',
    );
    await this.kbus(['send', '$.Gulp.Hello', 'is anybody there?'], 2);
    await this.hears(3, /is anybody there/);

    await this.say(
      'G replies to $.Gulp.Ask. Its Limpet tells the others, and they bind the name in their bowls:',
    );
    this.start(['reply', '$.Gulp.Ask', 'gulp!'], 0);
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
    const reply = await this.kbus(['request', '$.Gulp.Ask', 'hungry?'], 2);
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
    const again = await this.kbus(['request', '$.Gulp.Ask', 'still hungry?'], 2);
    await this.hears(3, /still hungry/);
    await this.tell(2, `A got the Reply '${again}'`);
    await print('\nTo join buses of your own, see kbus limpet --help.\n');
  }

  private async openBowls(): Promise<void> {
    this.start(['serve', '--buses', String(BOWLS)], 0);
    await this.openKsocks();
    await this.proxy.open();
    const at = (name: string): string => join(this.folder, name);
    this.start(['limpet', '--server', '--id', '1', at('left.sock')], 0);
    this.start(['limpet', '--client', '--id', '2', at('left.sock')], 1);
    this.start(['limpet', '--server', '--id', '3', at('right.sock')], 1);
    this.start(['limpet', '--client', '--id', '4', at('cut.sock')], 2);
    await this.untilJoined(0, 2);
    await this.listenEverywhere('$.Gulp.*');
  }

  protected override async end(): Promise<void> {
    this.proxy.close();
    await super.end();
  }
}

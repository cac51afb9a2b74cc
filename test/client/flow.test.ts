import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/index.ts';
import { Ksock, type KsockOptions, type Missed } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, replyTo } from '../../src/message/message.ts';
import { next, readAll, readTexts } from '../conformance/reading.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { FrameHost } from '../support/frame-host.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

everywhere('request() with a full queue', (stage) => {
  it('waits for a slot in its own queue and one in the Replier’s: a thousand at once succeed.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await requester.setMaxMessages(7);
    await replier.setMaxMessages(3);
    await replier.replier('$.Ask', async (request) => `re ${request.text()}`);
    const asked = Array.from({ length: 1000 }, (_, at) => requester.request('$.Ask', String(at)));
    const answers = await Promise.all(asked);
    expect(answers.map((answer) => answer.text())).toEqual(asked.map((_, at) => `re ${at}`));
    expect(await replier.numMessages()).toBe(0);
  });

  it('is sent in the order of the calls.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await requester.setMaxMessages(2);
    await replier.bind('$.Ask', true);
    const asked = Array.from({ length: 6 }, (_, at) => requester.request('$.Ask', String(at)));
    const order: string[] = [];
    for (let at = 0; at < 6; at++) {
      const request = await next(replier);
      order.push(request.text());
      await replier.sendMsg(replyTo(request, 'yes'));
    }
    await Promise.all(asked);
    expect(order).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('rejects at once with ENOLCK or EBUSY if { wait: false }.', async () => {
    const [requester, other, replier] = [
      await stage.open(),
      await stage.open(),
      await stage.open(),
    ];
    await replier.bind('$.Ask', true);
    await replier.setMaxMessages(1);
    await requester.setMaxMessages(1);
    const first = requester.request('$.Ask');
    await settled();
    await refused(requester.request('$.Ask', '', { wait: false }), 'ENOLCK');
    await refused(other.request('$.Ask', '', { wait: false }), 'EBUSY');
    await replier.sendMsg(replyTo(await next(replier), 'yes'));
    await first;
  });

  it('does not hold up other sends, nor Requests to a Replier with free slots.', async () => {
    const [requester, slow, quick] = [await stage.open(), await stage.open(), await stage.open()];
    await slow.bind('$.Slow', true);
    await slow.setMaxMessages(1);
    await quick.replier('$.Quick', () => 'at once');
    await quick.bind('$.News');
    const asked = Array.from({ length: 3 }, () => requester.request('$.Slow'));
    expect((await requester.request('$.Quick')).text()).toBe('at once');
    await requester.sendMsg(new Announcement('$.Slow.News'));
    for (let at = 0; at < 3; at++) await slow.sendMsg(replyTo(await next(slow), 'at last'));
    expect((await Promise.all(asked)).map((answer) => answer.text())).toEqual(
      asked.map(() => 'at last'),
    );
  });

  it('does not block the Replies of two Repliers that send Requests to each other.', async () => {
    const [one, two] = [await stage.open(), await stage.open()];
    for (const ksock of [one, two]) await ksock.setMaxMessages(4);
    await one.replier('$.One', async () => 'one');
    await two.replier('$.Two', async () => 'two');
    const asked = Array.from({ length: 200 }, (_, at) =>
      at % 2 === 0 ? one.request('$.Two') : two.request('$.One'),
    );
    const answers = (await Promise.all(asked)).map((answer) => answer.text());
    expect(answers).toEqual(asked.map((_, at) => (at % 2 === 0 ? 'two' : 'one')));
  });

  it('is never carried out after its timeout or abort.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    await replier.setMaxMessages(1);
    const controller = new AbortController();
    const first = requester.request('$.Ask', 'first');
    const late = failed(requester.request('$.Ask', 'late', { timeout: 20 }));
    const aborted = failed(requester.request('$.Ask', 'aborted', { signal: controller.signal }));
    await settled();
    controller.abort('enough');
    expect(await aborted).toBe('enough');
    expect(((await late) as { code: string }).code).toBe('ETIMEDOUT');
    const last = requester.request('$.Ask', 'last');
    const read: string[] = [];
    for (let at = 0; at < 2; at++) {
      const request = await next(replier);
      read.push(request.text());
      await replier.sendMsg(replyTo(request, 'yes'));
    }
    await Promise.all([first, last]);
    expect(read).toEqual(['first', 'last']);
    expect(await replier.numMessages()).toBe(0);
  });

  it('fails when its Replier closes, or goes to the next Replier of the name.', async () => {
    const [requester, full, other] = [await stage.open(), await stage.open(), await stage.open()];
    await full.bind('$.Ask', true);
    await full.setMaxMessages(1);
    const first = failed(requester.request('$.Ask'));
    const waiting = failed(requester.request('$.Ask'));
    await settled();
    await full.close();
    expect(String(await first)).toContain('$.KBUS.Replier.GoneAway');
    expect(((await waiting) as { code: string }).code).toBe('EADDRNOTAVAIL');

    await other.bind('$.Ask.*', true);
    await other.setMaxMessages(1);
    const asked = [requester.request('$.Ask.Me', '1'), requester.request('$.Ask.Me', '2')];
    await settled();
    const exact = await stage.open();
    await exact.bind('$.Ask.Me', true);
    await exact.sendMsg(replyTo(await next(exact), 'exact'));
    await other.sendMsg(replyTo(await next(other), 'other'));
    expect((await Promise.all(asked)).map((answer) => answer.text())).toEqual(['other', 'exact']);
  });

  it('rejects when too many Requests are unanswered: ENOLCK.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    await replier.setMaxMessages(1);
    const asked = Array.from({ length: 65_536 }, () => failed(requester.request('$.Ask')));
    const error = await refused(requester.request('$.Ask'), 'ENOLCK');
    expect(error.meaning).toBe(
      '65,536 Requests of this Ksock are unanswered, the most that may be; await some of them first',
    );
    await requester.close();
    await Promise.all(asked);
  }, 60_000);

  it('ends when its Ksock closes, and does not reach the Replier.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    await replier.setMaxMessages(1);
    const asked = Array.from({ length: 5 }, () => failed(requester.request('$.Ask')));
    await settled();
    await requester.close();
    for (const error of await Promise.all(asked)) {
      expect((error as { code: string }).code).toBe('EBADF');
    }
    expect((await readAll(replier)).length).toBe(1);
  });
});

everywhere('A Request that a Ksock sends itself', (stage) => {
  it('waits for a queue slot, and is answered.', async () => {
    const ksock = await stage.open();
    await ksock.setMaxMessages(4);
    await ksock.replier('$.Me', async (request) => request.text());
    const asked = Array.from({ length: 40 }, (_, at) => ksock.request('$.Me', String(at)));
    const answers = (await Promise.all(asked)).map((answer) => answer.text());
    expect(answers).toEqual(asked.map((_, at) => String(at)));
  });
});

interface Way {
  open(options: KsockOptions): Promise<Ksock>;
  stop(): Promise<unknown>;
}

const WAYS: [string, () => Promise<Way>][] = [
  [
    'in this process',
    async () => {
      const bus = new Bus();
      return { open: (options) => Ksock.open(bus, options), stop: async () => {} };
    },
  ],
  [
    'in frames',
    async () => {
      const host = new FrameHost();
      return { open: (options) => host.open(options), stop: async () => {} };
    },
  ],
  ['over a Unix socket', () => LocalDaemon.start()],
];

describe.each(WAYS)('Missed messages, %s,', (_, start) => {
  let way: Way;
  beforeEach(async () => {
    way = await start();
  });
  afterEach(() => way.stop());

  it('are reported by onMissed: their number, and the name of the first.', async () => {
    let count = 0;
    let first = '';
    await new Promise<void>((resolve, reject) => {
      const onMissed = (missed: Missed): void => {
        if (count === 0) first = missed.name;
        count += missed.count;
        if (count === 3) resolve();
      };
      const miss = async (): Promise<void> => {
        const listener = await way.open({ onMissed });
        const sender = await way.open({});
        await listener.bind('$.News.*');
        await listener.setMaxMessages(2);
        for (const letter of 'ABCDE') {
          await sender.sendMsg(new Announcement(`$.News.${letter}`, letter));
        }
        expect(await readTexts(listener)).toEqual(['A', 'B']);
      };
      miss().catch(reject);
    });
    expect(first).toBe('$.News.C');
  });

  it('don’t occur if the sender waits, or fails.', async () => {
    const missed: Missed[] = [];
    const listener = await way.open({ onMissed: (what) => missed.push(what) });
    const sender = await way.open({});
    await listener.bind('$.News');
    await listener.setMaxMessages(1);
    await sender.sendMsg(new Announcement('$.News', '1'));
    await refused(
      sender.sendMsg(new Announcement('$.News', '2', { flags: Flag.ALL_OR_FAIL })),
      'EBUSY',
    );
    const waits = sender.sendMsg(new Announcement('$.News', '3'), { wait: true });
    expect((await next(listener)).text()).toBe('1');
    await waits;
    expect((await next(listener)).text()).toBe('3');
    expect(missed).toEqual([]);
  });
});

describe('Missed messages without onMissed', () => {
  it('cause one warning of the process.', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    let warnings = 0;
    const count = (): void => void warnings++;
    process.on('warning', count);
    const bus = new Bus();
    const [listener, sender] = [await Ksock.open(bus), await Ksock.open(bus)];
    await listener.bind('$.News');
    await listener.setMaxMessages(1);
    for (let at = 0; at < 3; at++) await sender.sendMsg(new Announcement('$.News'));
    const { name, message } = await warned;
    expect(name).toBe('KbusWarning');
    expect(message).toContain("missed a message '$.News'");
    expect(message).toContain('onMissed');
    for (let at = 0; at < 3; at++) await sender.sendMsg(new Announcement('$.News'));
    await settled();
    process.off('warning', count);
    expect(warnings).toBe(1);
    await Promise.all([listener.close(), sender.close()]);
  });
});

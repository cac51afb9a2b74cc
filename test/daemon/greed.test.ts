import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { StatusError } from '../../src/message/request-error.ts';
import { socketPath } from '../../src/system/socket-folder.ts';
import { type Program, serve } from '../cli/kbus.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { frame, framesOf, frameText, hello } from '../support/frames.ts';
import { refused } from '../support/refused.ts';

// What one greedy program does to a daemon, while others use it. With KBUS_GREED=full, as much of it as a
// daemon allows unless it is told otherwise, and what it costs is printed.

const FULL = process.env['KBUS_GREED'] === 'full';

/** Settings with which limits are soon reached. */
const small = (...settings: string[]): string[] => (FULL ? [] : settings);

let directory: string;
let daemon: Program;
let witness: Witness;
const opened: Ksock[] = [];

/** Two programs that mind their own business on the same bus. */
class Witness {
  private readonly asker: Ksock;
  private readonly replier: Ksock;
  worst = 0;

  constructor(asker: Ksock, replier: Ksock) {
    this.asker = asker;
    this.replier = replier;
  }

  static async open(): Promise<Witness> {
    const [asker, replier] = [await open(), await open()];
    await replier.replier('$.Witness.Ask', (request) => `${request.text()}!`);
    await asker.bind('$.Witness.Say');
    return new Witness(asker, replier);
  }

  /** Does some of all there is to do; all of it must succeed. */
  async works(): Promise<void> {
    const { asker, replier } = this;
    const began = performance.now();
    expect((await asker.request('$.Witness.Ask', 'well')).text()).toBe('well!');
    this.worst = Math.max(this.worst, performance.now() - began);
    await replier.sendMsg(new Announcement('$.Witness.Say', 'so', { flags: Flag.ALL_OR_FAIL }));
    expect((await asker.readNextMsg())?.text()).toBe('so');
    await asker.bind('$.Witness.More');
    await asker.unbind('$.Witness.More');
    expect(await asker.findReplier('$.Witness.Ask')).toBe(replier.id);
  }

  /** Works all the time while something is done. */
  async during<T>(doing: Promise<T>): Promise<T> {
    let isOver = false;
    const done = doing.finally(() => {
      isOver = true;
    });
    done.catch(() => {});
    while (!isOver) {
      await this.works();
      await new Promise(setImmediate);
    }
    await this.works();
    return done;
  }
}

async function begin(...settings: string[]): Promise<void> {
  ({ directory, daemon } = await serve(...settings));
  witness = await Witness.open();
}

async function open(): Promise<Ksock> {
  const ksock = await Ksock.open(0, { directory });
  opened.push(ksock);
  return ksock;
}

/** Tells what the daemon has taken, when all of it is tried. */
function tell(what: string): void {
  if (!FULL) return;
  const status = readFileSync(`/proc/${daemon.child.pid}/status`, 'latin1');
  const rss = Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024;
  console.log(`${what}: ${rss.toFixed(0)} MiB; longest Request ${witness.worst.toFixed(0)} ms`);
}

async function timed<T>(what: string, doing: Promise<T>): Promise<T> {
  const began = performance.now();
  const done = await doing;
  tell(`${what}, ${((performance.now() - began) / 1000).toFixed(2)} s`);
  return done;
}

/** A connection that says nothing; where too many connect at once, it tries again. */
async function connected(): Promise<Socket> {
  for (;;) {
    const socket = createConnection(socketPath(directory, 0));
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
      await witness.works();
    }
  }
}

/** Does something so many times, with some of it under way at once. */
async function times(count: number, what: (at: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, count - at) }, (_, within) => what(at + within)),
    );
  }
}

const HELLO_TIMEOUT = FULL ? 30 : 1;

beforeEach(({ onTestFailed }) => onTestFailed(() => console.log(daemon?.stderr)));
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ksock) => ksock.close()));
});

describe('A program that', { timeout: FULL ? 600_000 : 60_000 }, () => {
  it('never reads fills its own queue, and misses the messages after that.', async () => {
    await begin(...small('--max-queued-bytes-per-ksock', '2000000'));
    const [hoarder, sender] = [await open(), await open()];
    await hoarder.setMaxMessages(0xffff_ffff);
    await hoarder.bind('$.News');
    const message = new Announcement('$.News', new Uint8Array(FULL ? 100_000 : 10_000));
    const all = FULL ? 3000 : 300;
    await witness.during(times(all, () => sender.sendMsg(message)));
    tell(`never reads ${all} messages`);
    const error = await refused(
      sender.sendMsg(new Announcement('$.News', 'x', { flags: Flag.ALL_OR_FAIL })),
      'EBUSY',
    );
    expect(error.meaning).toContain(`the queue of Ksock ${hoarder.id}`);
    expect(error.meaning).toContain('(max-queued-bytes-per-ksock)');
    const [, report] = (await sender.stats()).ksocks;
    expect(report?.ksock).toBe(hoarder.id);
    expect(report?.missed).toBeGreaterThan(0);
    expect(report?.queue).toBe(all - (report?.missed ?? 0));
    // It was a queue like any other: who reads goes on.
    expect(await hoarder.readNextMsg()).not.toBe(null);
    await witness.works();
  });

  it('grants credit, and does not read its socket, costs little more.', async () => {
    await begin(...small('--max-queued-bytes-per-ksock', '2000000'));
    const socket = createConnection(socketPath(directory, 0));
    const call = (detail: number, word: number, text?: string): Buffer =>
      frame('CALL', { detail, words: [word], ...(text !== undefined && { text }) });
    socket.write(
      Buffer.concat([
        hello(),
        call(4, 0xffff_ffff),
        call(1, 0, '$.News'),
        frame('CREDIT', { words: [60_000] }),
      ]),
    );
    await once(socket, 'data');
    socket.pause();
    const sender = await open();
    while ((await sender.readBindings()).every(({ name }) => name !== '$.News'));
    const message = new Announcement('$.News', new Uint8Array(10_000));
    await witness.during(times(FULL ? 30_000 : 300, () => sender.sendMsg(message)));
    tell('never reads its socket');
    const stalled = (await sender.stats()).ksocks.find(({ missed }) => missed > 0);
    expect(stalled?.queue).toBeGreaterThan(0);
    socket.destroy();
  });

  it('opens all Ksocks that there may be gets an error that names max-connections.', async () => {
    // All there may be would be too many for the descriptors of this process.
    const count = FULL ? 4000 : 200;
    await begin('--max-connections', String(count + 10));
    await timed(`opens ${count} Ksocks`, witness.during(times(count, open)));
    let told: unknown = null;
    for (let more = 0; told === null; more++) {
      expect(more).toBeLessThan(10);
      told = await open().then(
        () => null,
        (error: unknown) => error,
      );
    }
    expect(told).toMatchObject({ code: 'ENOMEM', call: 'open' });
    expect(String(told)).toContain('max-connections');
    await witness.works();
    await timed('closes them', witness.during(times(count, (at) => opened[at + 2]!.close())));
  });

  it('connects and sends nothing gets an error that names hello-timeout.', async () => {
    await begin('--hello-timeout', String(HELLO_TIMEOUT));
    const said: string[] = [];
    const sockets: Socket[] = [];
    // More would be ended sooner.
    const ended = times(200, async () => {
      const socket = await connected();
      sockets.push(socket);
      socket.on('data', (chunk) => {
        said.push(frameText(framesOf(chunk).frames[0]!, 1));
      });
    });
    await witness.during(ended);
    tell('says nothing');
    await witness.during(
      Promise.all(sockets.map((socket) => (socket.closed ? null : once(socket, 'close')))),
    );
    expect(new Set(said)).toEqual(
      new Set([
        `the client sent no HELLO within ${HELLO_TIMEOUT} s, the hello-timeout of the daemon`,
      ]),
    );
    expect(said).toHaveLength(sockets.length);
  });

  it('binds too many names gets an error that names max-bindings-per-ksock, or max-bindings.', async () => {
    await begin(...small('--max-bindings-per-ksock', '3000', '--max-bindings', '5000'));
    const each = FULL ? 1_048_576 : 3000;
    const name = (at: number): string => `$.Greedy.name${at}.${at % 3 === 0 ? '*' : 'x'}`;
    const [binder, other] = [await open(), await open()];
    const bound = witness.during(times(each, (at) => binder.bind(name(at), at % 2 === 0)));
    await timed(`binds ${each} names`, bound);
    const own = await refused(binder.bind('$.One.more'), 'ENOLCK');
    expect(own.meaning).toContain('max-bindings-per-ksock');
    await witness.works();
    const all = await timed('readBindings', witness.during(binder.readBindings()));
    expect(all.filter(({ ksock }) => ksock === binder.id)).toHaveLength(each);
    const waiting = new Announcement('$.Greedy.name7.x', 'found among them all');
    await other.sendMsg(waiting);
    expect((await binder.readNextMsg())?.text()).toBe('found among them all');
    if (!FULL) {
      await times(2000 - 2, (at) => other.bind(`$.Other.n${at}`));
      const whole = await refused(other.bind('$.One.more'), 'ENOMEM');
      expect(whole.meaning).toContain('(max-bindings)');
      await other.unbind('$.Other.n1');
    }
    await timed('closes', witness.during(binder.close()));
    await other.bind('$.One.more');
  });

  it('never replies gets at most max-unanswered-per-ksock Requests.', async () => {
    await begin(...small('--max-unanswered-per-ksock', '500'));
    const most = FULL ? 262_144 : 500;
    const [silent, asker] = [await open(), await open()];
    await silent.setMaxMessages(0xffff_ffff);
    await asker.setMaxMessages(0xffff_ffff);
    await silent.bind('$.Silence', true);
    const outcomes = new Map<string, number>();
    const count = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    const asked: Promise<unknown>[] = [];
    const asking = times(most, async (at) => {
      const answer = asker.request('$.Silence', 'x'.repeat(64));
      asked.push(
        answer.catch((error: unknown) =>
          count(error instanceof StatusError ? error.status.name : String(error)),
        ),
      );
      if (at % 500 === 499) for (let read = 0; read < 500; read++) await silent.waitForMsg();
    });
    await timed(`asks ${most} times in vain`, witness.during(asking));
    while ((await silent.readNextMsg()) !== null);
    expect(await silent.numUnrepliedTo()).toBe(most);
    const busy = await refused(asker.request('$.Silence', '', { wait: false }), 'EBUSY');
    expect(busy.meaning).toContain('max-unanswered-per-ksock');
    await timed('closes', witness.during(silent.close()));
    await timed('is told so', witness.during(Promise.all(asked)));
    expect(Object.fromEntries(outcomes)).toEqual({ '$.KBUS.Replier.Ignored': most });
  });
});

/** Never resolves: rejects when `what` does. */
async function endlessly(what: () => Promise<unknown>): Promise<never> {
  for (;;) await what();
}

describe('Programs that fill the memory', () => {
  let local: LocalDaemon;
  beforeEach(async () => {
    local = await LocalDaemon.start({ maxMemory: 200_000 });
  });
  afterEach(() => local.stop());

  it('get an error that names max-memory, and who holds the most, until that program reads.', async () => {
    const [sender, listener, other] = [await local.open(), await local.open(), await local.open()];
    await listener.bind('$.News');
    const message = new Announcement('$.News', new Uint8Array(20_000), { flags: Flag.ALL_OR_FAIL });
    let kept = 0;
    const full = await (async () => {
      for (; ; kept++) await sender.sendMsg(message);
    })().catch((error: unknown) => error);
    expect(kept).toBeGreaterThan(2);
    expect(full).toMatchObject({ code: 'EBUSY' });
    expect(String(full)).toContain(`Ksock ${listener.id}`);
    expect(String(full)).toContain('(max-memory)');
    const large = new Announcement('$.Nobody', new Uint8Array(150_000));
    const error = await refused(sender.sendMsg(large), 'ENOMEM');
    expect(error.meaning.replace(/ \('.*, as it says\)/, '')).toContain(
      `Ksock ${listener.id} holds the most`,
    );
    // Others go on.
    await other.bind('$.Other');
    await sender.sendMsg(new Announcement('$.Other', 'still here', { flags: Flag.ALL_OR_FAIL }));
    expect((await other.readNextMsg())?.text()).toBe('still here');
    while ((await listener.readNextMsg()) !== null);
    await sender.sendMsg(message);
  });

  it.each([20_000, 150_000])(
    'hear of each message of %i bytes that was refused while others wait, and not of those.',
    async (size) => {
      const [sender, listener] = [await local.open(), await local.open()];
      await listener.setMaxMessages(1);
      await listener.bind('$.News');
      const made = (number: number): Announcement => {
        const data = new Uint8Array(number % 2 === 0 ? 100 : size);
        data[0] = number;
        return new Announcement('$.News', data);
      };
      const mayBeRefused = (post: Promise<void> | undefined): Promise<void> =>
        Promise.resolve(post).catch((error) => expect(error).toMatchObject({ code: 'ENOMEM' }));
      /** What the sender heard of each message, and what was read. */
      const heard = new Map<number, string>();
      const read = new Map<number, string>();
      const outcomes: Promise<unknown>[] = [];
      let refusals = 0;
      let someRefused = (): void => {};
      const begin = new Promise<void>((resolve) => {
        someRefused = resolve;
      });
      for (let number = 0; number < 40; number++) {
        const message = made(number);
        const outcome =
          number % 8 === 7
            ? mayBeRefused(sender.post(message, { wait: true }))
            : sender.sendMsg(message, { wait: true }).then(
                (id) => heard.set(number, `${id}`),
                (error) => {
                  heard.set(number, error.code);
                  if (++refusals === 3) someRefused();
                },
              );
        outcomes.push(outcome);
      }
      outcomes.push(mayBeRefused(sender.flush()));
      // Now others wait.
      await begin;
      const reading = (async () => {
        for await (const { id, data } of listener) read.set(data[0] as number, `${id}`);
      })();
      await Promise.all(outcomes);
      while ((await listener.numMessages()) > 0);
      await listener.close();
      await reading;
      for (const [number, outcome] of heard) expect(read.get(number) ?? 'ENOMEM').toBe(outcome);
      expect(read.size).toBeGreaterThan(1);
    },
  );

  it('open further Ksocks, and make buses, only while a little is left for those that are there.', async () => {
    const [asker, replier] = [await local.open(), await local.open()];
    await replier.replier('$.Ask', () => 'yes');
    const made = await refused(
      endlessly(() => asker.newDevice()),
      'ENOMEM',
    );
    expect(made.message).toContain('(max-memory)');
    const opened = await refused(
      endlessly(() => local.open()),
      'ENOMEM',
    );
    expect(opened.message).toContain('(max-memory)');
    for (let times = 0; times < 3; times++) {
      expect((await asker.request('$.Ask')).text()).toBe('yes');
    }
  });

  it('still get an answer to each Request: if the Reply is too large, a small one that says so.', async () => {
    const [asker, replier] = [await local.open(), await local.open()];
    await replier.replier('$.Ask', () => new Uint8Array(40_000));
    await Promise.all(Array.from({ length: 6 }, () => asker.sendMsg(new Request('$.Ask'))));
    while ((await asker.numMessages()) < 6);
    const answers = [];
    for await (const answer of asker.drain()) answers.push(`${answer.name} ${answer.dataLength}`);
    expect(answers[0]).toBe('$.Ask 40000');
    expect(answers[5]).toMatch(/^\$\.KBUS\.Replier\.Error /);
    expect(answers).toHaveLength(6);
    expect(await replier.numUnrepliedTo()).toBe(0);
  });
});

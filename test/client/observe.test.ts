import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Bus } from '../../src/bus/bus.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { type ObserveOptions, observe } from '../../src/client/observe.ts';
import { observeChannel } from '../../src/client/observe-channel.ts';
import { observe as observeWeb } from '../../src/client/observe-web.ts';
import type { Tap } from '../../src/client/tap.ts';
import { Session } from '../../src/daemon/session.ts';
import { Announcement } from '../../src/message/message.ts';
import { readBlocks } from '../../src/recording/read-blocks.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { EventReader } from '../../src/tap/event-reader.ts';
import type { TapEvent } from '../../src/tap/events.ts';
import { LOCAL_WEB, LocalDaemon } from '../support/daemon.ts';
import { FrameHost } from '../support/frame-host.ts';
import { frame, welcome } from '../support/frames.ts';
import { byteByByte, type Cut, PipeEnd, whole } from '../support/pipe.ts';
import { failed, refused } from '../support/refused.ts';
import { stateOfBus, stateOfView } from '../tap/observed.ts';

/** A bus, and how to open Ksocks and taps on it. */
interface Place {
  readonly bus: Bus;
  open(): Promise<Ksock>;
  tap(options?: ObserveOptions): Promise<Tap>;
}

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function kept<T extends { close(): unknown }>(one: T): T {
  ends.push(() => one.close());
  return one;
}

async function inProcess(): Promise<Place> {
  const bus = new Bus();
  return {
    bus,
    open: async () => kept(await Ksock.open(bus)),
    tap: async (options) => kept(await observe(bus, options)),
  };
}

const inFrames = (cut: Cut) => async (): Promise<Place> => {
  const host = new FrameHost({}, cut);
  return {
    bus: host.bus,
    open: async () => kept(await Ksock.open(host.connect())),
    tap: async (options) =>
      kept(
        await observeChannel((events) => {
          const [client, daemon] = PipeEnd.pair(cut);
          daemon.open(new Session(host, host.bus, daemon));
          return client.open(events);
        }, options),
      ),
  };
};

async function overSocket(): Promise<Place> {
  const local = await LocalDaemon.start();
  ends.push(() => local.stop());
  const { directory } = local;
  return {
    bus: local.daemon.buses.get(0) as Bus,
    open: () => local.open(),
    tap: async (options) => kept(await observe(0, { directory, ...options })),
  };
}

async function overWebSocket(): Promise<Place> {
  const local = await LocalDaemon.start({}, { web: LOCAL_WEB });
  ends.push(() => local.stop());
  const place = { url: local.page().origin, token: local.token(), WebSocket };
  return {
    bus: local.daemon.buses.get(0) as Bus,
    open: () => local.openWeb(),
    tap: async (options) => kept(await observeWeb(0, { ...place, ...options })),
  };
}

const PLACES: [string, () => Promise<Place>][] = [
  ['in this process', inProcess],
  ['in frames', inFrames(whole)],
  ['in frames that come byte by byte', inFrames(byteByByte)],
  ['over a Unix socket', overSocket],
  ['over a WebSocket', overWebSocket],
];

/** Something that happens once. */
class Signal {
  isGiven = false;
  give = (): void => {};
  readonly given = new Promise<void>((resolve) => {
    this.give = () => {
      this.isGiven = true;
      resolve();
    };
  });
}

/** The events up to the first that `isLast`, which are applied to a view. */
async function until(
  events: AsyncIterator<TapEvent>,
  isLast: (event: TapEvent) => boolean,
  view = new BusView(),
): Promise<TapEvent[]> {
  const seen: TapEvent[] = [];
  for (;;) {
    const { value, done } = await events.next();
    if (done) return seen;
    seen.push(value);
    view.apply(value);
    if (isLast(value)) return seen;
  }
}

describe.for(PLACES)('A tap %s', ([, make]) => {
  it('gives the state of the bus, and then what happens, in order.', async () => {
    const { bus, open, tap } = await make();
    const [sender, replier] = [await open(), await open()];
    await replier.bind('$.Ask', true);
    await replier.bind('$.News');
    const events = (await tap())[Symbol.asyncIterator]();
    const view = new BusView();
    const first = await until(events, ({ type }) => type === 'ready', view);
    expect(first.map(({ type }) => type)).toEqual([
      'begin',
      'ksock',
      'ksock',
      'binding',
      'binding',
      'ready',
    ]);
    await sender.sendMsg(new Announcement('$.News', 'hello'));
    await sender.bind('$.Mine');
    const seen = await until(events, ({ type }) => type === 'bound', view);
    expect(seen.map(({ type }) => type)).toEqual(['messages', 'queued', 'sent', 'bound']);
    const [message] = seen.flatMap((event) => (event.type === 'messages' ? event.messages : []));
    expect(message?.text()).toBe('hello');
    expect(stateOfView(view)).toEqual(stateOfBus(bus));
    expect(seen.map(({ time }) => time)).toEqual(
      seen.map(({ time }) => time).sort((a, b) => a - b),
    );
  });

  it('passes on blocks as they come, which stay until they were read; the others wait.', async () => {
    const { open, tap } = await make();
    const [sender, watcher] = [await open(), await tap()];
    const seen: string[] = [];
    const reader = new EventReader();
    const ready = new Signal();
    const read = (block: Uint8Array): void => {
      for (const event of reader.read(block)) {
        if (event.type === 'ready') ready.give();
        if (event.type === 'messages') seen.push(...event.messages.map((one) => one.text()));
      }
    };
    const [first, all] = [new Signal(), new Signal()];
    let blocks = 0;
    const reading = readBlocks(watcher, (block) => {
      // The state comes first; then a block that stays until all others have come.
      if (!ready.isGiven) return read(block) as undefined;
      if (blocks++ % 3 > 0) return read(block) as undefined;
      first.give();
      return all.given.then(() => read(block));
    });
    await ready.given;
    const texts = Array.from({ length: 2000 }, (_, at) => String(at).padEnd(200));
    await sender.sendMsg(new Announcement('$.News', texts[0]));
    await first.given;
    for (const text of texts.slice(1)) {
      const room = sender.post(new Announcement('$.News', text), { wait: true });
      if (room !== undefined) await room;
    }
    await sender.flush();
    all.give();
    watcher.finish();
    await reading;
    expect(seen).toEqual(texts);
    expect(blocks).toBeGreaterThan(3);
  });

  it('ends with the error of whoever reads its blocks.', async () => {
    const { open, tap } = await make();
    await open();
    const error = new Error('no more');
    const reads = [
      () => Promise.reject(error),
      () => {
        throw error;
      },
    ];
    for (const read of reads) expect(await failed(readBlocks(await tap(), read))).toBe(error);
    for (const read of reads) {
      const watcher = await tap();
      let isFirst = true;
      const later = readBlocks(watcher, () => {
        if (!isFirst) return read();
        isFirst = false;
        setTimeout(() => watcher.restate(), 5);
        return undefined;
      });
      expect(await failed(later)).toBe(error);
    }
  });

  it('shows what its filter lets through.', async () => {
    const { open, tap } = await make();
    const sender = await open();
    const options: ObserveOptions = { names: '$.A.*', kinds: ['announcement'], data: 2 };
    const events = (await tap(options))[Symbol.asyncIterator]();
    for (const name of ['$.A.x', '$.B', '$.A.y'])
      await sender.sendMsg(new Announcement(name, 'data'));
    await sender.bind('$.End');
    const seen = await until(events, ({ type }) => type === 'bound');
    const messages = seen.flatMap((event) => (event.type === 'messages' ? event.messages : []));
    expect(messages.map((one) => `${one.name} ${one.text()} ${one.wholeLength}`)).toEqual([
      '$.A.x da 4',
      '$.A.y da 4',
    ]);
  });

  it('ends the iteration when it is closed, or when the program leaves the iteration.', async () => {
    const { bus, tap } = await make();
    const closed = await tap();
    const left = await tap();
    for await (const { type } of left) if (type === 'ready') break;
    let count = 0;
    for await (const { type } of closed) {
      count++;
      if (type === 'ready') closed.close();
    }
    expect(count).toBeGreaterThan(1);
    // The daemon hears of it when it reads the end of the connection.
    while (bus.observer !== null) await new Promise((resolve) => setImmediate(resolve));
  });

  it('ends with the reason of its signal.', async () => {
    const { tap } = await make();
    const ending = new AbortController();
    const opened = await tap({ signal: ending.signal });
    const events = opened[Symbol.asyncIterator]();
    await until(events, ({ type }) => type === 'ready');
    const next = events.next();
    ending.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    const late = await failed(tap({ signal: ending.signal }));
    expect((late as Error).message).toBe('enough');
  });
});

describe('observe', () => {
  it('throws ECONNRESET while it iterates when the daemon stops, which it names.', async () => {
    const local = await LocalDaemon.start();
    const tap = await observe(0, { directory: local.directory });
    const events = tap[Symbol.asyncIterator]();
    await until(events, ({ type }) => type === 'ready');
    const next = events.next();
    await local.stop();
    const { message } = await refused(next, 'ECONNRESET');
    expect(message).toContain('observe bus 0 (the test is over)');
  });

  it('refuses an access point without the right to observe: EACCES.', async () => {
    const access = [
      { name: 'guest', socket: { mode: 0o600, group: undefined }, rights: ['read' as const] },
    ];
    const local = await LocalDaemon.start({}, { access });
    ends.push(() => local.stop());
    const { directory } = local;
    const { message } = await refused(observe(0, { directory, access: 'guest' }), 'EACCES');
    expect(message).toContain("access point 'guest' does not give the right 'observe'");
  });

  it('refuses a bus that is not there, and names that are none.', async () => {
    const local = await LocalDaemon.start();
    ends.push(() => local.stop());
    const { directory } = local;
    await refused(observe(7, { directory }), 'ENOENT');
    const { message } = await refused(observe(0, { directory, names: ['$.A', 'B'] }), 'EBADMSG');
    expect(message).toContain("'B' is neither a name nor a wildcard");
  });

  it('names options that are wrong.', async () => {
    const bus = new Bus();
    const wrong: [unknown, string][] = [
      [{ name: 3 }, 'name must be a string, not number'],
      [{ filter: '$.A' }, "observe has no option 'filter'"],
      [{ kinds: ['requests'] }, "kinds must be an array of 'announcement', 'request', 'reply'"],
      [{ data: -1 }, 'data must be true, false, or a number of bytes, not -1'],
      [{ buffer: 2 ** 40 }, 'buffer must be a number of bytes up to 67108864'],
      [{ names: 7 }, 'names must be an array of names, or a name, not number'],
    ];
    for (const [options, text] of wrong) {
      await expect(observe(bus, options as ObserveOptions)).rejects.toThrow(text);
    }
    await expect(observe('0' as never)).rejects.toThrow('EINVAL');
    expect(bus.observer).toBeNull();
  });

  it('says that a daemon is too old to be observed.', async () => {
    const over = (...frames: Buffer[]): Promise<Tap> =>
      observeChannel((events) => {
        const [client, daemon] = PipeEnd.pair(whole);
        daemon.open({ received: () => 0, drained: () => {}, closed: () => {} });
        queueMicrotask(() => daemon.write(frames));
        return client.open(events);
      });
    const { message } = await refused(over(welcome()), 'EPROTO');
    expect(message).toContain('the daemon is older than this program, and can not be observed');
    await refused(over(frame('NONE')), 'EPROTO');
  });
});

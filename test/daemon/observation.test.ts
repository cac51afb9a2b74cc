import { beforeEach, describe, expect, it } from 'vitest';
import { Access, RIGHTS } from '../../src/bus/access.ts';
import { Bus } from '../../src/bus/bus.ts';
import { printStats, reportStats } from '../../src/bus/report.ts';
import { COSTS } from '../../src/bus/settings.ts';
import { openEntrance } from '../../src/daemon/entrance.ts';
import type { History } from '../../src/daemon/history.ts';
import { Session, type SessionHost } from '../../src/daemon/session.ts';
import { TURN_STEPS, Turns } from '../../src/daemon/turns.ts';
import { Errno } from '../../src/message/errno.ts';
import { Message } from '../../src/message/message.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { EventReader } from '../../src/tap/event-reader.ts';
import { EVENTS_VERSION, type TapEvent } from '../../src/tap/events.ts';
import { MIN_SIZE } from '../../src/tap/limits.ts';
import { HelloMode, ObserveDetail } from '../../src/wire/protocol.ts';
import { batchOf } from '../bus/batch.ts';
import { Program } from '../bus/program.ts';
import { type Frame, frame, frameText, hello, messagesFrame, record } from '../support/frames.ts';
import { stateOfBus, stateOfView } from '../tap/observed.ts';
import { Host, Peer } from './peer.ts';

const MEBIBYTE = 1024 * 1024;

let host: Host;
let bus: Bus;
beforeEach(() => {
  host = new Host();
  bus = new Bus({ maxMessages: 100_000 });
});

interface Asked {
  version?: number;
  kinds?: number;
  data?: number;
  size?: number;
  names?: string;
}

const observe = ({
  version = EVENTS_VERSION,
  kinds = 15,
  data = 0xffff_ffff,
  ...more
}: Asked = {}) =>
  frame('OBSERVE', { words: [version, kinds, data, more.size ?? 0], text: more.names ?? '' });

/** A client that observes, and what it has seen. */
class Observer {
  readonly peer: Peer;
  readonly view = new BusView();
  private readonly reader = new EventReader();

  constructor(asked?: Asked, at = host, on = bus, peer = new Peer(at, on)) {
    this.peer = peer;
    this.peer.say(hello(HelloMode.OBSERVE));
    expect(this.peer.hear().map(({ kind, words }) => [kind, words[3]])).toEqual([['WELCOME', 0]]);
    this.peer.say(observe(asked));
  }

  /** The events that have come since the last call; what waits for more is sent at once. */
  see(): TapEvent[] {
    const { session } = this.peer as unknown as { session: { observation: { due(): void } } };
    if (!this.peer.isEnded) session.observation.due();
    host.flushes.flush();
    const events = this.peer.hear().flatMap(({ kind, body }) => {
      expect(kind).toBe('EVENTS');
      return this.reader.read(Buffer.concat([Buffer.alloc(12), body]));
    });
    for (const event of events) this.view.apply(event);
    return events;
  }
}

/** A client whose bytes stay for a while where the daemon wrote them. */
class LatePeer extends Peer {
  isLate = false;
  private late: Uint8Array[] = [];

  /** Where the bytes lay that the daemon has written. */
  readonly places = new Set<ArrayBufferLike>();

  override write(pieces: readonly Uint8Array[]): void {
    this.late.push(...pieces);
    for (const { buffer } of pieces) this.places.add(buffer);
    if (this.isLate) this.backlog += Buffer.concat(pieces).length;
    else this.arrive();
  }

  arrive(): void {
    const { late } = this;
    this.late = [];
    super.write(late);
    this.drain();
  }
}

/** The error number and the text of the FAREWELL that has ended the connection. */
function farewell(peer: Peer): [number, string] {
  const last = peer.hear().at(-1) as Frame;
  expect([last.kind, peer.isEnded]).toEqual(['FAREWELL', true]);
  return [last.words[0] as number, frameText(last, 1)];
}

describe('A client that observes', () => {
  it('opens no Ksock, uses no id, and leaves no trace in the statistics.', () => {
    new Program(bus).listen('$.News');
    const before = printStats(reportStats(bus));
    const observer = new Observer();
    observer.see();
    expect(printStats(reportStats(bus))).toBe(before);
    expect(new Program(bus).id).toBe(2);
    observer.peer.session.closed();
    expect(bus.observer).toBeNull();
    expect(observer.peer.isEnded).toBe(true);
  });

  it('sees the state of the bus, and what happens, once it is sent.', () => {
    const listener = new Program(bus).listen('$.News');
    const observer = new Observer();
    expect(observer.see().map(({ type }) => type)).toEqual(['begin', 'ksock', 'binding', 'ready']);
    new Program(bus).announce('$.News', { data: 'x' });
    listener.read();
    const types = ['opened', 'set', 'messages', 'queued', 'sent', 'read'];
    expect(observer.see().map(({ type }) => type)).toEqual(types);
    expect(stateOfView(observer.view)).toEqual(stateOfBus(bus));
  });

  it('gets the state again when it asks for it.', () => {
    new Program(bus).listen('$.News');
    const observer = new Observer();
    const first = observer.see().map(({ type }) => type);
    observer.peer.say(frame('OBSERVE', { detail: 1 }));
    expect(observer.see().map(({ type }) => type)).toEqual(first);
    expect(stateOfView(observer.view)).toEqual(stateOfBus(bus));
  });

  it('gets all that happened before it wanted no more, and then the end.', () => {
    const observer = new Observer({ size: MIN_SIZE });
    observer.see();
    observer.peer.reads = false;
    const sender = new Program(bus);
    for (let at = 0; at < 100; at++) sender.announce('$.News', { data: 'x'.repeat(2000) });
    observer.peer.say(frame('OBSERVE', { detail: 2 }));
    expect(bus.observer).toBeNull();
    expect(observer.peer.isEnded).toBe(false);
    sender.announce('$.Late');
    observer.peer.drain();
    const sent = observer.see().filter(({ type }) => type === 'sent');
    expect([sent.length, observer.peer.isEnded]).toEqual([100, true]);
  });

  it('is told at the end how many events were lost, if it read too slowly.', () => {
    const observer = new Observer({ size: MIN_SIZE });
    observer.see();
    observer.peer.reads = false;
    const sender = new Program(bus);
    for (let at = 0; at < 1000; at++) {
      sender.announce('$.News', { data: 'x'.repeat(1000) });
      host.flushes.flush();
    }
    observer.peer.say(frame('OBSERVE', { detail: 2 }));
    observer.peer.drain();
    const events = observer.see();
    expect(events.at(-1)?.type).toBe('lost');
    const seen = events.filter(({ type }) => type === 'messages').length;
    expect(seen + observer.view.lostMessages).toBe(1000);
  });

  it('gets events from the same memory again, once they have arrived; until then they stay.', () => {
    const peer = new LatePeer(host, bus);
    const observer = new Observer({}, host, bus, peer);
    const sender = new Program(bus);
    const seen: string[] = [];
    const see = (): void => {
      for (const event of observer.see()) {
        if (event.type === 'messages') seen.push(...event.messages.map((one) => one.text()));
      }
    };
    let sends = 0;
    const announce = (count: number): void => {
      for (let left = count; left > 0; left--, sends++) {
        sender.announce('$.News', { data: String(sends).padEnd(1000) });
        if (sends % 50 === 0) see();
      }
      see();
    };
    announce(3000);
    // Three megabytes: as many as in twelve slabs.
    expect(peer.places.size).toBeLessThan(6);
    for (let turn = 0; turn < 8; turn++) {
      peer.isLate = true;
      announce(500);
      peer.isLate = false;
      peer.arrive();
      announce(200);
    }
    expect(seen).toEqual(Array.from({ length: sends }, (_, send) => String(send).padEnd(1000)));
  });

  it('of several sees its own filter.', () => {
    const [all, some] = [new Observer(), new Observer({ names: '$.A.* $.B', data: 1 })];
    const program = new Program(bus);
    for (const name of ['$.A.x', '$.B', '$.C']) program.announce(name, { data: 'data' });
    const seen = (observer: Observer): string[] =>
      observer
        .see()
        .flatMap((event) => (event.type === 'messages' ? event.messages : []))
        .map((one) => `${one.name} ${one.text()} of ${one.wholeLength}`);
    expect(seen(all)).toEqual(['$.A.x data of 4', '$.B data of 4', '$.C data of 4']);
    expect(seen(some)).toEqual(['$.A.x d of 4', '$.B d of 4']);
  });

  it('sends one OBSERVE of its version, and no other frame.', () => {
    const wrong: [Buffer[], string][] = [
      [[observe({ version: 7 })], 'the client reads events of version 7, the daemon has version 1'],
      [[observe({ names: '$.A no.name' })], "an OBSERVE with 'no.name' is neither a name nor"],
      [[observe(), observe()], 'a client that observes must send one OBSERVE, and no 15'],
      [[observe(), frame('OBSERVE', { detail: 3 })], 'an OBSERVE with the unknown detail 3'],
      [[frame('OBSERVE', { detail: 1 })], 'a client that observes must send one OBSERVE'],
      [[frame('TAKE')], 'a client that observes must send one OBSERVE, and no 11'],
    ];
    for (const [frames, text] of wrong) {
      const peer = new Peer(host, bus);
      peer.say(hello(HelloMode.OBSERVE), ...frames);
      const [errno, why] = farewell(peer);
      expect(errno).toBe(Errno.EPROTO);
      expect(why).toContain(text);
      expect(bus.observer).toBeNull();
    }
  });

  it('needs the right to observe, which the refusal names.', () => {
    const rights = RIGHTS.filter((right) => right !== 'observe');
    const access = new Access("access point 'guest'", { rights });
    const peer = new Peer(host, bus);
    const session = new Session(host, bus, peer, { ...openEntrance(bus), access });
    const bytes = Uint8Array.from(hello(HelloMode.OBSERVE));
    session.received(bytes, 0, bytes.length);
    const [errno, why] = farewell(peer);
    expect(errno).toBe(Errno.EACCES);
    expect(why).toBe(
      "access point 'guest' does not give the right 'observe'; `kbus access` shows who may do what",
    );
  });
});

describe('An observer that does not read', () => {
  it('loses events, is told how many, and gets the state again; the bus does not wait.', () => {
    const observer = new Observer({ size: MIN_SIZE });
    observer.see();
    observer.peer.reads = false;
    const [sender, listener] = [new Program(bus), new Program(bus).listen('$.News')];
    const data = 'x'.repeat(1000);
    const sends = 2000;
    for (let at = 0; at < sends; at++) {
      expect(sender.announce('$.News', { data })).toBe('ok');
      listener.read();
      host.flushes.flush();
    }
    observer.peer.drain();
    const events = observer.see();
    const count = (type: TapEvent['type']): number => events.filter((e) => e.type === type).length;
    const [lost] = events.filter((event) => event.type === 'lost');
    const at = events.findIndex(({ type }) => type === 'lost');
    expect(events[at + 1]?.type).toBe('begin');
    // Opened, set and bound of both come before.
    expect(count('messages')).toBeLessThan(sends);
    expect(count('messages') + (lost?.messages ?? 0)).toBe(sends);
    const happened = events.filter(
      ({ type }) => !['begin', 'ksock', 'binding', 'ready', 'lost'].includes(type),
    );
    expect(happened.length + (lost?.events ?? 0)).toBe(5 + 4 * sends);
    expect(stateOfView(observer.view)).toEqual(stateOfBus(bus));
    expect(listener.ksock.numMessages).toBe(0);
  });

  it('holds no more memory than it asked for, and a little, counted to its access point.', () => {
    const before = bus.share.held;
    const observer = new Observer({ size: 2 * MEBIBYTE });
    observer.peer.reads = false;
    const sender = new Program(bus);
    // A name that is known has taken its memory.
    sender.announce('$.News');
    const held = [...bus.share.observers][0]?.held ?? 0;
    const ofProgram = bus.share.held - before - held;
    let most = 0;
    for (let at = 0; at < 5000; at++) {
      sender.announce('$.News', { data: 'x'.repeat(1000) });
      host.flushes.flush();
      most = Math.max(most, bus.share.held - before);
    }
    expect(most).toBeGreaterThan(2 * MEBIBYTE - 20_000);
    expect(most).toBeLessThan(2.75 * MEBIBYTE);
    observer.peer.drain();
    observer.see();
    observer.peer.session.closed();
    expect(bus.share.held - before).toBe(ofProgram);
  });

  it('is named where memory lacks, if it holds the most; until it has gone.', () => {
    bus = new Bus({ maxMessages: 100_000, maxMemory: 4 * MEBIBYTE });
    const observer = new Observer({ size: 64 * MEBIBYTE });
    observer.peer.reads = false;
    const program = new Program(bus);
    for (let n = 0; n < 60; n++) program.announce('$.News', { data: 'x'.repeat(50_000) });
    host.flushes.flush();
    expect(bus.memory.mostGreedy).toMatchObject({ id: 0, who: { isClaimed: true } });
    const large = batchOf([record(new Message('$.B', new Uint8Array(3 * MEBIBYTE)))]);
    const { ksock } = program;
    const errno = -ksock.send(large);
    expect(errno).toBe(Errno.ENOMEM);
    expect(ksock.whyRefused(large, errno)).toMatch(
      /; an observer .*holds the most: \d+, with events unread/,
    );
    observer.peer.session.closed();
    expect(bus.memory.mostGreedy?.id).not.toBe(0);
  });

  it('pays with its turn for new names, as for those of listeners: however many its filter has.', () => {
    const names = Array.from({ length: 800 }, (_, n) => `$.%.N${n}.*`).join(' ');
    const observer = new Observer({ names });
    observer.see();
    const program = new Program(bus);
    const stepsOf = (name: string): number => {
      const before = bus.work.done;
      program.announce(name);
      return bus.work.done - before;
    };
    const first = stepsOf('$.New.N7.x');
    const again = stepsOf('$.New.N7.x');
    expect(first - again).toBeGreaterThan(20);
    expect(first).toBeLessThan(100);
    expect(again).toBeLessThan(20);
  });

  it('gets no memory that is not there: it loses events until there is some.', () => {
    bus = new Bus({ maxMessages: 100_000, maxMemory: 4 * MEBIBYTE });
    const observer = new Observer({ size: 64 * MEBIBYTE });
    observer.peer.reads = false;
    const sender = new Program(bus);
    for (let at = 0; at < 10_000; at++) {
      expect(sender.announce('$.News', { data: 'x'.repeat(1000) })).toBe('ok');
      host.flushes.flush();
    }
    expect(bus.memory.free).toBeGreaterThan(1.5 * MEBIBYTE);
    observer.peer.drain();
    observer.see();
    // Not all is sent at once; and what was taken makes room.
    while (observer.see().length > 0);
    expect(observer.view.lostMessages).toBeGreaterThan(0);
    expect(stateOfView(observer.view)).toEqual(stateOfBus(bus));
  });
});

it('An observer for whom there is no memory begins when there is some.', () => {
  bus = new Bus({ maxMessages: 100_000, maxMemory: 4 * MEBIBYTE });
  const program = new Program(bus);
  // It may come in, but no memory is left for events.
  program.ksock.holdForDriver(4 * MEBIBYTE - 300 * 1024);
  const observer = new Observer();
  expect(observer.see()).toEqual([]);
  expect(bus.share.observers.size).toBe(1);
  expect([...bus.share.observers][0]?.held).toBe(COSTS.ksock);
  program.ksock.holdForDriver(0);
  program.listen('$.News');
  while (observer.see().length > 0);
  expect(stateOfView(observer.view)).toEqual(stateOfBus(bus));
});

it('An observer for whose filter there is no memory is told so, and holds nothing.', () => {
  bus = new Bus({ maxMessages: 100_000, maxMemory: 4 * MEBIBYTE });
  const program = new Program(bus);
  const peer = new Peer(host, bus);
  peer.say(hello(HelloMode.OBSERVE));
  peer.hear();
  const names = Array.from({ length: 1000 }, (_, at) => `$.Sensors.n${at}`).join(' ');
  program.ksock.holdForDriver(3 * MEBIBYTE);
  const { held } = bus.memory;
  peer.say(observe({ names }));
  const [farewell] = peer.hear() as [Frame];
  expect([farewell.kind, farewell.words[0]]).toEqual(['FAREWELL', Errno.ENOMEM]);
  expect(frameText(farewell, 1)).toMatch(
    /^no memory is free to observe so many names: programs hold/,
  );
  expect(bus.memory.held - held).toBeLessThan(64 * 1024);
  peer.session.closed();
  expect(bus.memory.held).toBe(held - COSTS.ksock);
});

it('What many observers are shown of one frame comes in turns.', () => {
  const turns: (() => void)[] = [];
  bus = new Bus({ maxMessages: 100_000 });
  Object.assign(bus.work, { limit: TURN_STEPS });
  Object.assign(host, { turns: new Turns(bus.work, (turn) => turns.push(turn), host.flushes) });
  const names = Array.from({ length: 100 }, (_, n) => `$.%.N${n}.*`).join(' ');
  const observers = Array.from({ length: 50 }, () => new Observer({ names }));
  const settle = (): number => {
    let count = 0;
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
      turn();
      count++;
      expect(bus.work.done).toBeLessThan(3 * TURN_STEPS);
    }
    return count;
  };
  settle();
  for (const observer of observers) observer.see();
  const sender = Peer.open(host, bus);
  const news = Array.from({ length: 1000 }, (_, n) => new Message(`$.New.N7.n${n}`));
  bus.work.begin();
  sender.say(messagesFrame('SEND', news, { token: 1 }));
  expect(bus.work.done).toBeLessThan(3 * TURN_STEPS);
  expect(settle()).toBeGreaterThan(10);
  for (const { view } of observers) expect(view.lostMessages).toBe(0);
  const seen = observers[49]?.see().filter(({ type }) => type === 'messages') ?? [];
  expect(seen.length).toBeGreaterThan(50);
  expect(bus.ksocks.get(1)?.messagesSent).toBe(1000);
});

it('The state of a large bus comes in turns, between which others are served and heard of.', () => {
  const turns: (() => void)[] = [];
  const work = { steps: 0 };
  bus = new Bus({ maxMessages: 100_000 });
  const limited = new Turns(
    Object.assign(bus.work, { limit: 100 }),
    (turn) => turns.push(turn),
    host.flushes,
  );
  Object.assign(host, { turns: limited });
  const programs = Array.from({ length: 300 }, () => new Program(bus).listen('$.A', '$.B'));
  bus.work.begin();
  const observer = new Observer();
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    work.steps++;
    turn();
    // Meanwhile programs come, go and bind.
    new Program(bus).listen('$.New');
    programs[work.steps]?.ksock.unbind('$.A', false);
    programs[300 - work.steps]?.ksock.close();
    observer.see();
  }
  expect(work.steps).toBeGreaterThan(5);
  observer.see();
  expect(observer.view.isComplete).toBe(true);
  expect(stateOfView(observer.view)).toEqual(stateOfBus(bus));
});

describe('Clients that ask for the past, and do not read,', () => {
  const lookBack = (): Buffer =>
    Buffer.from(frame('OBSERVE', { detail: ObserveDetail.PAST, words: [EVENTS_VERSION, 1000] }));

  it('are refused before they hold the memory that others need.', () => {
    const limit = 16 * MEBIBYTE;
    bus = new Bus({ maxMemory: limit });
    const block = new Uint8Array(32 * 1024);
    const past = Array.from({ length: 100 }, () => block);
    const keeping: SessionHost = host;
    keeping.historyOf = () => ({ past: () => [...past] }) as unknown as History;
    const peers: Peer[] = [];
    for (let at = 0; at < 100; at++) {
      const peer = Peer.open(host, bus, HelloMode.OBSERVE);
      peer.reads = false;
      peer.say(lookBack());
      peers.push(peer);
    }
    const refused = peers.filter((peer) => peer.isEnded);
    expect(refused.length).toBeGreaterThan(50);
    expect(refused.length).toBeLessThan(100);
    for (const peer of refused) {
      const [errno, why] = farewell(peer);
      expect(errno).toBe(Errno.ENOMEM);
      expect(why).toMatch(
        /^no memory is free for a look at the past: programs hold \d+ bytes of the 16777216 /,
      );
    }
    // What they were sent is within what was counted for them.
    expect(bus.memory.free).toBeGreaterThan(limit / 4);
    for (const peer of peers) peer.session.closed();
    expect(bus.memory.held).toBe(0);
  });

  it('are told why, if the daemon keeps none.', () => {
    const peer = Peer.open(host, bus, HelloMode.OBSERVE);
    peer.say(lookBack());
    expect(farewell(peer)).toEqual([Errno.EINVAL, expect.stringContaining('--history 4MiB')]);
  });
});

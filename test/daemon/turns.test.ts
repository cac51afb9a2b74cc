import { beforeEach, describe, expect, it } from 'vitest';
import { type Flushable, FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { Bus } from '../../src/bus/bus.ts';
import { Memory } from '../../src/bus/memory.ts';
import { type Steps, Work } from '../../src/bus/work.ts';
import { Turns, Worker } from '../../src/daemon/turns.ts';
import { Op } from '../../src/message/calls.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { alikeFrame, frame, hello, messagesFrame } from '../support/frames.ts';
import { call, Host, Peer, send } from './peer.ts';

const LIMIT = 1000;
/** How long a turn may last, and how long a slow step takes. */
const MAX_MS = 4;
const SLOW_STEP_MS = 0.01;
/** What it costs in these tests to send something. */
const SEND_STEPS = 32;

/** Something that happens in turns: what is done, and what is sent. */
class Stage {
  readonly work: Work;
  readonly log: string[] = [];
  readonly flushes = new FlushScheduler();
  readonly turns: Turns;
  private readonly later: (() => void)[] = [];

  /** `maxMs`: how long a turn may last; then it may have a hundred times as many steps. */
  constructor(maxMs?: number) {
    this.work = maxMs === undefined ? new Work(LIMIT) : new Work(100 * LIMIT, maxMs);
    this.turns = new Turns(this.work, (turn) => this.later.push(turn), this.flushes);
  }

  /** The next turn; false if there is none. */
  turn(): boolean {
    const turn = this.later.shift();
    turn?.();
    return turn !== undefined;
  }

  /** Work that a bus has put off. */
  *steps(name: string, count: number): Steps {
    for (let step = 1; step <= count; step++) {
      if (step === count) this.log.push(`${name} done`);
      yield;
    }
  }
}

/** A connection with so many steps of work, which it does while the turn lasts. */
class Connection extends Worker implements Flushable {
  private readonly stage: Stage;
  private readonly name: string;
  left = 0;

  /** `usual`: how many steps it mostly takes. */
  constructor(stage: Stage, name: string, usual: number) {
    super();
    this.stage = stage;
    this.name = name;
    for (let times = 0; times < 50; times++) this.took(usual);
  }

  asks(steps: number): void {
    this.left += steps;
    this.stage.turns.add(this);
  }

  flush(): void {
    this.stage.work.done += SEND_STEPS;
    this.stage.log.push(`${this.name} sends`);
  }

  goOn(): boolean {
    const { work } = this.stage;
    const some = Math.min(this.left, Math.max(0, work.limit - work.done));
    work.done += some;
    this.left -= some;
    if (some > 0) {
      this.stage.log.push(this.name);
      this.stage.flushes.markDirty(this);
    }
    return this.left === 0;
  }
}

describe('A turn', () => {
  it('begins with connections that ask for little, and sends what they get before the rest.', () => {
    const stage = new Stage();
    const greedy = new Connection(stage, 'greedy', 1000);
    const modest = new Connection(stage, 'modest', 10);
    greedy.asks(5000);
    modest.asks(10);
    stage.turn();
    expect(stage.log.slice(0, 2)).toEqual(['modest', 'modest sends']);
    expect(greedy.left).toBeLessThan(5000);
  });

  it('is over after its number of steps, however much has been put off.', () => {
    const stage = new Stage();
    const greedy = new Connection(stage, 'greedy', 1000);
    stage.work.done = LIMIT;
    for (let at = 0; at < 20; at++) stage.work.run(stage.steps('put off', 777));
    greedy.asks(5000);
    let turns = 0;
    for (; stage.turn(); turns++)
      expect(stage.work.done).toBeLessThanOrEqual(LIMIT + 1 + SEND_STEPS);
    expect(greedy.left).toBe(0);
    expect(stage.log.filter((line) => line === 'put off done')).toHaveLength(20);
    expect(turns).toBeGreaterThan(15);
    expect(turns).toBeLessThan(40);
  });

  it('is over before its steps are taken, when it has lasted too long; each kind of work gets on.', () => {
    const stage = new Stage(MAX_MS);
    const { work } = stage;
    let now = 0;
    work.clock = () => now;
    const taken = new Map([
      [10, 0],
      [5000, 0],
    ]);
    for (const usual of taken.keys()) {
      const slow = new (class extends Connection {
        override goOn(): boolean {
          let steps = 0;
          for (; !work.isTurnOver; steps++, work.done++) now += SLOW_STEP_MS;
          taken.set(usual, (taken.get(usual) as number) + steps);
          return false;
        }
      })(stage, 'slow', usual);
      stage.turns.add(slow);
    }
    for (let turns = 0; turns < 10; turns++) {
      const began = now;
      stage.turn();
      expect(now - began).toBeLessThan(taken.size * (MAX_MS + 1000 * SLOW_STEP_MS));
    }
    for (const steps of taken.values()) expect(steps).toBeGreaterThan(1000);
  });

  it('is over when an event before it has lasted too long, but not for those who ask for little.', () => {
    const work = new Work(100_000, MAX_MS);
    let now = 0;
    work.clock = () => now;
    work.tick();
    now += MAX_MS;
    work.done += 1000;
    expect(work.isTurnOver).toBe(true);
    work.tick();
    expect(work.isTurnOver).toBe(true);
    work.spare(10, () => expect(work.isTurnOver).toBe(false));
    expect(work.isTurnOver).toBe(true);
    work.begin();
    expect(work.isTurnOver).toBe(false);
  });

  it('leaves something to each kind of work, if there are steps for all.', () => {
    const stage = new Stage();
    const modest = Array.from({ length: 50 }, (_, at) => new Connection(stage, `modest ${at}`, 50));
    const greedy = new Connection(stage, 'greedy', 1000);
    greedy.asks(100_000);
    stage.work.done = LIMIT;
    stage.work.run(stage.steps('put off', 100_000));
    for (let turns = 0; turns < 10; turns++) {
      for (const one of modest) if (one.left === 0) one.asks(50);
      const before = greedy.left;
      stage.log.length = 0;
      stage.turn();
      expect(before - greedy.left).toBeGreaterThan(0);
      expect(stage.log.filter((line) => /^modest \d+$/.test(line)).length).toBeGreaterThan(5);
      expect(stage.work.isPending).toBe(true);
    }
  });

  it('sends no more when it has lasted long by the clock, though its steps were few.', () => {
    const stage = new Stage();
    let now = 0;
    stage.work.clock = () => now;
    const many = Array.from({ length: 100 }, () => ({ flush: () => void now++ }));
    for (const one of many) stage.flushes.markDirty(one);
    stage.work.tick();
    stage.flushes.flush();
    let turns = 0;
    for (let before = 0; stage.turn(); turns++) {
      expect(now - before).toBeLessThan(10);
      before = now;
    }
    expect(now).toBe(100);
    expect(turns).toBeGreaterThan(10);
  });

  it('serves at least one connection that asks for much, however long it has lasted.', () => {
    const stage = new Stage();
    let now = 0;
    stage.work.clock = () => now;
    const greedy = [1, 2].map((at) => new Connection(stage, `greedy ${at}`, 1000));
    for (const one of greedy) one.asks(10);
    const slow = {
      flush: () => {
        now += 100;
      },
    };
    const modest = new Connection(stage, 'modest', 10);
    modest.asks(10);
    stage.flushes.markDirty(slow);
    stage.turn();
    expect(greedy.map(({ left }) => left)).toEqual([0, 10]);
    stage.turn();
    expect(greedy.map(({ left }) => left)).toEqual([0, 0]);
  });

  it('sends to those who are sent little first, when not all can be sent to.', () => {
    const stage = new Stage();
    const sent: string[] = [];
    const one = (name: string, isSentLittle: boolean): Flushable => ({
      isSentLittle,
      flush: () => {
        stage.work.done += SEND_STEPS;
        sent.push(name);
      },
    });
    for (let at = 0; at < 200; at++) stage.flushes.markDirty(one(`much ${at}`, false));
    stage.flushes.markDirty(one('little', true));
    stage.flushes.flush();
    const before = sent.length;
    expect(before).toBeLessThan(100);
    while (stage.turn());
    expect(sent[before]).toBe('little');
    expect(sent).toHaveLength(201);
    expect(sent.at(-1)).toBe('much 199');
  });

  it('sends something to a part of very many connections, and to those that ask for little first.', () => {
    const stage = new Stage();
    const many = Array.from({ length: 500 }, (_, at) => new Connection(stage, `${at}`, 10));
    for (const one of many) stage.flushes.markDirty(one);
    stage.flushes.flush();
    const sent = stage.log.length;
    expect(sent).toBeLessThan(100);
    const modest = new Connection(stage, 'modest', 10);
    modest.asks(10);
    stage.log.length = 0;
    stage.turn();
    expect(stage.log.slice(0, 2)).toEqual(['modest', 'modest sends']);
    expect(stage.log[2]).toBe(`${sent} sends`);
    let turns = 1;
    for (; stage.turn(); turns++) expect(stage.work.done).toBeLessThan(LIMIT);
    expect(turns).toBeGreaterThan(10);
    expect(sent + stage.log.length - 2).toBe(500);
    expect(stage.log.at(-1)).toBe('499 sends');
  });
});

describe('Work', () => {
  it('that is deferred waits for the next turn; where there are no turns, it is done at once.', () => {
    const stage = new Stage();
    stage.work.defer(stage.steps('deferred', 1));
    expect(stage.log).toEqual([]);
    stage.turns.check();
    stage.turn();
    expect(stage.log).toContain('deferred done');
    const endless = new Work();
    endless.defer(stage.steps('at once', 1));
    expect(stage.log.at(-1)).toBe('at once done');
    expect(endless.isPending).toBe(false);
  });
});

describe('A connection', () => {
  const later: (() => void)[] = [];
  let host: Host;
  let work: Work;
  let bus: Bus;
  beforeEach(() => {
    host = new Host();
    work = new Work(LIMIT);
    bus = new Bus({
      maxMessages: 100_000,
      common: { memory: new Memory(1e9), names: new NameNumbers(), work },
    });
    later.length = 0;
    const turns = new Turns(work, (turn) => later.push(turn), host.flushes);
    Object.assign(host, { turns });
  });

  const open = (): Peer => Peer.open(host, bus);
  const news = new Announcement('$.News', 'x');

  /** All turns that follow; gives their number. */
  function settle(): number {
    let turns = 0;
    for (let turn = later.shift(); turn !== undefined; turn = later.shift()) {
      turn();
      turns++;
      expect(work.done).toBeLessThan(LIMIT + 100);
    }
    return turns;
  }

  it('is not read from while it has work to do; those that have none are, and are served first.', () => {
    const [flooder, reader, modest] = [open(), open(), open()];
    reader.bind('$.*');
    for (let token = 1; token <= 40; token++) {
      modest.say(send(news, token));
      work.begin();
    }
    modest.hear();
    const count = 1000;
    const some = (from: number): Buffer =>
      Buffer.concat(Array.from({ length: count / 2 }, (_, at) => send(news, from + at)));
    flooder.say(some(1));
    expect(flooder.isPaused).toBe(false);
    flooder.say(some(1 + count / 2));
    expect(flooder.isPaused).toBe(true);
    // The turn is over for those that ask for much.
    modest.say(send(news, 100));
    expect(modest.kinds()).toEqual(['SENT']);
    const other = new Peer(host, bus);
    other.say(hello());
    expect([other.isPaused, other.hear()]).toEqual([true, []]);
    flooder.hear();
    later.shift()?.();
    expect(modest.isPaused).toBe(false);
    expect(flooder.isPaused).toBe(true);
    settle();
    expect(flooder.isPaused).toBe(false);
    expect([other.isPaused, other.kinds()]).toEqual([false, ['WELCOME']]);
    expect(bus.ksocks.get(1)?.messagesSent).toBe(count);
  });

  it('whose TAKEs wait gets the messages of one frame in several turns.', () => {
    const [sender, reader] = [open(), open()];
    reader.bind('$.News');
    const count = 1000;
    const takes = Array.from({ length: count }, (_, at) =>
      frame('TAKE', { detail: 1, token: at + 1 }),
    );
    for (const take of takes) {
      reader.say(take);
      work.begin();
    }
    sender.say(alikeFrame('SEND', news, new Array(count).fill('x'), { token: 1 }));
    const first = reader.hear().length;
    expect(first).toBeLessThan(count / 2);
    expect(settle()).toBeGreaterThan(2);
    const all = reader.hear();
    expect(first + all.length).toBe(count);
    expect(all.at(-1)).toMatchObject({ kind: 'TAKEN', token: count });
  });

  it('whose Requests or calls are refused, or that asks for reports, uses up its turn.', () => {
    const peer = open();
    peer.say(alikeFrame('SEND', new Request('$.Nobody'), new Array(400).fill('x'), { token: 1 }));
    expect(settle()).toBeGreaterThan(5);
    expect(peer.kinds()).toEqual(new Array(400).fill('REFUSED'));
    for (const op of [Op.UNBIND, Op.BINDINGS]) {
      work.begin();
      peer.say(...Array.from({ length: 400 }, (_, at) => call(op, at, 0, '$.None')));
      expect(settle()).toBeGreaterThan(5);
      expect(peer.hear()).toHaveLength(400);
    }
  });

  it('that is told of very many Repliers uses up its turn.', () => {
    const [replier, listener] = [open(), open()];
    for (let at = 0; at < 400; at++) {
      replier.bind(`$.Many.n${at}`, true);
      work.begin();
    }
    listener.call(Op.REPORT_REPLIER_BINDS, 1);
    expect(settle()).toBeGreaterThan(1);
    expect(bus.ksocks.get(2)?.numMessages).toBe(400);
  });

  it('that sends very many Requests, or names that are known, uses up its turn.', () => {
    const [sender, replier] = [open(), open()];
    replier.bind('$.Ask', true);
    const count = 400;
    const requests = alikeFrame('SEND', new Request('$.Ask'), new Array(count).fill('x'), {
      token: 1,
    });
    work.begin();
    sender.say(requests);
    expect(work.done).toBeGreaterThan(6 * count);
    settle();
    const names = Array.from({ length: count }, (_, at) => new Announcement(`$.Name.n${at}`));
    const many = messagesFrame('SEND', names, { token: 1000 });
    sender.say(many);
    settle();
    work.begin();
    // All routes are known now.
    sender.say(many);
    expect(work.done).toBeGreaterThan(2 * count);
  });
});

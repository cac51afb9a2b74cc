import { setImmediate as afterMicrotasks } from 'node:timers';
import type { Journal } from '../../chaos/journal.ts';
import { brokenPromises } from '../../chaos/promises.mjs';
import type { Random } from '../../harness/random.mjs';
import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { plainMemory } from '../../src/base/memory.ts';
import { Slab } from '../../src/base/slab.ts';
import type { Timers } from '../../src/base/timers.ts';
import { Bus } from '../../src/bus/index.ts';
import { Memory } from '../../src/bus/memory.ts';
import { BUS_DEFAULTS } from '../../src/bus/settings.ts';
import { type Steps, Work } from '../../src/bus/work.ts';
import { Chunks } from '../../src/daemon/chunks.ts';
import { ReceivePools } from '../../src/daemon/receive-pools.ts';
import type { Session, SessionHost } from '../../src/daemon/session.ts';
import { Turns } from '../../src/daemon/turns.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { KbusError } from '../../src/message/error.ts';
import { heldBy } from './held.ts';
import type { End, Link } from './link.ts';
import { Broken, Lockstep, same } from './lockstep.ts';
import { type Sabotage, Seat } from './seat.ts';
import { drawBytes, drawDeed, SEATS, type Setup, type Step, type Swarm } from './steps.ts';

/** A Ksock whose name another one has bound retries without end: don't wait for that. */
const MAX_TIMERS = 200;

/** While no daemon runs, don't wait for reconnections. */
const MAX_TIMERS_AWAY = 5;

/** More steps than this mean an endless loop. */
const MAX_CALM = 50_000;

/** Sizes of the memory to receive in: most frames are shorter than one, and few longer than the other. */
const POOL_BYTES = [1024, 8192] as const;

const FAULTS: ReadonlySet<Step['step']> = new Set(['stall', 'break', 'restart', 'down']);

/** The counts of one run, or many. */
export interface Figures {
  runs: number;
  steps: number;
  faults: number;
  deeds: number;
  messages: number;
}

/** Turns are over, but the bus puts nothing off: the model does not either. */
class EagerWork extends Work {
  override run(steps: Steps): void {
    while (steps.next().done !== true) this.done++;
  }
}

/**
 * A daemon, its clients and their connections, in one process and without sockets, timers or a
 * clock: only steps change the state.
 */
export class World {
  clock = 1;
  readonly deferred: (() => void)[] = [];
  timers: { id: number; callback: () => void }[] = [];
  private lastTimer = 0;
  links: Link[] = [];
  seats: Seat[];
  lockstep: Lockstep;
  readonly journals: Journal[] = [];
  /** The journals of one daemon: with the next one, ids start again. */
  private life: Journal[] = [];
  private readonly lives: Journal[][] = [this.life];
  readonly host: SessionHost;
  /** No more faults; all programs read until no message is left. */
  isOver = false;
  /** The error of connecting while no daemon runs. */
  away: 'ENOENT' | 'ECONNRESET' | null = null;
  readonly figures: Figures = { runs: 1, steps: 0, faults: 0, deeds: 0, messages: 0 };
  private readonly limit: number;
  private readonly work: Work;
  /** Those of today's daemon. */
  sessions = new Set<Session>();
  private chunks!: Chunks;
  pools!: ReceivePools;
  readonly sabotage: Sabotage;
  private timersRun = 0;
  private failure: unknown = null;

  /** The clients' timers: reconnections and timeouts are steps, too. */
  readonly clientTimers: Timers = {
    now: () => this.clock,
    setTimeout: (callback) => {
      const id = ++this.lastTimer;
      this.timers.push({ id, callback });
      return id;
    },
    clearTimeout: (id) => {
      this.timers = this.timers.filter((timer) => timer.id !== id);
    },
    queueMicrotask: (callback) => {
      queueMicrotask(() => {
        try {
          callback();
        } catch (error) {
          if (!isExpectedThrow(error)) this.fail(error);
        }
      });
    },
  };

  constructor({ limit, turnSteps }: Setup, sabotage: Sabotage = {}) {
    this.limit = limit;
    this.work = new EagerWork(turnSteps);
    this.sabotage = sabotage;
    const world = this;
    const flushes = new FlushScheduler();
    this.host = {
      flushes,
      turns: new Turns(this.work, (turn) => this.deferred.push(turn), flushes),
      get chunks() {
        return world.chunks;
      },
      slab: new Slab(65_536, plainMemory),
      pid: 4242,
      newDevice: async () => -22,
      warn: (text) => this.fail(new Broken(`the daemon warns: ${text}`)),
    };
    this.lockstep = this.newBus();
    this.seats = Array.from({ length: SEATS }, (_, number) => new Seat(this, number));
  }

  private newBus(): Lockstep {
    const common = {
      memory: new Memory(BUS_DEFAULTS.maxMemory),
      names: new NameNumbers(),
      work: this.work,
    };
    const bus = new Bus({ maxMessages: this.limit, common });
    this.sessions = new Set();
    // In half of the runs, messages move as soon as they may. In the others they stay, and more of the memory is used again.
    const mostYoung = this.limit % 2 === 0 ? 0 : Number.POSITIVE_INFINITY;
    this.chunks = new Chunks(
      common.memory,
      common.work,
      mostYoung,
      POOL_BYTES[(this.limit >> 1) & 1],
    );
    this.pools = new ReceivePools(this.chunks);
    this.sabotage.bus?.(bus);
    return new Lockstep(bus);
  }

  newJournal(): Journal {
    const journal: Journal = { name: `j${this.journals.length}`, entries: [] };
    this.journals.push(journal);
    this.life.push(journal);
    return journal;
  }

  fail(error: unknown): void {
    this.failure ??= error;
  }

  /** A program has exited; another may take its seat. */
  replace(seat: Seat): void {
    if (this.seats[seat.number] === seat) this.seats[seat.number] = new Seat(this, seat.number);
  }

  /** Runs all pending promises, and throws what has failed. */
  private async settle(): Promise<void> {
    await new Promise<void>((resolve) => afterMicrotasks(resolve));
    this.lockstep.compare();
    const { bus } = this.lockstep;
    same('memory', bus.memory.held, heldBy(bus, this.sessions));
    if (this.failure !== null) throw this.failure;
  }

  // Steps

  /** Does a step; false if it has no meaning now. */
  async run(step: Step): Promise<boolean> {
    if (step.step === 'rest') {
      await this.calm();
      return true;
    }
    const done = this.apply(step);
    if (done) {
      this.figures.steps++;
      if (step.step === 'deed') this.figures.deeds++;
      if (FAULTS.has(step.step)) this.figures.faults++;
      if (step.step === 'deed' && step.deed.do === 'vanish') this.figures.faults++;
    }
    await this.settle();
    if (step.step === 'deed' && step.deed.do === 'abort') this.seats[step.seat]?.checkGivenUp();
    return done;
  }

  private apply(step: Step): boolean {
    switch (step.step) {
      case 'rest':
        return false;
      case 'deliver': {
        const link = this.links[step.link];
        if (link === undefined || link.stalled[step.from] || !link[step.from].isDeliverable) {
          return false;
        }
        link[step.from].deliver(step.bytes);
        return true;
      }
      case 'leave': {
        const end = this.links[step.link]?.[step.from];
        if (end === undefined || !end.canLeave) return false;
        end.leave(step.bytes, step.told);
        return true;
      }
      case 'flush': {
        const [flush] = this.deferred.splice(step.which, 1);
        flush?.();
        return flush !== undefined;
      }
      case 'timer': {
        const [timer] = this.timers.splice(step.which, 1);
        timer?.callback();
        return timer !== undefined;
      }
      case 'closed': {
        const end = this.links[step.link]?.[step.side];
        if (end === undefined || !end.isBroken || end.isClosed) return false;
        end.close();
        return true;
      }
      case 'stall': {
        const link = this.links[step.link];
        if (link === undefined || link.client.isClosed || link.stalled[step.from]) return false;
        link.stalled[step.from] = true;
        return true;
      }
      case 'resume':
        return this.resume();
      case 'break': {
        const link = this.links[step.link];
        if (link === undefined || link.client.isBroken) return false;
        link.isLost = true;
        link.client.break();
        return true;
      }
      case 'restart':
        this.die();
        this.away = null;
        return true;
      case 'down':
        if (this.away !== null) return false;
        this.die();
        this.away = step.met;
        return true;
      case 'up': {
        const wasAway = this.away !== null;
        this.away = null;
        return wasAway;
      }
      case 'deed':
        return this.seats[step.seat]?.act(step.deed) ?? false;
    }
  }

  /** The daemon dies without a farewell; the next one has a new bus. */
  private die(): void {
    for (const link of this.links) {
      link.isLost = true;
      link.daemon.isDead = true;
      if (!link.client.isClosed) link.client.break();
    }
    this.lockstep = this.newBus();
    this.life = [];
    this.lives.push(this.life);
  }

  private resume(): boolean {
    let any = false;
    for (const { stalled } of this.links) {
      any ||= stalled.client || stalled.daemon;
      stalled.client = false;
      stalled.daemon = false;
    }
    return any;
  }

  /** A step that has a meaning now. */
  draw(random: Random, swarm: Swarm): Step {
    const { deliver, leave, closed } = this.movable();
    const net = {
      deliver: deliver.length > 0 ? swarm.net.deliver : 0,
      leave: leave.length > 0 ? swarm.net.leave : 0,
      flush: this.deferred.length > 0 ? swarm.net.flush : 0,
      timer: this.timers.length > 0 ? swarm.net.timer : 0,
      closed: closed.length > 0 ? swarm.net.closed : 0,
      rest: deliver.length > 0 ? swarm.net.rest : 0,
    };
    const canMove = Object.values(net).some((weight) => weight > 0);
    const canFail = this.links.length > 0 && Object.values(swarm.faults).some((w) => w > 0);
    const kind = random.weighted({
      net: canMove ? swarm.kinds.net : 0,
      deed: swarm.kinds.deed,
      fault: canFail ? swarm.kinds.fault : 0,
    });
    if (kind === 'deed') {
      const seat = random.below(SEATS);
      const isOpen = (this.seats[seat] as Seat).ksock !== null;
      return { step: 'deed', seat, deed: drawDeed(random, swarm, isOpen) };
    }
    if (kind === 'net') {
      switch (random.weighted(net)) {
        case 'deliver':
          return { ...random.pick(deliver), bytes: drawBytes(random, swarm) };
        case 'leave': {
          const told = random.chance(0.5);
          return { ...random.pick(leave), bytes: drawBytes(random, swarm, 200_000), told };
        }
        case 'flush':
          return { step: 'flush', which: random.below(this.deferred.length) };
        case 'rest':
          return { step: 'rest' };
        case 'timer':
          return { step: 'timer', which: random.below(this.timers.length) };
        default:
          return random.pick(closed);
      }
    }
    const fault = random.weighted(swarm.faults);
    const open = this.links.flatMap(({ client }, link) => (client.isClosed ? [] : [link]));
    if (fault === 'down') return { step: 'down', met: random.pick(['ENOENT', 'ECONNRESET']) };
    if (fault === 'restart' || fault === 'up') return { step: fault };
    if (fault === 'resume' || open.length === 0) return { step: 'resume' };
    const link = random.pick(open);
    if (fault === 'break') return { step: 'break', link };
    return { step: 'stall', link, from: random.pick(['client', 'daemon'] as const) };
  }

  private movable(): {
    deliver: (Step & { step: 'deliver' })[];
    leave: { step: 'leave'; link: number; from: 'client' | 'daemon' }[];
    closed: Step[];
  } {
    const deliver: (Step & { step: 'deliver' })[] = [];
    const leave: { step: 'leave'; link: number; from: 'client' | 'daemon' }[] = [];
    const closed: Step[] = [];
    for (const [link, ends] of this.links.entries()) {
      for (const side of ['client', 'daemon'] as const) {
        const end: End = ends[side];
        if (end.isDeliverable && !ends.stalled[side]) {
          deliver.push({ step: 'deliver', link, from: side, bytes: Number.MAX_SAFE_INTEGER });
        }
        if (end.canLeave) leave.push({ step: 'leave', link, from: side });
        if (end.isBroken && !end.isClosed) closed.push({ step: 'closed', link, side });
      }
    }
    return { deliver, leave, closed };
  }

  // The end

  /** Moves all bytes until none is on its way. */
  private async calm(): Promise<void> {
    await this.settle();
    let timersAway = 0;
    const mayRunTimer = (): boolean =>
      this.away === null ? this.timersRun++ < MAX_TIMERS : timersAway++ < MAX_TIMERS_AWAY;
    for (let steps = 0; ; steps++) {
      if (steps > MAX_CALM) throw new Broken(`no rest after ${MAX_CALM} steps`);
      const { deliver, closed } = this.movable();
      const next: Step | undefined =
        this.deferred.length > 0
          ? { step: 'flush', which: 0 }
          : (deliver[0] ??
            closed[0] ??
            (this.timers.length > 0 && mayRunTimer() ? { step: 'timer', which: 0 } : undefined));
      if (next === undefined) return;
      await this.run(next);
    }
  }

  /** All programs read and answer all messages, and close; checks that every promise was kept. */
  async end(): Promise<void> {
    this.resume();
    this.away = null;
    this.timersRun = 0;
    await this.calm();
    this.checkWaits();
    this.isOver = true;
    await this.quiet();
    for (let number = 0; number < SEATS; number++) {
      (this.seats[number] as Seat).close();
      await this.calm();
      await this.quiet();
    }
    await this.calm();
    this.checkNothingLeft();
    const broken = this.lives.flatMap((life) => brokenPromises(life));
    for (const { entries } of this.journals) {
      this.figures.messages += entries.filter(({ e }) => e === 'read' || e === 'answer').length;
    }
    if (broken.length > 0) throw new Broken(broken.join('\n'));
  }

  private async quiet(): Promise<void> {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 2000) throw new Broken('programs read and answer without end');
      let any = false;
      for (const seat of this.seats) {
        if (!seat.isOpen) continue;
        any = seat.answerAll() || any;
        any = seat.readRest() || any;
        await this.calm();
      }
      if (!any) break;
    }
    this.checkWaits();
  }

  private checkWaits(): void {
    for (const seat of this.seats) {
      if (seat.ksock !== null) seat.checkWaits();
      if (seat.isOpening) throw new Broken('a Ksock never finishes opening');
    }
  }

  private checkNothingLeft(): void {
    const { bus } = this.lockstep;
    same('Ksocks left', bus.ksocks.size, 0);
    same('Requests left', bus.queueing.ledger.open, 0);
    same('events left', bus.heldEvents, 0);
    same('sends left', bus.room.sending, 0);
    same('bindings left', [...bus.routes].length, 0);
    for (const { client, daemon } of this.links) {
      if (!client.isClosed || !daemon.isClosed) throw new Broken('a connection is left');
    }
  }
}

/** The error that a loop without an await may throw: the connection was lost. */
export function isExpectedThrow(error: unknown): boolean {
  return error instanceof KbusError && error.code === 'ECONNRESET';
}

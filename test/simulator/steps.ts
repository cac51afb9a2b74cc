import type { Random } from '../../harness/random.mjs';
import { Flag } from '../../src/message/flags.ts';

// The steps of a run. A step is plain JSON and independent: a link or a wait that it refers to is
// an index, resolved when the step is done, and a step without a meaning is skipped. So any
// part of a run is a run, which shrinking needs.

export type Style = 'prompt' | 'slow' | 'never' | 'throws';

/** What a program does with its Ksock. */
export type Deed =
  | { do: 'open'; mode: 'r' | 'rw'; reconnect: boolean }
  | { do: 'bind' | 'unbind'; name: string; replier: boolean }
  | {
      do: 'send' | 'post';
      name: string;
      request: boolean;
      flags: number;
      wait: boolean;
      abortable: boolean;
      size: number;
    }
  | {
      do: 'request';
      name: string;
      flags: number;
      abortable: boolean;
      size: number;
      count?: number;
      /** False: the bus refuses it if a queue is full. */
      wait?: boolean;
    }
  | { do: 'read' | 'stop' | 'flush' }
  | { do: 'wait'; timed?: boolean }
  | { do: 'iterate'; count: number }
  | { do: 'handle'; name: string; replier: boolean; style: Style }
  | { do: 'answer'; which: number; wait: boolean; flags: number }
  | { do: 'abort'; which: number }
  | { do: 'limit'; count: number }
  | { do: 'once' | 'report'; on: boolean }
  | { do: 'resend' | 'discard' | 'writable' | 'close' | 'vanish' };

export type DeedName = Deed['do'];

export type Step =
  /** `bytes` of the bytes that `from` wrote arrive. */
  | { step: 'deliver'; link: number; from: 'client' | 'daemon'; bytes: number }
  /** `bytes` leave the process, and are on their way; `told`: it learns that at once. */
  | { step: 'leave'; link: number; from: 'client' | 'daemon'; bytes: number; told: boolean }
  /** A client flushes. */
  | { step: 'flush'; which: number }
  | { step: 'timer'; which: number }
  /** All bytes arrive, in order, until none is on its way. */
  | { step: 'rest' }
  /** One side learns that the connection has ended. */
  | { step: 'closed'; link: number; side: 'client' | 'daemon' }
  | { step: 'stall'; link: number; from: 'client' | 'daemon' }
  | { step: 'resume' }
  /** The connection is lost. */
  | { step: 'break'; link: number }
  /** The daemon dies, and another one starts. */
  | { step: 'restart' }
  /** The daemon dies, and connecting fails until another one starts. */
  | { step: 'down'; met: 'ENOENT' | 'ECONNRESET' }
  | { step: 'up' }
  | { step: 'deed'; seat: number; deed: Deed };

export const SEATS = 5;

const SENDABLE = ['$.A', '$.A.B', '$.A.B.C', '$.A.d_1-', '$.E'];
const BINDABLE = [...SENDABLE, '$.*', '$.%', '$.A.*', '$.A.%', '$.%.B', '$.A.%.C', '$.%.%.*'];
const EVENTS = '$.KBUS.ReplierBindEvent';

/** What a run begins with. */
export interface Setup {
  /** The limit of every new Ksock's queue. */
  readonly limit: number;
  /** After how many steps of the bus a turn of the daemon is over; without it, never. */
  readonly turnSteps?: number | undefined;
}

/** The weights of the steps in a run; 0: never. */
export interface Swarm extends Setup {
  readonly deeds: Record<DeedName, number>;
  readonly net: Record<'deliver' | 'leave' | 'flush' | 'timer' | 'closed' | 'rest', number>;
  readonly faults: Record<'stall' | 'resume' | 'break' | 'restart' | 'down' | 'up', number>;
  /** Relative to each other. */
  readonly kinds: Record<'net' | 'deed' | 'fault', number>;
  readonly cut: Record<'whole' | 'some' | 'few', number>;
  readonly flags: Record<'none' | 'urgent' | 'fail' | 'wait', number>;
  readonly names: readonly string[];
  readonly bindable: readonly string[];
  readonly requests: number;
  readonly repliers: number;
  readonly waits: number;
  readonly large: number;
  readonly reconnect: number;
  readonly steps: number;
  /** The number of Ksocks open from the start. */
  readonly crowd: number;
}

const USUAL: Record<DeedName, number> = {
  open: 40,
  bind: 12,
  unbind: 5,
  send: 24,
  post: 12,
  request: 14,
  read: 12,
  wait: 8,
  stop: 4,
  flush: 2,
  iterate: 10,
  handle: 4,
  answer: 16,
  abort: 5,
  limit: 3,
  once: 2,
  report: 1,
  resend: 4,
  discard: 3,
  writable: 4,
  close: 3,
  vanish: 2,
};

/** Some a little, some a lot, some never. */
function vary<K extends string>(
  random: Random,
  usual: Readonly<Record<K, number>>,
): Record<K, number> {
  const varied: Record<K, number> = { ...usual };
  for (const key of Object.keys(usual) as K[]) {
    varied[key] = usual[key] * (random.chance(0.25) ? 0 : random.chance(0.3) ? 4 : 1);
  }
  return varied;
}

export function drawSwarm(random: Random): Swarm {
  const calm = random.chance(0.3);
  const deeds = vary(random, USUAL);
  deeds.open = USUAL.open;
  // A Ksock must be able to listen, and one to send.
  deeds.bind ||= USUAL.bind;
  if (deeds.send + deeds.post + deeds.request === 0) deeds.send = USUAL.send;
  const some = (from: readonly string[]): string[] => {
    const chosen = from.filter(() => random.chance(0.6));
    return chosen.length === 0 ? [random.pick(from)] : chosen;
  };
  const names = some(SENDABLE);
  return {
    limit: random.pick([1, 2, 2, 3, 5, 100]),
    deeds,
    net: {
      deliver: 10,
      leave: random.pick([0, 1, 5]),
      flush: random.pick([1, 10, 30]),
      timer: 3,
      closed: 3,
      rest: random.pick([0, 0.2, 3]),
    },
    faults: calm
      ? { stall: 1, resume: 1, break: 0, restart: 0, down: 0, up: 0 }
      : vary(random, { stall: 4, resume: 4, break: 2, restart: 1, down: 1, up: 2 }),
    kinds: { net: random.pick([4, 10, 20]), deed: 6, fault: calm ? 0.05 : random.pick([0.1, 0.5]) },
    cut: vary(random, { whole: 6, some: 3, few: 1 }),
    flags: vary(random, { none: 6, urgent: 2, fail: 2, wait: 3 }),
    names,
    bindable: [...names, ...some(BINDABLE), ...(random.chance(0.15) ? [EVENTS] : [])],
    requests: random.pick([0, 0.3, 0.7]),
    repliers: random.pick([0.2, 0.5, 0.8]),
    waits: random.pick([0, 0.3, 0.8]),
    large: random.chance(0.12) ? random.pick([0.1, 0.6]) : 0,
    reconnect: random.chance(0.25) ? 0.5 : 0,
    steps: random.pick([60, 150, 300, 600]),
    crowd: random.pick([0, 3, SEATS]),
    turnSteps: random.chance(0.4) ? random.pick([1, 2, 3, 10]) : undefined,
  };
}

export function drawDeed(random: Random, swarm: Swarm, isOpen: boolean): Deed {
  if (!isOpen) {
    return {
      do: 'open',
      mode: random.chance(0.1) ? 'r' : 'rw',
      reconnect: random.chance(swarm.reconnect),
    };
  }
  const name = random.pick(swarm.names);
  const flags = drawFlags(random, swarm);
  const size = random.chance(swarm.large)
    ? random.pick([30_000, 200_000]) + random.below(900_000)
    : random.pick([0, 40, 40, random.below(60)]);
  const abortable = random.chance(0.3);
  const deed = random.weighted({ ...swarm.deeds, open: 0 });
  switch (deed) {
    case 'open':
      throw new Error('an open Ksock is not opened');
    case 'bind':
    case 'unbind': {
      const bound = random.pick(swarm.bindable);
      return { do: deed, name: bound, replier: random.chance(swarm.repliers) };
    }
    case 'send':
    case 'post': {
      const request = random.chance(swarm.requests);
      const wait = random.chance(swarm.waits);
      // `wait` sets ALL_OR_WAIT itself.
      const plain = wait ? flags & ~(Flag.ALL_OR_FAIL | Flag.ALL_OR_WAIT) : flags;
      return { do: deed, name, request, flags: plain, wait, abortable, size };
    }
    case 'request':
      return {
        do: deed,
        name,
        flags,
        abortable,
        size,
        count: drawCount(random),
        wait: random.chance(0.6),
      };
    case 'iterate':
      return { do: deed, count: 1 + random.below(random.pick([2, 8, 40])) };
    case 'handle':
      return {
        do: deed,
        name: random.pick(swarm.bindable),
        replier: random.chance(swarm.repliers),
        style: random.pick(['prompt', 'prompt', 'slow', 'never', 'throws']),
      };
    case 'answer':
      return {
        do: deed,
        which: random.below(8),
        wait: random.chance(swarm.waits / 2),
        flags: flags & Flag.URGENT,
      };
    case 'wait':
      return { do: deed, timed: random.chance(0.3) };
    case 'abort':
      return { do: deed, which: random.below(8) };
    case 'limit':
      return { do: deed, count: random.pick([1, 1, 2, 3, 8, 100]) };
    case 'once':
    case 'report':
      return { do: deed, on: random.chance(0.7) };
    default:
      return { do: deed };
  }
}

/** Mostly one. Several of one size are sent in a batch. */
function drawCount(random: Random): number {
  return random.chance(0.3) ? 2 + random.below(10) : 1;
}

function drawFlags(random: Random, swarm: Swarm): number {
  const sum = Object.values(swarm.flags).reduce((all, weight) => all + weight, 0);
  if (sum === 0) return 0;
  switch (random.weighted(swarm.flags)) {
    case 'urgent':
      return Flag.URGENT;
    case 'fail':
      return Flag.ALL_OR_FAIL;
    case 'wait':
      return Flag.ALL_OR_WAIT;
    default:
      return 0;
  }
}

export function drawBytes(random: Random, swarm: Swarm, most = 300): number {
  const { whole, some, few } = swarm.cut;
  if (whole + some + few === 0) return Number.MAX_SAFE_INTEGER;
  switch (random.weighted(swarm.cut)) {
    case 'some':
      return 1 + random.below(most);
    case 'few':
      return 1 + random.below(8);
    default:
      return Number.MAX_SAFE_INTEGER;
  }
}

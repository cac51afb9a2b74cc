// Searches for the legal traffic that costs a daemon the most: time for each step that it counts, time in one turn, and
// memory beyond what it counts. It keeps the worst that it has found, and changes that.
//
//   npm run greed:search -- --minutes 10 [--seed 7]
//   npm run greed:search -- --again FILE      the actions of one conversation, as printed: a line for each; ten times
//
// It fails if a turn takes longer than 10 ms each time, or if a daemon keeps more than twice what it counts.
import { Buffer } from 'node:buffer';
import { openSync, readFileSync, readSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Random } from '../harness/random.mjs';
import { memoryAtRest, Rig } from './rig.mjs';
import {
  call,
  consume,
  credit,
  Flag,
  FrameKind,
  frame,
  Op,
  record,
  SendDetail,
  send,
  take,
} from './wire.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    again: { type: 'string' },
    /** Without judging times: for a machine with other work. */
    untimed: { type: 'boolean', default: false },
  },
});

const MEBIBYTE = 1024 * 1024;
const MAX_MEMORY = 64 * MEBIBYTE;
const CONNECTIONS = 3;
const MAX_OBSERVERS = 20;
/** Most frames of one action, and most bytes of one run. */
const MAX_REPEAT = 4000;
const MAX_BYTES = 16 * MEBIBYTE;
const MAX_TOGETHER_BYTES = 60_000;
const OBSERVE = 'observe';
/** The least of so many further times is what a turn takes. */
const TIMES = 4;
const MUST = { ratio: 2, spare: 16 * MEBIBYTE, turn: 10 };

/**
 * What one connection does some times, each in a chunk of its own or `together`. `name` and `more` choose names, flags, counts.
 *
 * @typedef {{ who: number, do: string, repeat: number, together: boolean, name: number, more: number, size: number }} Action
 * @typedef {{ stepTime: number, turn: number, excess: number, bytes: number, counted: number, real: number, longest: Turn }} Cost
 * @typedef {{ began: number, took: number, steps: number, garbage: number, waited: number }} Turn  times in milliseconds
 */

/** What an observer asks to see. @param {Action} action */
const filterOf = ({ name, more }) =>
  nth(
    [
      '',
      '$.*',
      '$.A.n1 $.M.* $.%.B',
      Array.from({ length: 1000 }, (_, at) => `$.A.%.x${at}.*`).join(' '),
      Array.from({ length: 100 }, (_, at) => `$.%.${'%.'.repeat(400)}x${at}`).join(' '),
    ],
    name + more,
  );

const NAMES = ['$.A', '$.A.B', '$.A.B.C', '$.A.B.C.D.E.F.G.H', `$.${'L'.repeat(900)}`];
const PATTERNS = [...NAMES, '$.*', '$.%', '$.A.*', '$.%.%.*', '$.A.%.C', '$.%.B', '$.%.B.*'];

/** @type {Record<string, (action: Action, at: number) => Uint8Array>} */
const ACTIONS = {
  bind: ({ name, more }, at) =>
    call(Op.BIND, at, more & 1, nth(more & 2 ? [...PATTERNS, `$.N${at}.x`] : PATTERNS, name)),
  'bind anew': ({ more }, at) => call(Op.BIND, at, more & 1, `$.A.n${at}${more & 2 ? '.*' : ''}`),
  'bind a wildcard anew': (_action, at) =>
    call(
      Op.BIND,
      at,
      0,
      `$.${Array.from({ length: 12 }, (_, bit) => ((at >> bit) & 1 ? '%' : 'a')).join('.')}`,
    ),
  unbind: ({ name, more }, at) => call(Op.UNBIND, at, more & 1, nth(PATTERNS, name)),
  'unbind another': ({ more }, at) =>
    call(Op.UNBIND, at, more & 1, `$.A.n${at}${more & 2 ? '.*' : ''}`),
  send: ({ name, more, size }, at) => {
    const options = { flags: flagsOf(more), ...(more & 64 ? { network: 7, serial: 7 } : {}) };
    const one = record(
      nth(NAMES, name),
      more & 128 && countOf(more) === 1 ? size : size & 63,
      options,
    );
    return send(at, detailOf(more), new Array(countOf(more)).fill(one));
  },
  'send anew': ({ more, size }, at) => {
    const records = Array.from({ length: countOf(more) }, (_, one) =>
      record(`$.A.n${at + one}`, size & 63, { flags: flagsOf(more) }),
    );
    return send(at, detailOf(more), records);
  },
  'send deep names': (_action, at) =>
    send(at, SendDetail.QUIET, [record(`$.${new Array(11).fill('a').join('.')}.n${at}`, 0)]),
  'send what no wildcard matches': ({ more, size }, at) => {
    const words = new Array(nth([11, 12, 40], more)).fill('a');
    const records = Array.from({ length: countOf(more) }, (_, one) =>
      record(`$.${words.join('.')}.z${at}.n${one}`, size & 63),
    );
    return send(at, SendDetail.QUIET, records);
  },
  'send thousands of names': ({ more, size }, at) => {
    const length = nth([2000, 4000, 8000], more);
    const first = more & 16 ? at * length : 0;
    const records = Array.from({ length }, (_, one) => record(`$.M.n${first + one}`, size & 15));
    return send(at, detailOf(more & ~1), records);
  },
  // All but the first have only the length of their data.
  'send thousands alike': ({ name, more }, at) => {
    const length = nth([1000, 4000, 16_000], more);
    const same = Buffer.alloc((length - 1) * 4);
    for (let one = 0; one < same.length; one += 4) same[one] = 0x80;
    const records = Buffer.concat([
      record(nth(NAMES, name), 0, { flags: flagsOf(more & ~1) }),
      same,
    ]);
    return frame(FrameKind.SEND, detailOf(more & ~1), 0, at, [length, 0, 0], records);
  },
  take: (_action, at) => take(at),
  'take without waiting': (_action, at) => frame(FrameKind.TAKE, 0, 0, at, []),
  credit: ({ size }) => credit(size),
  consume: ({ size }) => consume(size & 0xffff),
  cancel: ({ repeat }, at) => call(Op.CANCEL, at, repeat - at),
  forget: ({ repeat }, at) => call(Op.FORGET, at, repeat - at),
  limit: ({ size }, at) => call(Op.MAX_MESSAGES, at, 1 + size),
  report: ({ more }, at) => call(Op.REPORT_REPLIER_BINDS, at, more & 1),
  once: ({ more }, at) => call(Op.WANT_MESSAGES_ONCE, at, more & 1),
  discard: (_action, at) => call(Op.DISCARD, at, 0),
  poll: ({ more }, at) => call(Op.POLL, at, more & 1),
  reports: ({ more }, at) => call(more & 1 ? Op.STATS : Op.BINDINGS, at, 0),
  recall: (_action, at) => call(Op.RECALL, at, 0),
};

/** @template T @param {readonly T[]} all @param {number} index */
const nth = (all, index) => /** @type {T} */ (all[index % all.length]);
const countOf = (/** @type {number} */ more) => nth([1, 1, 10, 100], more >> 8);

/** @param {number} more */
function flagsOf(more) {
  const kind = nth([0, Flag.ALL_OR_WAIT, Flag.ALL_OR_FAIL, 0], more >> 4);
  return (more & 1 ? Flag.WANT_A_REPLY : 0) | (more & 2 ? Flag.URGENT : 0) | kind;
}

const detailOf = (/** @type {number} */ more) =>
  SendDetail.QUIET | (more & 1 ? SendDetail.ANSWERED | SendDetail.ROOM : 0) | SendDetail.WAIT;

/** Shorter turns are not looked at. */
const LONG_MS = 2;

/** The collections of garbage since the list was emptied, in milliseconds. @type {{ from: number, to: number }[]} */
const collections = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries())
    collections.push({ from: startTime, to: startTime + duration });
}).observe({ entryTypes: ['gc'] });

/** Gives for how many milliseconds this thread has been ready to work, but no CPU was free for it (Linux; elsewhere 0). */
const readyFor = (() => {
  try {
    const file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
    const bytes = Buffer.alloc(100);
    return () =>
      Number(bytes.toString('latin1', 0, readSync(file, bytes, 0, 100, 0)).split(' ')[1]) / 1e6;
  } catch {
    return () => 0;
  }
})();

/** How long the turn worked itself. @param {Turn} turn */
const ownTime = ({ took, garbage, waited }) => Math.max(0, took - garbage - waited);

/** @param {readonly Action[]} actions @returns {Promise<Cost>} */
async function costOf(actions) {
  const before = await memoryAtRest();
  collections.length = 0;
  /** @type {Turn[]} */
  const long = [];
  const timed = (/** @type {() => void} */ what) => {
    const before = work.done;
    const ready = readyFor();
    const began = performance.now();
    what();
    const took = performance.now() - began;
    if (took <= LONG_MS) return;
    // A turn counts anew.
    const steps = work.done < before ? work.done : work.done - before;
    long.push({ began, took, steps, garbage: 0, waited: readyFor() - ready });
  };
  const none = { began: 0, took: 0, steps: 0, garbage: 0, waited: 0 };
  const cost = { stepTime: 0, turn: 0, excess: 0, bytes: 0, counted: 0, real: 0, longest: none };
  const rig = new Rig(MAX_MEMORY, timed);
  const { bus, memory, work } = rig;
  const ends = Array.from({ length: CONNECTIONS }, (_, at) => rig.connect(at !== 1));
  for (const action of actions) {
    if (action.do === OBSERVE) {
      const { more, size } = action;
      if (ends.length < CONNECTIONS + MAX_OBSERVERS)
        ends.push(rig.observe(filterOf(action), size, more << 12, (more & 1) === 0));
      continue;
    }
    const make = /** @type {(typeof ACTIONS)[string]} */ (ACTIONS[action.do]);
    const client = /** @type {ReturnType<Rig['connect']>} */ (ends[action.who]);
    /** @type {Uint8Array[]} */
    let frames = [];
    let gathered = 0;
    const put = () => {
      cost.bytes += gathered;
      rig.send(client, Buffer.concat(frames));
      frames = [];
      gathered = 0;
    };
    for (let at = 1; at <= action.repeat && cost.bytes < MAX_BYTES; at++) {
      const bytes = make(action, at);
      frames.push(bytes);
      gathered += bytes.length;
      if (!action.together || gathered > MAX_TOGETHER_BYTES) put();
    }
    if (gathered > 0) put();
  }
  rig.settle();
  cost.counted = memory.held;
  cost.real = (await memoryAtRest()) - before;
  cost.excess = (cost.real - MUST.spare) / Math.max(MEBIBYTE, cost.counted);
  // A connection that ends is work, too.
  for (const { session } of ends) {
    timed(() => session.closed());
    rig.settle();
  }
  if (bus.ksocks.size > 0) throw new Error('a Ksock is left');
  // What was collected is told a moment later.
  await new Promise(setImmediate);
  for (const turn of long) {
    const { began, took, steps } = turn;
    for (const { from, to } of collections)
      turn.garbage += Math.max(0, Math.min(began + took, to) - Math.max(began, from));
    const own = ownTime(turn);
    if (own > LONG_MS) cost.stepTime = Math.max(cost.stepTime, (own * 1000) / Math.max(1, steps));
    if (own > cost.turn) Object.assign(cost, { turn: own, longest: turn });
  }
  return cost;
}

if (values.again !== undefined) {
  const lines = readFileSync(values.again, 'utf8').trim().split('\n');
  const actions = lines.map((line) => /** @type {Action} */ (JSON.parse(line)));
  for (let times = 0; times < 10; times++) console.log(JSON.stringify(await costOf(actions)));
  process.exit();
}

const random = new Random(Number(values.seed));

/** @returns {Action} */
const drawn = () => ({
  who: random.below(CONNECTIONS),
  do: random.pick([OBSERVE, ...Object.keys(ACTIONS)]),
  repeat: random.pick([1, 1, 10, 100, 1000, MAX_REPEAT]),
  together: random.chance(0.5),
  name: random.below(16),
  more: random.below(1024),
  size: random.pick([0, 1, 16, 1000, 60_000, 1_000_000]),
});

/** @param {readonly Action[]} actions */
function mutated(actions) {
  const changed = actions.map((action) => ({ ...action }));
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(changed.length + 1);
    const action = changed[at];
    if (action === undefined || random.chance(0.3)) changed.splice(at, 0, drawn());
    else if (random.chance(0.25)) changed.splice(at, 1);
    else if (random.chance(0.35)) changed.splice(random.below(changed.length), 0, { ...action });
    else {
      const other = drawn();
      const key = random.pick(
        /** @type {(keyof Action)[]} */ (['who', 'repeat', 'together', 'name', 'more', 'size']),
      );
      Object.assign(action, { [key]: other[key] });
    }
  }
  return changed.slice(0, 24);
}

/** The worst of each kind. @type {Record<'stepTime' | 'turn' | 'excess', { cost: number, all: Cost | null, actions: Action[] }>} */
const worst = {
  stepTime: { cost: 0, all: null, actions: [] },
  turn: { cost: 0, all: null, actions: [] },
  excess: { cost: 0, all: null, actions: [] },
};
const kinds = /** @type {(keyof typeof worst)[]} */ (Object.keys(worst));
const until = performance.now() + Number(values.minutes) * 60_000;
let tried = 0;
for (; performance.now() < until; tried++) {
  const base = worst[random.pick(kinds)].actions;
  const actions =
    base.length === 0 || random.chance(0.1) ? Array.from({ length: 8 }, drawn) : mutated(base);
  let cost = await costOf(actions);
  for (const kind of kinds) {
    if (cost[kind] <= worst[kind].cost) continue;
    // Once is chance: other programs slow down memory, and the machine may itself share its CPUs.
    for (let times = kind === 'excess' ? 1 : TIMES; times > 0; times--) {
      if (cost[kind] <= worst[kind].cost) break;
      const again = await costOf(actions);
      if (again[kind] < cost[kind]) cost = { ...cost, [kind]: again[kind], longest: again.longest };
    }
    if (cost[kind] > worst[kind].cost) worst[kind] = { cost: cost[kind], all: cost, actions };
  }
}
console.log(`seed ${values.seed}: ${tried} conversations`);
const told = {
  stepTime: 'µs for a step, at most',
  turn: 'ms in one turn, at most',
  excess: `times as much memory as is counted (beyond ${MUST.spare / MEBIBYTE} MiB), at most`,
};
for (const kind of kinds) {
  const { cost, all, actions } = worst[kind];
  console.log(`${cost.toFixed(2)} ${told[kind]}; ${JSON.stringify(all)}`);
  for (const action of actions) console.log(`  ${JSON.stringify(action)}`);
}
const isSlow = !values.untimed && worst.turn.cost > MUST.turn;
process.exitCode = isSlow || worst.excess.cost > MUST.ratio ? 1 : 0;

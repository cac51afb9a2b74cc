// Greedy Ksocks, as many as may come in, each of which holds as much as it may: does a witness that holds little still find
// room (spec 1 §14.1)?
//
//   node greed/room.mjs
//
// It prints a line of JSON for each kind of greed: how many Ksocks there were, which part of the memory they held, and how many
// of ten Requests of the witness were answered.
import { Buffer } from 'node:buffer';
import { EVENTS_VERSION } from '../dist/tap/events.js';
import { wordsFrame } from '../dist/wire/frame.js';
import { FrameKind, HelloMode } from '../dist/wire/protocol.js';
import { Rig } from './rig.mjs';
import {
  call,
  consume,
  credit,
  Flag,
  frame,
  Op,
  record,
  SendDetail,
  send,
  take,
  UNLIMITED,
} from './wire.mjs';

const MEMORY = 8 * 1024 * 1024;
const MAX_KSOCKS = 400;
/** How many come in before others fill the memory. */
const EARLY_KSOCKS = 150;
const QUIET = SendDetail.QUIET;
const LONG = 'x'.repeat(900);

/** No further Ksock may come in. */
class Full extends Error {}

/** @typedef {ReturnType<Rig['connect']>} Client */
/** @typedef {import('../dist/bus/ksock-state.js').KsockState} KsockState */

/** A Ksock whose queue has no limit of messages. @param {Rig} rig */
function hoarder(rig, reads = true) {
  const client = enter(rig, reads);
  rig.send(client, call(Op.MAX_MESSAGES, 1, UNLIMITED));
  return client;
}

/** @param {Rig} rig */
function enter(rig, reads = true) {
  if (!rig.bus.share.admits) throw new Full();
  return rig.connect(reads);
}

/** The Ksock that was opened last. @param {Rig} rig */
const newest = (rig) => /** @type {KsockState} */ ([...rig.bus.ksocks.values()].at(-1));

/** Queues of messages of so many bytes. @param {number} size */
const queues =
  (size, prefetched = false) =>
  (/** @type {Rig} */ rig) => {
    const sender = enter(rig);
    const one = (/** @type {string} */ name) => send(1, QUIET, [record(name, size)]);
    return (/** @type {number} */ at) => {
      const name = `$.G.n${at}`;
      const client = hoarder(rig, !prefetched);
      rig.send(client, call(Op.BIND, 2, 0, name));
      if (prefetched) rig.send(client, credit(UNLIMITED));
      for (let sent = 0; sent < MEMORY / 16; sent += size) rig.send(sender, one(name));
    };
  };

/** Calls that each Ksock makes. @param {number} count @param {(at: number, of: number) => Uint8Array} made */
const calls =
  (count, made, reads = true) =>
  (/** @type {Rig} */ rig) =>
  (/** @type {number} */ of) => {
    const client = enter(rig, reads);
    for (let at = 1; at <= count; at++) rig.send(client, made(at, of));
  };

/** Many come in, others fill the memory, and then each of the many does it. @param {() => Uint8Array} made */
const late =
  (made, reads = false) =>
  (/** @type {Rig} */ rig) => {
    const early = Array.from({ length: EARLY_KSOCKS }, () => enter(rig, reads));
    fill(rig);
    for (const client of early) rig.send(client, made());
  };

/** @param {number} count @param {(at: number) => Uint8Array} made */
const inOneWrite = (count, made) =>
  Buffer.concat(Array.from({ length: count }, (_, at) => made(at + 1)));

/** @param {Rig} rig */
function fill(rig) {
  const more = queues(500)(rig);
  for (let at = 0; at < 60 && rig.bus.share.admits; at++) more(at);
}

/** Some have as many Requests read as they may, and read no answers. @param {(rig: Rig, replier: Client, to: number, serials: number[]) => void} answer */
const unread = (answer) => (/** @type {Rig} */ rig) => {
  const replier = hoarder(rig);
  rig.send(replier, call(Op.BIND, 1, 1, '$.G'));
  rig.send(replier, credit(UNLIMITED));
  /** @type {[number, number[]][]} */
  const asked = [];
  for (let at = 0; at < 30; at++) {
    const client = hoarder(rig);
    const ksock = newest(rig);
    const serials = [];
    while (ksock.takes(100)) {
      rig.send(client, send(1, QUIET, [record('$.G', 0, { flags: Flag.WANT_A_REPLY })]));
      rig.send(replier, consume(1));
      serials.push(ksock.lastSerial);
    }
    asked.push([ksock.id, serials]);
  }
  for (const [to, serials] of asked) answer(rig, replier, to, serials);
};

/**
 * Prepares, and gives what each further Ksock does; or does all.
 *
 * @type {Record<string, (rig: Rig) => ((at: number) => void) | void>}
 */
const KINDS = {
  'a queue of small messages': queues(500),
  'a queue of large messages': queues(60_000),
  'messages that were prefetched, and are not read': queues(2000, true),
  'half a frame': calls(1, () => send(1, QUIET, [record('$.None', 60_000)]).subarray(0, 59_000)),
  'half a frame of two pieces': calls(1, () =>
    send(1, QUIET, [record('$.None', 400_000)]).subarray(0, 100_000),
  ),
  bindings: calls(300, (at, of) => call(Op.BIND, at, 0, `$.B${of}.n${at}.${LONG}`)),
  'TAKEs that wait': calls(1000, (at) => take(at)),
  'reports that are not read': (rig) => {
    const binder = enter(rig);
    for (let at = 0; at < 500; at++) rig.send(binder, call(Op.BIND, at, 0, `$.N${at}`));
    return calls(200, (at) => call(Op.BINDINGS, at, 0), false)(rig);
  },
  'refusals that nobody reads': calls(
    400,
    (at) => send(at, 0, [record(`$.No.${LONG}`, 0, { flags: Flag.WANT_A_REPLY })]),
    false,
  ),
  'errors of calls that nobody reads': calls(
    400,
    (at) => call(Op.UNBIND, at, 0, `$.No.${LONG}`),
    false,
  ),
  'sends that wait': (rig) => {
    const listener = enter(rig);
    rig.send(listener, call(Op.MAX_MESSAGES, 1, 1));
    rig.send(listener, call(Op.BIND, 2, 0, '$.G'));
    const one = record('$.G', 1000, { flags: Flag.ALL_OR_WAIT });
    return calls(300, (at) => send(at, QUIET | SendDetail.WAIT, [one]))(rig);
  },
  'Requests that were read, and are not answered': (rig) => {
    const replier = hoarder(rig);
    const ksock = newest(rig);
    rig.send(replier, call(Op.BIND, 2, 1, '$.G'));
    const many = new Array(100).fill(record('$.G', 0, { flags: Flag.WANT_A_REPLY }));
    let token = 0;
    return () => {
      const client = hoarder(rig);
      for (let at = 0; at < 20; at++) {
        rig.send(client, send(at * 100 + 1, QUIET | SendDetail.ANSWERED, many));
        while (ksock.numMessages > 0) rig.send(replier, take(++token));
      }
    };
  },
  'answers that nobody reads': (rig) => {
    const replier = hoarder(rig);
    rig.send(replier, call(Op.BIND, 2, 1, '$.G'));
    rig.send(replier, credit(UNLIMITED));
    const detail = QUIET | SendDetail.ANSWERED;
    return () => {
      const client = enter(rig, false);
      const ksock = newest(rig);
      for (let at = 1; at <= 20; at++) {
        rig.send(client, send(at, detail, [record('$.G', 0, { flags: Flag.WANT_A_REPLY })]));
        const reply = record('$.G', 8000, { to: ksock.id, reply: ksock.lastSerial });
        rig.send(replier, send(at, QUIET, [reply]));
      }
    };
  },
  'small Replies in queues': unread((rig, replier, to, serials) => {
    for (const reply of serials)
      rig.send(replier, send(1, QUIET, [record('$.G', 150, { to, reply })]));
  }),
  'Statuses in queues': unread((rig, replier) => rig.send(replier, call(Op.CLOSE, 1, 0))),
  'many calls in one write, whose answers nobody reads': late(() =>
    inOneWrite(3000, (at) => call(Op.NUM_MESSAGES, at, 0)),
  ),
  'two reports at once that nobody reads': late(() => inOneWrite(2, (at) => call(Op.STATS, at, 0))),
  'many reports in one write that nobody reads': late(() =>
    inOneWrite(3000, (at) => call(Op.STATS, at, 0)),
  ),
  'refusals in one write that nobody reads': late(() =>
    inOneWrite(64, (at) => send(at, 0, [record(`$.No.${LONG}`, 0, { flags: Flag.WANT_A_REPLY })])),
  ),
  'acknowledgements in one write that nobody reads': late(() =>
    inOneWrite(1500, (at) => send(at * 3, 0, [record('$.No', 0)])),
  ),
  'half a small frame': late(
    () => send(1, QUIET, [record('$.None', 4000)]).subarray(0, 3990),
    true,
  ),
  'nearly all of a frame': late(
    () => send(1, QUIET, [record('$.None', 60_000)]).subarray(0, 57_000),
    true,
  ),
  'nearly all of a frame of several messages': late(
    () => send(1, QUIET, new Array(14).fill(record('$.None', 1000))).subarray(0, 14_000),
    true,
  ),
  'filters of programs that came in before': (rig) => {
    const early = Array.from({ length: 10 }, () => rig.connect(true, HelloMode.OBSERVE));
    fill(rig);
    const names = Array.from({ length: 1000 }, (_, at) => `$.G.n${at}.${LONG.slice(0, 40)}`);
    const words = [EVENTS_VERSION, 15, UNLIMITED, 0];
    const observe = wordsFrame(FrameKind.OBSERVE, 0, 0, 0, words, names.join(' '));
    for (const client of early) rig.send(client, observe);
  },
  'connections that are not Ksocks until the memory is full': (rig) => {
    const early = Array.from({ length: 256 }, () => rig.call());
    fill(rig);
    for (const [at, client] of early.entries()) {
      rig.greet(client);
      rig.send(client, call(Op.BIND, 1, 0, `$.Early.n${at}`));
      for (const size of [3000, 4000])
        rig.send(client, send(1, QUIET, [record(`$.Early.n${at}`, size)]));
    }
  },
};

/** How many of ten Requests of the witness are answered. @param {Rig} rig @param {Client} asker @param {Client} replier */
function answers(rig, asker, replier) {
  const [ksock] = /** @type {[KsockState]} */ ([...rig.bus.ksocks.values()]);
  let answered = 0;
  for (let token = 1; token <= 10; token++) {
    rig.send(replier, frame(FrameKind.CREDIT, 0, token > 1 ? 1 : 0, 0, [1]));
    const request = record('$.Witness', 100, { flags: Flag.WANT_A_REPLY });
    rig.send(asker, send(token, SendDetail.ANSWERED, [request]));
    if (ksock.outstanding.size === 0) break;
    const reply = record('$.Witness', 300, { to: ksock.id, reply: ksock.lastSerial });
    rig.send(replier, send(token, QUIET, [reply]));
    rig.settle();
    if (ksock.outstanding.size > 0) break;
    answered++;
  }
  return answered;
}

for (const [name, kind] of Object.entries(KINDS)) {
  const rig = new Rig(MEMORY);
  const [asker, replier] = [rig.connect(), rig.connect()];
  rig.send(replier, call(Op.BIND, 1, 1, '$.Witness'));
  try {
    const more = kind(rig);
    for (let at = 0; more !== undefined && at < MAX_KSOCKS; at++) more(at);
  } catch (error) {
    if (!(error instanceof Full)) throw error;
  }
  rig.settle();
  const held = rig.memory.held / MEMORY;
  const ksocks = rig.bus.ksocks.size;
  console.log(JSON.stringify({ name, ksocks, held, answers: answers(rig, asker, replier) }));
}

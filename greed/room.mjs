// Greedy Ksocks, as many as may come in, each of which holds as much as it may: does a witness that holds little still find
// room (spec 1 §14.1)?
//
//   node greed/room.mjs
//
// It prints a line of JSON for each kind of greed: how many Ksocks there were, which part of the memory they held, and how many
// of ten Requests of the witness were answered.
import { FrameKind } from '../dist/wire/protocol.js';
import { Rig } from './rig.mjs';
import {
  call,
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

/**
 * Prepares, and gives what each further Ksock does.
 *
 * @type {Record<string, (rig: Rig) => (at: number) => void>}
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
    for (let at = 0; at < MAX_KSOCKS; at++) more(at);
  } catch (error) {
    if (!(error instanceof Full)) throw error;
  }
  rig.settle();
  const held = rig.memory.held / MEMORY;
  const ksocks = rig.bus.ksocks.size;
  console.log(JSON.stringify({ name, ksocks, held, answers: answers(rig, asker, replier) }));
}

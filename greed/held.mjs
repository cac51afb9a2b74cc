// Compares what a daemon counts with what it holds, structure by structure: what is counted must be the more (spec 1 §14.1).
//
//   node --expose-gc greed/held.mjs
//
// It prints a line of JSON for each: so many, and the bytes that each is counted as and takes.
import { memoryAtRest, Rig } from './rig.mjs';
import {
  call,
  credit,
  Flag,
  FrameKind,
  frame,
  Op,
  record,
  SendDetail,
  send,
  take,
  UNLIMITED,
} from './wire.mjs';

const MEBIBYTE = 1024 * 1024;
const QUIET = SendDetail.QUIET;
const request = (/** @type {string} */ name, size = 0) =>
  record(name, size, { flags: Flag.WANT_A_REPLY });

/** @typedef {ReturnType<Rig['connect']>} Client */

/**
 * What is there before (gives what `all` needs), and then makes `count` of the structure.
 *
 * @type {Record<string, { count: number, before(rig: Rig): any, all(rig: Rig, it: any, count: number): void }>}
 */
const CASES = {
  'a connection with a Ksock': {
    count: 5000,
    before: () => ({}),
    all: (rig, it, count) => {
      it.all = Array.from({ length: count }, () => rig.connect());
    },
  },
  'a binding of a short name': {
    count: 20_000,
    before: (rig) => rig.connect(),
    all: (rig, client, count) => {
      for (let at = 0; at < count; at++) rig.send(client, call(Op.BIND, at, 0, `$.N${at}`));
    },
  },
  'a binding of a name of 1,000 characters': {
    count: 5000,
    before: (rig) => rig.connect(),
    all: (rig, client, count) => {
      const rest = 'x'.repeat(990);
      for (let at = 0; at < count; at++) rig.send(client, call(Op.BIND, at, 0, `$.N${at}.${rest}`));
    },
  },
  'a binding of a name of many words': {
    count: 5000,
    before: (rig) => rig.connect(),
    all: (rig, client, count) => {
      const rest = new Array(400).fill('x').join('.');
      for (let at = 0; at < count; at++) rig.send(client, call(Op.BIND, at, 0, `$.N${at}.${rest}`));
    },
  },
  'a binding of a wildcard that shares half of its words': {
    count: 8000,
    before: (rig) => rig.connect(),
    all: (rig, client, count) => {
      for (let at = 0; at < count; at++) {
        const words = Array.from({ length: 14 }, (_, bit) => ((at >> bit) & 1 ? '%' : 'a'));
        rig.send(client, call(Op.BIND, at, 0, `$.${words.join('.')}.*`));
      }
    },
  },
  'one of 16 bindings of a Replier': {
    count: 20_000,
    before: (rig) => rig.connect(),
    all: (rig, client, count) => {
      for (let at = 0; at < count; at++) rig.send(client, call(Op.BIND, at, 1, `$.N${at}`));
    },
  },
  'a message without data that nobody reads': {
    count: 50_000,
    before: (rig) => listener(rig),
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++) rig.send(sender, send(at, QUIET, [record('$.N', 0)]));
    },
  },
  'a message of 100 bytes': {
    count: 20_000,
    before: (rig) => listener(rig),
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++) rig.send(sender, send(at, QUIET, [record('$.N', 100)]));
    },
  },
  'one of 100 messages of a frame': {
    count: 50_000,
    before: (rig) => listener(rig),
    all: (rig, { sender }, count) => {
      const many = new Array(100).fill(record('$.N', 20));
      for (let at = 0; at < count; at += 100) rig.send(sender, send(at, QUIET, many));
    },
  },
  'a message of 100,000 bytes': {
    count: 200,
    before: (rig) => listener(rig),
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++)
        rig.send(sender, send(at, QUIET, [record('$.N', 100_000)]));
    },
  },
  'a copy of a message for another listener': {
    count: 20_000,
    before: (rig) => {
      const all = Array.from({ length: 20 }, () => listener(rig));
      return all[0];
    },
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at += 20) rig.send(sender, send(at, QUIET, [record('$.N', 0)]));
    },
  },
  'a Request that nobody has read': {
    count: 20_000,
    before: (rig) => listener(rig, 1),
    all: (rig, { sender }, count) => {
      const detail = QUIET | SendDetail.ANSWERED;
      for (let at = 0; at < count; at++) rig.send(sender, send(at + 1, detail, [request('$.N')]));
    },
  },
  'one of 100 Requests of a frame that nobody has read': {
    count: 20_000,
    before: (rig) => listener(rig, 1),
    all: (rig, { sender }, count) => {
      const many = new Array(100).fill(request('$.N'));
      const detail = QUIET | SendDetail.ANSWERED;
      for (let at = 0; at < count; at += 100) rig.send(sender, send(at + 1, detail, many));
    },
  },
  'a Request that was read and is not answered': {
    count: 20_000,
    before: (rig) => listener(rig, 1),
    all: (rig, { client, sender }, count) => {
      const many = new Array(100).fill(request('$.N'));
      for (let at = 0; at < count; at += 100) {
        rig.send(sender, send(at + 1, QUIET | SendDetail.ANSWERED, many));
        for (let one = 0; one < 100; one++) rig.send(client, take(at + one + 1));
      }
    },
  },
  'a Request with the id of a Limpet': {
    count: 20_000,
    before: (rig) => listener(rig, 1),
    all: (rig, { sender }, count) => {
      const detail = QUIET | SendDetail.ANSWERED;
      for (let at = 0; at < count; at++) {
        const options = { flags: Flag.WANT_A_REPLY, network: 7, serial: at + 1 };
        rig.send(sender, send(at + 1, detail, [record('$.N', 0, options)]));
      }
    },
  },
  'a Request that waits for room': {
    count: 20_000,
    before: (rig) => {
      const it = listener(rig, 1);
      rig.send(it.client, call(Op.MAX_MESSAGES, 2, 1));
      return it;
    },
    all: (rig, { sender }, count) => {
      const detail = QUIET | SendDetail.ANSWERED | SendDetail.ROOM;
      for (let at = 0; at < count; at++) rig.send(sender, send(at + 1, detail, [request('$.N')]));
    },
  },
  'a message behind one that waits': {
    // A connection may have 8,192 pending sends.
    count: 8000,
    before: (rig) => {
      const it = listener(rig);
      rig.send(it.client, call(Op.MAX_MESSAGES, 2, 1));
      return it;
    },
    all: (rig, { sender }, count) => {
      const one = record('$.N', 0, { flags: Flag.ALL_OR_WAIT });
      for (let at = 0; at < count; at++) rig.send(sender, send(at, QUIET | SendDetail.WAIT, [one]));
    },
  },
  'a TAKE that waits': {
    count: 60_000,
    before: (rig) => rig.connect(),
    all: (rig, client, count) => {
      for (let at = 0; at < count; at++) rig.send(client, take(at + 1));
    },
  },
  'a POLL that waits': {
    count: 60_000,
    before: (rig) => {
      const it = listener(rig);
      rig.send(it.client, call(Op.MAX_MESSAGES, 2, 1));
      const one = record('$.N', 0, { flags: Flag.ALL_OR_WAIT });
      for (let at = 1; at < 3; at++) rig.send(it.sender, send(at, QUIET | SendDetail.WAIT, [one]));
      return it;
    },
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++) rig.send(sender, call(Op.POLL, at + 10, 1));
    },
  },
  'a report that is not read on': {
    count: 640,
    before: (rig) => {
      const client = rig.connect();
      for (let at = 0; at < 5000; at++) rig.send(client, call(Op.BIND, at, 0, `$.N${at}`));
      return {};
    },
    all: (rig, it, count) => {
      it.all = [];
      for (let at = 0; at < count; at += 64) {
        const client = rig.connect();
        it.all.push(client);
        for (let one = 1; one <= 64; one++) rig.send(client, call(Op.BINDINGS, one, 0));
      }
    },
  },
  'a kept route': {
    count: 60_000,
    before: (rig) => listener(rig),
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++) rig.send(sender, send(at, QUIET, [record(`$.R${at}`, 0)]));
    },
  },
  'a list of the listeners of one name': {
    count: 2000,
    before: (rig) => {
      const it = listener(rig);
      for (let at = 0; at < 500; at++) {
        rig.send(it.client, call(Op.BIND, at, 0, `$.L.${'%.'.repeat(at % 9)}*`));
      }
      for (let at = 0; at < 2000; at++) rig.send(it.client, call(Op.BIND, at, 0, `$.L.n${at}`));
      rig.send(it.client, call(Op.MAX_MESSAGES, 2, 1));
      return it;
    },
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++)
        rig.send(sender, send(at, QUIET, [record(`$.L.n${at}`, 0)]));
    },
  },
  'an idle connection that has sent 60,000 bytes': {
    count: 300,
    before: (rig) => Array.from({ length: 300 }, () => rig.connect()),
    all: (rig, clients) => {
      for (const client of clients) rig.send(client, send(1, QUIET, [record('$.None', 60_000)]));
    },
  },
  'the beginning of a frame among 31 times as much of others': {
    count: 1000,
    before: (rig) => Array.from({ length: 1001 }, () => rig.connect()),
    all: (rig, [other, ...clients]) => {
      const large = send(1, QUIET, [record('$.None', 4000)]);
      const small = send(1, QUIET, [record('$.None', 1100)]);
      for (const client of clients) {
        rig.send(client, large.subarray(0, 1100));
        for (let at = 0; at < 28; at++) rig.send(other, small);
      }
    },
  },
  'a piece of a frame among 31 times as much of others': {
    count: 1000,
    before: (rig) => [rig.connect(), rig.connect()],
    all: (rig, [other, client], count) => {
      const large = send(1, QUIET, [record('$.None', 1100 * (count + 10))]);
      const small = send(1, QUIET, [record('$.None', 1100)]);
      for (let at = 0; at < count; at++) {
        rig.send(client, large.subarray(at * 1100, (at + 1) * 1100));
        for (let one = 0; one < 28; one++) rig.send(other, small);
      }
    },
  },
  'an observer with a filter of 1,000 wildcards, for whom events wait': {
    count: 40,
    before: (rig) => ({ ...listener(rig), observers: [] }),
    all: (rig, { observers, sender }, count) => {
      const names = Array.from({ length: 1000 }, (_, at) => `$.%.%.x${at}.*`).join(' ');
      for (let at = 0; at < count; at++) observers.push(rig.observe(names, UNLIMITED, 0, false));
      for (let at = 0; at < 2000; at++)
        rig.send(sender, send(at, QUIET, [record(`$.N.n${at}.x${at % 1000}.a`, 100)]));
    },
  },
  'an observer of all, who reads': {
    count: 100,
    before: (rig) => ({ ...listener(rig), observers: [] }),
    all: (rig, { observers, sender }, count) => {
      for (let at = 0; at < count; at++) observers.push(rig.observe('', UNLIMITED, 0, true));
      for (let at = 0; at < 200; at++) rig.send(sender, send(at, QUIET, [record('$.N', 1000)]));
    },
  },
  'a message prefetched by a client that does not read': {
    count: 10_000,
    before: (rig) => {
      const it = listener(rig, 0, false);
      rig.send(it.client, credit(UNLIMITED));
      return it;
    },
    all: (rig, { sender }, count) => {
      for (let at = 0; at < count; at++) rig.send(sender, send(at, QUIET, [record('$.N', 100)]));
    },
  },
};

/** A Ksock that is bound to `$.N`, and whose queue has no limit; and a sender. @param {Rig} rig */
function listener(rig, replier = 0, reads = true) {
  const client = rig.connect(reads);
  rig.send(client, call(Op.MAX_MESSAGES, 1, UNLIMITED));
  rig.send(client, call(Op.BIND, 2, replier, '$.N'));
  const sender = rig.connect();
  rig.send(sender, call(Op.MAX_MESSAGES, 1, UNLIMITED));
  return { client, sender };
}

/** What a case keeps in memory, and what is counted. @param {string} name */
async function measure(name) {
  const { count, before, all } = /** @type {(typeof CASES)[string]} */ (CASES[name]);
  const rig = new Rig(2048 * MEBIBYTE);
  const it = before(rig);
  rig.settle();
  // Of what is made once: code, shapes, and the memory that is young.
  rig.send(rig.connect(), frame(FrameKind.CREDIT, 0, 0, 0, [0]));
  const [held, counted] = [await memoryAtRest(), rig.memory.held];
  all(rig, it, count);
  rig.settle();
  const [takes, counts] = [(await memoryAtRest()) - held, rig.memory.held - counted];
  if (rig.bus.ksocks.size === 0) throw new Error(`${name}: no Ksock is left`);
  return { name, count, counted: counts / count, held: takes / count };
}

const names = Object.keys(CASES);
// V8 compiles most of the code meanwhile, which it keeps.
await measure(/** @type {string} */ (names[0]));
for (const name of names) {
  // V8 compiles more while it runs, and keeps that too: once only.
  const [first, again] = [await measure(name), await measure(name)];
  console.log(JSON.stringify(first.held < again.held ? first : again));
}

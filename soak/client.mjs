// A program under load. On command it does a fixed amount of work, and reports how long its Requests took; or it rests
// until it has read all its messages.
import process from 'node:process';
import { Announcement, Flag, KbusError, Ksock, Request, statefulRequest } from '../dist/index.js';
import { forked, stackOf } from '../dist/measure/index.js';
import { Random } from '../harness/random.mjs';

/**
 * @import { KsockOptions } from '../dist/index.js'
 * @import { ClientSaid, ClientStart, Told, Worked } from './talk.ts'
 */

/** @type {ClientStart} */
const { role, number, directory, seed, work } = JSON.parse(process.argv[2] ?? '');
const say = forked((error) => /** @type {ClientSaid} */ ({ failed: stackOf(error) }));

const random = new Random(seed);
const open = (/** @type {KsockOptions} */ options = {}) => Ksock.open(0, { directory, ...options });

/** The errors with which a call may be refused under load. */
const BUSY = ['EBUSY', 'EAGAIN', 'ENOLCK', 'EADDRNOTAVAIL', 'EPIPE', 'STATUS'];
/** Null if the call was refused under load. @template T @param {Promise<T>} promise */
async function orBusy(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof KbusError && BUSY.includes(error.code)) return null;
    throw error;
  }
}

const home = await open();
let heard = 0;

/** The work of a round, by role. In the stream, one program sends all messages, and one counts them.
 * @type {Record<ClientStart['role'], () => Promise<Worked>>} */
const WORK = {
  async sender() {
    const messages = function* () {
      for (let count = 0; count < work; count++)
        yield new Announcement('$.Soak.Stream', 'x'.repeat(64));
    };
    await home.sendAll(messages(), { wait: true });
    return { operations: work, latencies: [] };
  },
  async listener() {
    for await (const _ of home) if (++heard % work === 0) break;
    return { operations: 0, latencies: [] };
  },
  mix,
};

/** Calls of the permanent Ksock. */
const CALLS = [
  async () =>
    void (await orBusy(
      home.sendMsg(
        new Announcement(`$.Soak.News.n${random.below(1000)}`, 'x'.repeat(random.below(200))),
      ),
    )),
  async () =>
    void (await orBusy(
      home.sendMsg(new Announcement('$.Soak.News', 'all', { flags: Flag.ALL_OR_FAIL })),
    )),
  async () => {
    await home.sendMsg(new Announcement('$.Soak.News', new Uint8Array(random.below(40_000))), {
      wait: true,
    });
  },
  async () => {
    const urgent = new Announcement('$.Soak.News', 'urgent');
    urgent.setUrgent();
    await orBusy(home.sendMsg(urgent));
  },
  async () => {
    const first = await orBusy(home.request(`$.Soak.Ask.n${random.below(3)}`, 'first'));
    if (first !== null) await orBusy(home.request(statefulRequest(first, first.name, 'again')));
  },
  async () => void (await home.findReplier(`$.Soak.Ask.n${random.below(3)}`)),
  async () => {
    for (let count = 0; count < 20; count++)
      home.post(new Announcement(`$.Soak.News.n${count}`, 'post'), { wait: true });
    await home.flush();
  },
  async () => {
    const name = `$.Soak.Mine.n${random.below(1e6)}.${random.pick(['*', '%', 'x'])}`;
    const replier = random.chance(0.5);
    await orBusy(home.bind(`$.Soak.Own${number}.${name.slice(2)}`, replier));
    await home.unbind(`$.Soak.Own${number}.${name.slice(2)}`, replier);
  },
];

/** The work of a short-lived Ksock, which leaves unread and unanswered messages behind. */
async function visit() {
  const visitor = await open({ mode: random.pick(['rw', 'rw', 'r']) });
  await visitor.setMaxMessages(1 + random.below(50));
  await visitor.bind('$.Soak.News.*');
  // A read-only one can't reply, so nobody can ask it.
  const replies = visitor.mode === 'rw';
  await visitor.bind(`$.Soak.Visit.n${visitor.id}`, replies);
  const asked = orBusy(home.request(`$.Soak.Visit.n${visitor.id}`, 'is anybody there?'));
  switch (random.below(5)) {
    case 0: {
      const request = await visitor.waitForMsg(replies ? {} : { timeout: 1 });
      if (replies && request?.wantsUsToReply()) await visitor.readNextMsg();
      break;
    }
    case 1:
      await visitor.waitForMsg({ timeout: random.below(3) });
      break;
    case 2:
      await orBusy(visitor.unbind(`$.Soak.Visit.n${visitor.id}`, replies));
      break;
    case 3:
      await visitor.readBindings();
      await visitor.stats();
      break;
    default:
      // A message that waits to be sent, and is discarded.
      if (replies) {
        const flags = Flag.ALL_OR_WAIT;
        await orBusy(visitor.sendMsg(new Request('$.Soak.Visit.nobody', 'x', { flags })));
        await visitor.discard();
      }
  }
  await visitor.close();
  await asked;
}

async function mix() {
  /** @type {number[]} */
  const latencies = [];
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let count = 0; count < work; count++) {
      if (lane === 0) await visit();
      else if (lane === 1) {
        const began = performance.now();
        if ((await orBusy(home.request(`$.Soak.Ask.n${random.below(3)}`, 'ping'))) !== null)
          latencies.push(performance.now() - began);
      } else await random.pick(CALLS)();
    }
  });
  await Promise.all(lanes);
  return { operations: 4 * work, latencies };
}

if (role === 'mix') {
  await home.setMaxMessages(1000);
  await home.listener('$.Soak.News', () => {
    heard++;
  });
  await home.replier(`$.Soak.Ask.n${number}`, (request) => request.text());
} else {
  await home.setMaxMessages(10_000);
  if (role === 'listener') await home.bind('$.Soak.Stream');
}

process.on('message', async (/** @type {Told} */ { what }) => {
  if (what === 'work') say({ worked: await WORK[role]() });
  if (what === 'rest') {
    while ((await home.numMessages()) > 0) await new Promise(setImmediate);
    say({ resting: heard });
  }
  if (what === 'stop') {
    await home.close();
    process.exit();
  }
});
say({ open: true });

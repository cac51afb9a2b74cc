// One program under test: it plays its role until it gets "finish", and writes a journal of all that it does and sees,
// which survives a SIGKILL.
import { openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import {
  Flag,
  KbusError,
  Ksock,
  Message,
  ReplierError,
  replyTo,
  StatusError,
} from '../dist/index.js';
import { Random } from '../harness/random.mjs';
import { noteOf } from './promises.mjs';

/**
 * @import { Fact } from './journal.ts'
 * @import { SendOptions } from '../dist/index.js'
 *
 * @typedef {'sender' | 'requester' | 'listener' | 'replier' | 'hog'} Role
 *
 * @typedef {object} Part  a program's first argument
 * @property {Role} role
 * @property {string} name
 * @property {string} path       of its journal
 * @property {string} directory  folder of the sockets
 * @property {string} device     folder of the device files
 * @property {number} seed
 */

const { role, name, directory, seed, path } = /** @type {Part} */ (
  JSON.parse(process.argv[2] ?? '')
);
const journal = openSync(path, 'a');
const NAMES = ['$.A', '$.A.B', '$.A.B.C', '$.D', '$.D.E'];

const random = new Random(seed);
const pauseUpTo = (/** @type {number} */ most) => pause(random.next() * most);

/** @param {Fact} fact */
function note(fact) {
  const t = Number(process.hrtime.bigint() / 1000n);
  writeSync(journal, `${JSON.stringify({ t, ...fact })}\n`);
}

let nextNumber = 1;
let isFinishing = false;
let isLost = false;
/** Pending calls. @type {Set<Promise<unknown>>} */
const waiting = new Set();

/** @param {number} flags @param {number} size @param {string} [to]  a name; by default a random one */
function made(flags, size, to = random.pick(NAMES)) {
  const n = nextNumber++;
  const data = `${name}.${n} `.padEnd(size, '.');
  const message = new Message(to, data, { flags });
  return { n, message };
}

/** @param {Promise<unknown>} promise */
function follow(promise) {
  const followed = promise.finally(() => waiting.delete(followed));
  waiting.add(followed);
  return followed;
}

const codeOf = (/** @type {unknown} */ error) =>
  error instanceof KbusError ? error.code : 'abort';

/** @param {Ksock} ksock @param {{ n: number, message: Message }} what @param {SendOptions} options */
function send(ksock, { n, message }, options) {
  const flags = options.wait ? (message.flags | Flag.ALL_OR_WAIT) >>> 0 : message.flags;
  note({ e: 'send?', n, ...noteOf(message), flags });
  return follow(
    ksock.sendMsg(message, options).then(
      (id) => note({ e: 'send!', n, id: `${id}` }),
      async (error) => {
        note({ e: 'send-', n, code: codeOf(error) });
        if (codeOf(error) === 'EAGAIN') await ksock.discard().catch(() => {});
      },
    ),
  );
}

/** @param {Ksock} ksock */
function request(ksock) {
  const { n, message } = made(Flag.WANT_A_REPLY, 20 + random.next() * 200);
  note({ e: 'send?', n, ...noteOf(message), awaited: true });
  return follow(
    ksock.request(message).then(
      (reply) => note({ e: 'answer', n, ...noteOf(reply) }),
      (error) => {
        const answer =
          error instanceof StatusError
            ? error.status
            : error instanceof ReplierError
              ? error.reply
              : undefined;
        if (answer === undefined) note({ e: 'send-', n, code: codeOf(error) });
        else note({ e: 'answer', n, ...noteOf(answer) });
      },
    ),
  );
}

/** @param {Ksock} ksock @param {string} bound @param {boolean} replier */
async function bind(ksock, bound, replier) {
  note({ e: 'bind?', name: bound, replier });
  try {
    await ksock.bind(bound, replier);
    note({ e: 'bind!', name: bound, replier });
  } catch (error) {
    note({ e: 'bind-', name: bound, replier, code: codeOf(error) });
  }
}

/** @param {Ksock} ksock @param {(message: Message) => unknown} each */
async function read(ksock, each) {
  try {
    for await (const message of ksock) {
      note({ e: 'read', ...noteOf(message) });
      await each(message);
    }
  } catch (error) {
    if (!(error instanceof KbusError)) throw error;
    isLost = true;
  }
}

/** @type {Record<Exclude<Role, 'hog'>, (ksock: Ksock) => Promise<void>>} */
const ROLES = {
  async sender(ksock) {
    while (!isFinishing && !isLost) {
      const size = random.chance(0.02) ? 100_000 : 16 + random.next() * 300;
      const flags = random.chance(0.1) ? Flag.URGENT : random.chance(0.3) ? Flag.ALL_OR_FAIL : 0;
      const how = random.next();
      if (how < 0.5) send(ksock, made(flags & ~Flag.ALL_OR_FAIL, size), { wait: true });
      else if (how < 0.8) await send(ksock, made(flags, size), {});
      else {
        const { n, message } = made(0, size);
        note({ e: 'send?', n, ...noteOf(message) });
        await ksock
          .post(message)
          ?.catch((error) => note({ e: 'send-', n, code: 'EPROTO', error: error.code }));
      }
      if (waiting.size > 50) await Promise.race(waiting);
      await pauseUpTo(8);
    }
    await ksock.flush().catch(() => {});
  },

  async requester(ksock) {
    read(ksock, () => {});
    while (!isFinishing && !isLost) {
      if (random.chance(0.7)) request(ksock);
      else await send(ksock, made(Flag.WANT_A_REPLY, 30), { wait: random.chance(0.3) });
      if (waiting.size > 12) await Promise.race([...waiting, pauseUpTo(200)]);
      await pauseUpTo(20);
    }
  },

  async listener(ksock) {
    const slow = random.chance(0.3) ? 20 : 0;
    if (random.chance(0.5)) {
      await ksock.setMaxMessages(0xffff_ffff);
      note({ e: 'limit', count: 0xffff_ffff });
    } else {
      note({ e: 'limit', count: 20 });
    }
    for (let bindings = 1 + random.next() * 2; bindings > 0; bindings--) {
      await bind(ksock, random.pick([...NAMES, '$.*', '$.A.*', '$.D.%', '$.%.B', '$.%.*']), false);
    }
    await read(ksock, () => (slow > 0 && !isFinishing ? pauseUpTo(slow) : undefined));
  },

  async replier(ksock) {
    const style = random.pick(['prompt', 'prompt', 'slow', 'never', 'mixed']);
    for (const bound of NAMES) if (random.chance(0.5)) await bind(ksock, bound, true);
    await bind(ksock, random.pick(['$.*', '$.A.*', '$.D.%', '$.%.B']), true);
    await read(ksock, async (message) => {
      if (!message.wantsUsToReply()) return;
      const now = style === 'mixed' ? random.pick(['prompt', 'slow', 'never']) : style;
      if (now === 'never') return;
      const reply = replyTo(message);
      const { n, message: like } = made(0, 30, reply.name);
      reply.data = like.data;
      if (now === 'slow') await pauseUpTo(30);
      if (!isLost && !isFinishing) send(ksock, { n, message: reply }, { wait: random.chance(0.3) });
    });
  },
};

/** Occupies all free descriptors of the daemon. */
async function hog() {
  /** @type {Ksock[]} */
  const held = [];
  while (!isFinishing) {
    try {
      held.push(await Ksock.open(0, { directory }));
    } catch {
      await pauseUpTo(200);
      for (const ksock of held.splice(0, held.length / 2)) await ksock.close().catch(() => {});
    }
  }
  await Promise.all(held.map((ksock) => ksock.close().catch(() => {})));
}

// A loop that is not awaited rejects when the bus goes away.
process.on('uncaughtException', (error) => {
  if (error instanceof KbusError && error.code === 'ECONNRESET') return;
  note({ e: 'crash', error: `${error?.stack}` });
  process.exit(70);
});

/** @type {Ksock | undefined} */
let ksock;
const told = createInterface({ input: process.stdin });
told.on('close', () => process.exit(1));
told.on('line', async (what) => {
  if (what === 'cut') {
    note({ e: 'end?' });
    note({ e: 'end', why: 'lost', drained: false });
    process.exit(0);
  }
  if (what === 'finish') {
    isFinishing = true;
    process.stdout.write('finishing\n');
    return;
  }
  if (what !== 'close') return;
  try {
    if (role !== 'replier' && !isLost && ksock !== undefined) {
      await Promise.all(waiting);
      // All senders have stopped: every message that is left was sent before.
      while ((await ksock.numMessages()) > 0) await pauseUpTo(20);
    }
  } catch (error) {
    if (!(error instanceof KbusError)) throw error;
    isLost = true;
  }
  if (ksock !== undefined && !isLost) {
    note({ e: 'end?' });
    await ksock.close();
  }
  note({ e: 'end', why: isLost ? 'lost' : 'closed', drained: !isLost && role !== 'replier' });
  process.exit(0);
});

try {
  if (role === 'hog') {
    await hog();
  } else {
    ksock = await Ksock.open(0, { directory });
    note({ e: 'open', id: ksock.id });
    await ROLES[role](ksock);
  }
} catch (error) {
  if (!(error instanceof KbusError)) throw error;
  isLost = true;
}

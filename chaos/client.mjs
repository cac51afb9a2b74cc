// One program under test: it does its part until it is told to finish, and writes down all it does and sees.
// What it writes is there even if it is killed in the middle.
import { openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { Flag, KbusError, Ksock, Message, replyTo } from '../dist/index.js';
import { chance } from './chance.mjs';
import { noteOf } from './promises.mjs';

const { role, name, directory, seed, path } = JSON.parse(process.argv[2]);
const journal = openSync(path, 'a');
const NAMES = ['$.A', '$.A.B', '$.A.B.C', '$.D', '$.D.E'];

const { random, pick } = chance(seed);
const pause = (most) => new Promise((resolve) => setTimeout(resolve, random() * most));

function note(e, fields = {}) {
  const t = Number(process.hrtime.bigint() / 1000n);
  writeSync(journal, `${JSON.stringify({ t, e, ...fields })}\n`);
}

let nextNumber = 1;
let isFinishing = false;
let isLost = false;
const waiting = new Set();

function made(flags, size, to = {}) {
  const n = nextNumber++;
  const data = `${name}.${n} `.padEnd(size, '.');
  const message = new Message(to.name ?? pick(NAMES), data, { flags, ...to.options });
  return { n, message };
}

function follow(promise) {
  const followed = promise.finally(() => waiting.delete(followed));
  waiting.add(followed);
  return followed;
}

const codeOf = (error) => (error instanceof KbusError ? error.code : 'abort');

function send(ksock, { n, message }, options) {
  const flags = options.wait ? (message.flags | Flag.ALL_OR_WAIT) >>> 0 : message.flags;
  note('send?', { n, ...noteOf(message), flags });
  return follow(
    ksock.sendMsg(message, options).then(
      (id) => note('send!', { n, id: `${id}` }),
      async (error) => {
        note('send-', { n, code: codeOf(error) });
        if (error.code === 'EAGAIN') await ksock.discard().catch(() => {});
      },
    ),
  );
}

function request(ksock) {
  const { n, message } = made(Flag.WANT_A_REPLY, 20 + random() * 200);
  note('send?', { n, ...noteOf(message), awaited: true });
  return follow(
    ksock.request(message).then(
      (reply) => note('answer', { n, ...noteOf(reply) }),
      (error) => {
        const answer = error.status ?? error.reply;
        if (answer === undefined) note('send-', { n, code: codeOf(error) });
        else note('answer', { n, ...noteOf(answer) });
      },
    ),
  );
}

async function bind(ksock, bound, replier) {
  note('bind?', { name: bound, replier });
  try {
    await ksock.bind(bound, replier);
    note('bind!', { name: bound, replier });
  } catch (error) {
    note('bind-', { name: bound, replier, code: codeOf(error) });
  }
}

async function read(ksock, each) {
  try {
    for await (const message of ksock) {
      note('read', noteOf(message));
      await each(message);
    }
  } catch (error) {
    if (!(error instanceof KbusError)) throw error;
    isLost = true;
  }
}

const ROLES = {
  async sender(ksock) {
    while (!isFinishing && !isLost) {
      const size = random() < 0.02 ? 100_000 : 16 + random() * 300;
      const flags = random() < 0.1 ? Flag.URGENT : random() < 0.3 ? Flag.ALL_OR_FAIL : 0;
      const how = random();
      if (how < 0.5) send(ksock, made(flags & ~Flag.ALL_OR_FAIL, size), { wait: true });
      else if (how < 0.8) await send(ksock, made(flags, size), {});
      else {
        const { n, message } = made(0, size);
        note('send?', { n, ...noteOf(message) });
        await ksock
          .post(message)
          ?.catch((error) => note('send-', { n, code: 'EPROTO', error: error.code }));
      }
      if (waiting.size > 50) await Promise.race(waiting);
      await pause(8);
    }
    await ksock.flush().catch(() => {});
  },

  async requester(ksock) {
    read(ksock, () => {});
    while (!isFinishing && !isLost) {
      if (random() < 0.7) request(ksock);
      else await send(ksock, made(Flag.WANT_A_REPLY, 30), { wait: random() < 0.3 });
      if (waiting.size > 12) await Promise.race([...waiting, pause(200)]);
      await pause(20);
    }
  },

  async listener(ksock) {
    const slow = random() < 0.3 ? 20 : 0;
    if (random() < 0.5) {
      await ksock.setMaxMessages(0xffff_ffff);
      note('limit', { count: 0xffff_ffff });
    } else {
      note('limit', { count: 20 });
    }
    for (let bindings = 1 + random() * 2; bindings > 0; bindings--) {
      await bind(ksock, pick([...NAMES, '$.*', '$.A.*', '$.D.%', '$.%.B', '$.%.*']), false);
    }
    await read(ksock, () => (slow > 0 && !isFinishing ? pause(slow) : undefined));
  },

  async replier(ksock) {
    const style = pick(['prompt', 'prompt', 'slow', 'never', 'mixed']);
    for (const bound of NAMES) if (random() < 0.5) await bind(ksock, bound, true);
    await bind(ksock, pick(['$.*', '$.A.*', '$.D.%', '$.%.B']), true);
    await read(ksock, async (message) => {
      if (!message.wantsUsToReply()) return;
      const now = style === 'mixed' ? pick(['prompt', 'slow', 'never']) : style;
      if (now === 'never') return;
      const reply = replyTo(message);
      const { n, message: like } = made(0, 30, { name: reply.name });
      reply.data = like.data;
      if (now === 'slow') await pause(30);
      if (!isLost && !isFinishing) send(ksock, { n, message: reply }, { wait: random() < 0.3 });
    });
  },

  /** Takes descriptors that others need. */
  async hog() {
    const held = [];
    while (!isFinishing) {
      try {
        held.push(await Ksock.open(0, { directory }));
      } catch {
        await pause(200);
        for (const ksock of held.splice(0, held.length / 2)) await ksock.close().catch(() => {});
      }
    }
    await Promise.all(held.map((ksock) => ksock.close().catch(() => {})));
  },
};

// What the bus's going away throws out of a loop that nobody awaits.
process.on('uncaughtException', (error) => {
  if (error instanceof KbusError && error.code === 'ECONNRESET') return;
  note('crash', { error: `${error?.stack}` });
  process.exit(70);
});

let ksock;
const told = createInterface({ input: process.stdin });
told.on('close', () => process.exit(1));
told.on('line', async (what) => {
  if (what === 'cut') {
    note('end?');
    note('end', { why: 'lost', drained: false });
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
      // All that is still to be read was sent before: everybody has stopped.
      while ((await ksock.numMessages()) > 0) await pause(20);
    }
  } catch (error) {
    if (!(error instanceof KbusError)) throw error;
    isLost = true;
  }
  if (ksock !== undefined && !isLost) {
    note('end?');
    await ksock.close();
  }
  note('end', { why: isLost ? 'lost' : 'closed', drained: !isLost && role !== 'replier' });
  process.exit(0);
});

try {
  if (role !== 'hog') {
    ksock = await Ksock.open(0, { directory });
    note('open', { id: ksock.id });
  }
  await ROLES[role](ksock);
} catch (error) {
  if (!(error instanceof KbusError)) throw error;
  isLost = true;
}

import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Op } from '../../src/message/calls.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Message, Reply, Request } from '../../src/message/message.ts';
import { type Frame, frame, messagesFrame, welcome } from '../support/frames.ts';
import { falseDaemon, type Says, welcoming } from './false-daemon.ts';
import { kbus, type Outcome, serve } from './kbus.ts';

/** Text that would set a terminal's title, clear it, and forge a line; with all kinds of control characters. */
const EVIL =
  "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp\u2066\u200f\u2028\x7f\x00\r\nkbus: forged\n\t'\\\ud800";

/** The same in a name: one byte a character. */
const EVIL_NAME = `$.${EVIL.replaceAll(/[^\0-\xff]/g, '')}`;

/** Nothing but text: of control characters only the newline. */
const UNSAFE = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bindings: ['bindings'],
  'bindings --json': ['bindings', '--json'],
  'bindings --verbose': ['bindings', '--verbose'],
  stats: ['stats'],
  'stats --json': ['stats', '--json'],
  'stats --verbose': ['stats', '--verbose'],
  listen: ['listen', '$.*', '--count', '5'],
  'listen --full': ['listen', '$.*', '--count', '5', '--full'],
  'listen --dump': ['listen', '$.*', '--count', '5', '--dump'],
  'listen --json': ['listen', '$.*', '--count', '5', '--json'],
  top: ['top', '--interval', '0.05'],
  'top --json': ['top', '--interval', '0.05', '--json'],
  trace: ['trace', '$.A', '--for', '0.2s'],
  'trace --dry-run': ['trace', '$.A', '--dry-run'],
  send: ['send', '$.A', 'data'],
  'request --full': ['request', '$.A', 'data', '--full', '--timeout', '1'],
  'request --json': ['request', '$.A', 'data', '--json', '--timeout', '1'],
  reply: ['reply', '$.A', 'answer', '--count', '2'],
  bench: ['bench', '--seconds', '0.05'],
  doctor: ['doctor'],
};

/** Runs every command, or these, with the false daemon. Whatever it says, none has a bug, and none prints unsafe text. */
async function runAll(directory: string, names = Object.keys(COMMANDS)): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const left = [...names];
  const next = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const limit = name === 'doctor' ? [] : ['--answer-timeout', '0.5'];
      const args = [...(COMMANDS[name] ?? []), '--directory', directory, ...limit];
      const outcome = await kbus(args);
      const { code, signal, stdout, stderr } = outcome;
      const what = `kbus ${name}: ${JSON.stringify(outcome)}`;
      expect(code === 70 || signal !== null, what).toBe(false);
      expect(UNSAFE.test(stdout) || UNSAFE.test(stderr), what).toBe(false);
      expect(/^(kbus: )?forged|^kbus: forged/m.test(stdout + stderr), what).toBe(false);
      // A command that fails says why.
      if (code !== 0 && name !== 'doctor') expect(stderr, what).toMatch(/^kbus: \S/m);
      outcomes.push(outcome);
    }
  };
  await Promise.all([next(), next(), next()]);
  return outcomes;
}

const result = ({ token }: Frame, text: string, next = 0): Buffer =>
  frame('RESULT', { token, words: [next, 0], text });

/** The answers of a friendly daemon, but for those that `says` gives. */
function friendly(says: (frame: Frame) => readonly Uint8Array[] | null): Says {
  let serial = 0;
  return (asked) => {
    const said = says(asked);
    if (said !== null) return said;
    const { kind, token, words } = asked;
    if (kind === 'CALL') return frame('RESULT', { token, words: [0, 0] });
    if (kind === 'SEND') {
      return frame('SENT', { token, words: [words[0] ?? 1, 0, ++serial, 0] });
    }
    if (kind === 'TAKE') return frame('NONE', { token });
    return [];
  };
}

const isCall = ({ kind, detail }: Frame, op: number): boolean => kind === 'CALL' && detail === op;
const isReport = (asked: Frame): boolean => isCall(asked, Op.BINDINGS) || isCall(asked, Op.STATS);

describe('Hostile text', { timeout: 60_000 }, () => {
  test('in the reason of a FAREWELL reaches no terminal: in place of WELCOME, or later', async () => {
    const goodbye = frame('FAREWELL', { words: [Errno.ENOMEM], text: EVIL });
    await runAll(await falseDaemon(() => goodbye));
    await runAll(await welcoming(() => goodbye));
  });

  test('in the reason of a refusal, of calls and of sends', async () => {
    const directory = await welcoming(({ kind, token }) => {
      if (kind === 'CALL')
        return frame('REFUSED', { token, words: [Errno.ENOMEM, 0, 0], text: EVIL });
      const words = [Errno.EADDRNOTAVAIL, 0, 3, 0, 0, 0, 0, 0, 3];
      return kind === 'SEND'
        ? frame('REFUSED', { token, detail: 1, words, text: `$.A${EVIL}` })
        : [];
    });
    await runAll(directory);
  });

  test('in the names and texts of reports', async () => {
    const ksock = {
      ksock: 1,
      pid: 2,
      mode: EVIL,
      lastMessage: { networkId: 1, serialNum: 2, [EVIL]: EVIL },
      ...{ queue: 0, maxMessages: 0, readAt: 0, readLength: 0, wroteAt: 0, wrotePart: EVIL },
      ...{ wroteAll: false, sending: true, outstandingRequests: 0, maxOutstandingRequests: 0 },
      ...{ unsentReplies: 0, maxUnsentReplies: 0, missed: 0, held: 2 ** 20, [EVIL]: [EVIL] },
      ...{ program: EVIL, uid: -1, claimed: true },
      ...{ unreadAge: null, unsentReplyAge: 2 ** 52, messagesRead: 0, messagesSent: 2 ** 53 - 1 },
    };
    const stats = {
      ...{ device: 0, nextKsock: 1, nextMessage: 1, unsentUnbindings: 0 },
      ...{ memoryHeld: 0, maxMemory: 1, ksocks: [ksock] },
    };
    const who = { program: EVIL, pid: 2, claimed: true };
    const binding = { device: 0, ksock: 1, ...who, replier: false, name: EVIL_NAME };
    const directory = await welcoming(
      friendly((asked) => {
        if (isCall(asked, Op.BINDINGS)) return [result(asked, JSON.stringify([binding]))];
        if (isCall(asked, Op.STATS)) return [result(asked, JSON.stringify(stats))];
        return null;
      }),
    );
    const some = ['bindings', 'stats'].flatMap((one) => [one, `${one} --json`, `${one} --verbose`]);
    const outcomes = await runAll(directory, some);
    expect(outcomes.map(({ code }) => code)).toEqual(some.map(() => 0));
    expect(outcomes.every(({ stdout }) => stdout.includes('forged'))).toBe(true);
  });

  test('in the names of programs, as a real daemon tells them', async () => {
    const served = await serve();
    const name = EVIL.slice(0, 64);
    await using ksock = await Ksock.open(0, { directory: served.directory, name });
    await ksock.bind('$.A');
    await ksock.sendMsg(new Announcement('$.A', EVIL));
    const program = served.start(['trace', '$.A', '--patience', '1ms', '--for', '1s']);
    await program.says(/following/);
    await ksock.sendMsg(new Announcement('$.A', EVIL));
    const { stdout } = await program.ended;
    expect(stdout).toContain('not read yet');
    expect(UNSAFE.test(stdout), stdout).toBe(false);
    const some = ['bindings', 'bindings --json', 'stats', 'stats --json', 'top', 'top --json'];
    for (const { code, stdout } of await runAll(served.directory, [...some, 'trace --dry-run'])) {
      expect(code).toBe(0);
      expect(stdout).toMatch(/ksock/i);
    }
  });

  test('in the names and data of messages, forged events among them', async () => {
    const event = Buffer.alloc(12 + 4 * Math.ceil((EVIL_NAME.length + 1) / 4));
    event.writeUInt32LE(1, 0);
    event.writeUInt32LE(EVIL_NAME.length, 8);
    event.write(EVIL_NAME, 12, 'latin1');
    const id = new MessageId(0, 7);
    const you = { from: 3, id, flags: Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY };
    const messages = [
      new Message(EVIL_NAME, EVIL, { from: 3, id }),
      new Announcement('$.A', EVIL, { from: 3, id }),
      new Announcement('$.KBUS.ReplierBindEvent', event, { id, flags: Flag.SYNTHETIC }),
      new Message(EVIL_NAME, EVIL, you),
      new Request('$.A', EVIL, you),
    ];
    const directory = await welcoming(
      friendly(({ kind, words }) => {
        if (kind !== 'CREDIT' || words[0] === 0) return null;
        const missed = frame('MISSED', { words: [0xffff_ffff], text: EVIL.repeat(100) });
        return [missed, ...messages.map((one) => messagesFrame('PREFETCH', [one]))];
      }),
    );
    const some = ['listen', 'listen --full', 'listen --dump', 'listen --json', 'reply'];
    for (const { stdout } of await runAll(directory, some)) expect(stdout).toContain('forged');
  });

  test('in Replies, the errors of Repliers, and Statuses', async () => {
    for (const name of ['$.A', '$.KBUS.Replier.Error', `$.KBUS.${EVIL_NAME.slice(2)}`]) {
      const directory = await welcoming(
        friendly(({ kind, token }) => {
          if (kind !== 'SEND') return null;
          const to = { from: 3, to: 5, inReplyTo: new MessageId(0, 1), id: new MessageId(0, 2) };
          return [messagesFrame('ANSWER', [new Reply(name, EVIL, to)], { token })];
        }),
      );
      const outcomes = await runAll(directory, ['request --full', 'request --json', 'send']);
      expect(outcomes.some(({ stdout, stderr }) => `${stdout}${stderr}`.includes('forged'))).toBe(
        true,
      );
    }
  });
});

describe('A false daemon', { timeout: 120_000 }, () => {
  const TO = { to: 5, inReplyTo: new MessageId(0, 1) };
  const SOME = [
    ...['bindings', 'stats --json', 'listen', 'send', 'request --full'],
    ...['top', 'trace --dry-run'],
  ];

  /** What it says to each frame after HELLO, whatever that is. */
  const ANSWERS: readonly [string, Says][] = [
    ['nothing', () => []],
    ['garbage', () => Buffer.from('220 mail ready\r\n'.repeat(100))],
    ['half a frame', () => frame('RESULT', { words: [0, 0] }).subarray(0, 17)],
    ['a frame of 4 GiB', () => Buffer.alloc(4096, 0xff)],
    ['an answer to nothing', () => frame('RESULT', { token: 99_999, words: [0, 0] })],
    ['a message that no TAKE asked for', () => messagesFrame('TAKEN', [new Announcement('$.A')])],
    ['messages without credit', () => messagesFrame('PREFETCH', manyOf(new Announcement('$.A')))],
    [
      'an ANSWER to nothing',
      () => messagesFrame('ANSWER', [new Reply('$.A', null, TO)], { token: 77_777 }),
    ],
    ['a second WELCOME', () => welcome()],
    ['a frame of no kind', () => frame(99)],
    ['null', (asked) => result(asked, 'null')],
    ['null in an array', (asked) => result(asked, '[null]')],
    ['an empty object', (asked) => result(asked, '{}')],
    ['no JSON', (asked) => result(asked, '{')],
    ['a number too large', (asked) => result(asked, '{"device":1e999,"ksocks":[]}')],
    [
      'JSON of great depth',
      (asked) => result(asked, `${'['.repeat(100_000)}${']'.repeat(100_000)}`),
    ],
    ['a report without an end', (asked) => result(asked, '[]', 1)],
    [
      'counts as large as can be',
      (asked) => frame('RESULT', { token: asked.token, words: [0xffff_ffff, 0xffff_ffff] }),
    ],
    ['an end of the connection', endOf],
  ];

  function endOf(_: Frame, socket: Socket): [] {
    socket.end();
    return [];
  }

  function manyOf(message: Message): Message[] {
    return Array.from({ length: 10_000 }, () => message);
  }

  test.for(ANSWERS)(
    'that answers with %s ends every command, with a clear error',
    async ([, says]) => {
      await runAll(await welcoming(says), SOME);
    },
  );

  test('that says nothing, or its WELCOME byte by byte, ends every command', async () => {
    const timers: NodeJS.Timeout[] = [];
    const silent = await falseDaemon(() => []);
    const slow = await falseDaemon((_, socket) => {
      let at = 0;
      timers.push(setInterval(() => socket.write(welcome().subarray(at, ++at)), 400));
      return [];
    });
    const some = ['bindings', 'send', 'doctor'];
    const outcomes = [...(await runAll(silent, some)), ...(await runAll(slow, some))];
    for (const timer of timers) clearInterval(timer);
    for (const { code, stdout, stderr } of outcomes) {
      if (code !== 0) expect(stderr + stdout).toMatch(/ETIMEDOUT|does not answer/);
    }
  });

  test('whose report does not end ends the commands that read it', async () => {
    const name = `$.${'x'.repeat(998)}`;
    const who = { program: '', pid: 2, claimed: true };
    const entry = { device: 0, ksock: 1, ...who, replier: false, name };
    const text = JSON.stringify(Array.from({ length: 16_000 }, () => entry));
    const directory = await welcoming(
      friendly((asked) => (isReport(asked) ? [result(asked, text, 1)] : null)),
    );
    const args = ['bindings', '--directory', directory];
    const { code, stderr } = await kbus(args);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^kbus: EPROTO \(71\): read the bindings: the report .* is endless: \d+ char/,
      ),
    ]);
  });
});

import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import type { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request, replyTo } from '../../src/message/message.ts';
import { holdsInTime } from '../model/property.ts';
import type { Place, Transport } from './transport.ts';
import { inFrames, inFramesByteByByte, inProcess } from './transports.ts';

// Calls in bursts, without awaiting each, must have the same effect over all transports: a connection batches
// what a bus in this process does one by one.

const NAMES = ['$.a', '$.a.b', '$.c'] as const;
const BINDINGS = [...NAMES, '$.a.*', '$.%'] as const;
const KSOCKS = 4;

type Doing =
  | {
      readonly do: 'send';
      readonly name: string;
      readonly count: number;
      readonly size: number;
      readonly request: boolean;
      readonly flags: number;
      readonly how: 'sendMsg' | 'wait' | 'post';
    }
  | { readonly do: 'bind' | 'unbind'; readonly name: string; readonly replier: boolean }
  | { readonly do: 'read' | 'iterate' | 'request'; readonly count: number }
  | { readonly do: 'limit'; readonly limit: number }
  | { readonly do: 'once'; readonly on: boolean }
  | { readonly do: 'leave' | 'poll' | 'resend' | 'discard' | 'reply' | 'close' };

type Step = { readonly who: number } & Doing;

const doing: fc.Arbitrary<Doing> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      name: fc.constantFrom(...NAMES),
      count: fc.integer({ min: 1, max: 30 }),
      size: fc.constantFrom(0, 3, 3, 300, 20_000),
      request: fc.boolean(),
      flags: fc.constantFrom(0, 0, Flag.URGENT, Flag.ALL_OR_FAIL, Flag.ALL_OR_WAIT),
      how: fc.constantFrom('sendMsg' as const, 'wait' as const, 'post' as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('bind' as const, 'bind' as const, 'unbind' as const),
      name: fc.constantFrom(...BINDINGS),
      replier: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('read' as const, 'iterate' as const),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      limit: fc.constantFrom(1, 2, 5, 20, 100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('once' as const), on: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('request' as const),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'leave' as const,
        'poll' as const,
        'resend' as const,
        'discard' as const,
        'reply' as const,
        'reply' as const,
        'close' as const,
      ),
    }),
  },
);

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: KSOCKS - 1 }), doing)
    .map(([who, what]): Step => ({ who, ...what })),
  { minLength: 5, maxLength: 40 },
);

const codeOf = (error: unknown): string => {
  const { code, message } = error as KbusError;
  return code === 'STATUS' ? message : String(code ?? error);
};

/** Four programs, and all visible effects of their calls. */
class Programs {
  private readonly place: Place<Ksock>;
  private readonly ksocks: Ksock[] = [];
  private readonly toAnswer: Message[][] = [];
  /** Loops go on while other programs act. */
  private readonly loops: (AsyncIterator<Message> | null)[] = [];
  /** The results of calls that may take long, reported at the end. */
  private readonly pending: Promise<string>[] = [];
  readonly log: string[] = [];

  constructor(place: Place<Ksock>) {
    this.place = place;
  }

  private async open(who: number): Promise<Ksock> {
    const ksock = await this.place.open();
    this.ksocks[who] = ksock;
    this.toAnswer[who] = [];
    this.loops[who] = null;
    return ksock;
  }

  async run(all: readonly Step[]): Promise<string[]> {
    for (let who = 0; who < KSOCKS; who++) await this.open(who);
    for (const step of all) {
      const ksock = this.ksocks[step.who] as Ksock;
      const came = await this.take(step, ksock).catch(codeOf);
      this.log.push(`${step.who} ${step.do}: ${came}`);
      await this.settled(step.who);
    }
    await this.end();
    return this.log;
  }

  /** Resolves after all calls that a program did not await, and their effects on others. */
  private async settled(who: number): Promise<void> {
    await (this.ksocks[who] as Ksock).numMessages();
    for (const ksock of this.ksocks) await ksock.numMessages();
  }

  /** A send waits for a full queue. */
  private async somethingWaits(): Promise<boolean> {
    for (const ksock of this.ksocks) {
      if (!(await ksock.waitWritable({ timeout: 0 }))) return true;
    }
    return false;
  }

  private async take(step: Step, ksock: Ksock): Promise<string> {
    switch (step.do) {
      case 'send':
        return this.send(step, ksock);
      case 'bind':
      case 'unbind':
        return String(await ksock[step.do](step.name, step.replier));
      case 'read':
        return this.read(step.who, step.count, () => ksock.readNextMsg());
      case 'iterate': {
        this.loops[step.who] ??= ksock[Symbol.asyncIterator]();
        const loop = this.loops[step.who] as AsyncIterator<Message>;
        const there = await ksock.numMessages();
        // A loop may get the next message before the bus wakes an urgent one that waits for the slot:
        // both orders are right, and timing decides.
        const isStepwise = await this.somethingWaits();
        return this.read(step.who, Math.min(step.count, there), async () => {
          const { value } = await loop.next();
          if (isStepwise) await this.settled(step.who);
          return value ?? null;
        });
      }
      case 'leave': {
        await this.loops[step.who]?.return?.();
        this.loops[step.who] = null;
        return 'left';
      }
      case 'limit':
        return String(await ksock.setMaxMessages(step.limit));
      case 'once':
        return String(await ksock.wantMessagesOnce(step.on));
      case 'poll':
        return String(await ksock.waitWritable({ timeout: 0 }));
      case 'resend':
        return String(await ksock.send());
      case 'discard':
        return String(await ksock.discard());
      case 'reply':
        return this.reply(step.who, ksock);
      case 'request':
        for (let each = 0; each < step.count; each++) {
          this.later(ksock.request('$.a', `asked ${each % 10}`).then((reply) => reply.text()));
        }
        return 'asked';
      case 'close':
        await ksock.close();
        await this.open(step.who);
        return 'closed';
    }
  }

  private later(outcome: Promise<unknown>): void {
    this.pending.push(outcome.then(String, codeOf));
  }

  private async send(step: Step & { do: 'send' }, ksock: Ksock): Promise<string> {
    const kind = step.request ? Request : Announcement;
    const messages = Array.from({ length: step.count }, (_, at) => {
      const data = `${at}`.padEnd(step.size, '.').slice(0, Math.max(step.size, 2));
      return new kind(step.name, data, { flags: step.flags });
    });
    if (step.how === 'post') {
      // Which call reports a refusal is not specified; their effects are.
      for (const message of messages) ksock.post(message)?.catch(() => {});
      ksock.flush().catch(() => {});
      return 'posted';
    }
    const wait = step.how === 'wait';
    for (const message of messages) this.later(ksock.sendMsg(message, { wait }));
    return step.how;
  }

  private async read(
    who: number,
    count: number,
    next: () => Promise<Message | null>,
  ): Promise<string> {
    const got: string[] = [];
    while (got.length < count) {
      const message = await next();
      if (message === null) break;
      if (message.wantsUsToReply()) this.toAnswer[who]?.push(message);
      const { dataLength } = message;
      got.push(dataLength > 10 ? `${message.name} ${dataLength} ${message.id}` : String(message));
    }
    return got.join(', ');
  }

  private async reply(who: number, ksock: Ksock): Promise<string> {
    const requests = this.toAnswer[who] as Message[];
    this.toAnswer[who] = [];
    for (const request of requests) {
      this.later(ksock.sendMsg(replyTo(request, request.data.subarray(0, 9))));
    }
    return `to ${requests.length}`;
  }

  /** All programs read and answer until no message is left, and then close. */
  private async end(): Promise<void> {
    for (const ksock of this.ksocks) await ksock.setMaxMessages(100_000);
    for (let round = 0; round < 3; round++) {
      for (const [who, ksock] of this.ksocks.entries()) {
        await ksock.waitWritable();
        const got = await this.read(who, 100_000, () => ksock.readNextMsg());
        this.log.push(`${who} at the end: ${got}`);
        await this.reply(who, ksock);
        this.log.push(`${who} has ${await ksock.numUnrepliedTo()} to answer`);
      }
    }
    for (const ksock of this.ksocks) await ksock.close();
    this.log.push(...(await Promise.all(this.pending)));
  }
}

async function logOf(transport: Transport<Ksock>, all: readonly Step[]): Promise<string[]> {
  const place = await transport.place();
  try {
    return await new Programs(place).run(all);
  } finally {
    await place.close();
  }
}

describe('Calls in bursts have the same effects', () => {
  it.for([
    { name: inFrames.name, transport: inFrames, numRuns: 150 },
    { name: inFramesByteByByte.name, transport: inFramesByteByByte, numRuns: 30 },
  ])('in this process, and $name', { timeout: 600_000 }, async ({ transport, numRuns }) => {
    await holdsInTime(
      fc.asyncProperty(steps, async (all) => {
        const expected = await logOf(inProcess, all);
        const got = await logOf(transport, all);
        const at = got.findIndex((line, index) => line !== expected[index]);
        if (at < 0 && got.length === expected.length) return;
        throw new Error(
          `in this process, line ${at}:\n  ${expected[at]}\n${transport.name}:\n  ${got[at]}\nafter\n  ${got.slice(Math.max(0, at - 8), Math.max(at, 0)).join('\n  ')}`,
        );
      }),
      numRuns,
      5_000,
    );
  });
});

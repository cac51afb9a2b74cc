import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import type { BorrowedMessage } from '../../src/message/borrowed.ts';
import type { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message } from '../../src/message/message.ts';
import { staged } from '../conformance/original.ts';
import { unixSocket } from '../conformance/transports.ts';
import { holdsInTime } from '../model/property.ts';
import { failed } from '../support/refused.ts';
import { catchReports } from '../support/reports.ts';
import { everywhere, settled } from './everywhere.ts';

const reported = catchReports();

const dataOf = ({ bytes, dataAt, dataLength }: BorrowedMessage): Uint8Array =>
  Uint8Array.from(bytes.subarray(dataAt, dataAt + dataLength));

everywhere('Handlers that borrow messages', (stage) => {
  it.for([0, 1, 5, 64, 70_000])(
    'get each message, with %d bytes of data, and can keep a copy.',
    async (length) => {
      const ksock = await stage.open();
      const sender = await stage.open();
      const heard: Uint8Array[] = [];
      const kept: Message[] = [];
      await ksock.listener(
        '$.a',
        (message) => {
          expect([message.name, message.from, message.flags]).toEqual([
            '$.a',
            sender.id,
            Flag.ALL_OR_WAIT,
          ]);
          heard.push(dataOf(message));
          kept.push(message.keep());
          expect(kept.at(-1)?.id).toEqual(message.id);
        },
        { borrowed: true },
      );
      const sent: Uint8Array[] = [];
      for (let at = 1; at <= 50; at++) {
        const data = new Uint8Array(length).fill(at);
        sent.push(data);
        await sender.post(new Announcement('$.a', data), { wait: true });
      }
      await sender.flush();
      while (heard.length < sent.length) await settled();
      const all = Buffer.concat(sent);
      expect(Buffer.concat(heard).equals(all)).toBe(true);
      expect(Buffer.concat(kept.map(({ data }) => data)).equals(all)).toBe(true);
      const serials = kept.map(({ id }) => id.serialNum);
      expect(serials).toEqual(serials.map((_, at) => (serials[0] as number) + at));
    },
  );

  it.for([true, false])(
    'get an error when they use a message after they returned (other handlers keep theirs: %s).',
    async (othersKeep) => {
      const ksock = await stage.open();
      const sender = await stage.open();
      const borrowed: BorrowedMessage[] = [];
      if (othersKeep) await ksock.listener('$.c', () => {});
      await ksock.listener('$.*', (message) => void borrowed.push(message), { borrowed: true });
      for (const name of ['$.a', '$.b']) await sender.sendMsg(new Announcement(name, 'data'));
      while (borrowed.length < 2) await settled();
      for (const one of borrowed) {
        expect(one.dataLength).toBe(0);
        for (const ask of [() => one.name, () => one.id, () => one.keep()]) {
          expect(ask).toThrow('its handler has returned; keep() gives one that stays');
        }
      }
    },
  );

  it('can’t be async: the error says so.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.listener('$.a', async () => {}, { borrowed: true });
    await sender.sendMsg(new Announcement('$.a'));
    await settled();
    expect(reported.splice(0).map(String)).toEqual([
      expect.stringContaining(
        "the handler of '$.a' borrows messages, which are valid until it returns",
      ),
    ]);
  });

  it('can share a Ksock with other handlers and a Replier; each gets its own copies.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const heard: string[] = [];
    const kept: Message[] = [];
    const text = (message: BorrowedMessage): string => message.keep().text();
    await ksock.listener('$.a', (message) => heard.push(`1 ${text(message)}`), { borrowed: true });
    await ksock.listener('$.*', (message) => void kept.push(message));
    await ksock.listener('$.a', (message) => heard.push(`2 ${text(message)}`), { borrowed: true });
    const replier = await ksock.replier('$.Ask', () => 'answer');
    await sender.sendMsg(new Announcement('$.a', 'x'));
    expect((await sender.request('$.Ask')).text()).toBe('answer');
    await settled();
    expect(heard).toEqual(['1 x', '2 x']);
    expect(kept.map((message) => [message.kind, message.text()])).toEqual([
      ['Announcement', 'x'],
      ['Request', ''],
      ['Reply', 'answer'],
    ]);
    await replier.stop();
    expect(String(await failed(sender.request('$.Ask')))).toContain('EADDRNOTAVAIL');
  });

  it('can start and stop between messages, and a later Request is answered.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.listener('$.a', () => {}, { borrowed: true });
    for (let round = 0; round < 5; round++) {
      const replier = await ksock.replier('$.Ask', () => 'answer');
      const outcome = requester.request('$.Ask').then(
        (reply) => reply.text(),
        (error) => String(error),
      );
      await replier.stop();
      expect(await outcome).toMatch(/answer|Unbound|any more/);
    }
  });
});

/** Data that identifies its message, and differs from the data of the messages before and after. */
function dataFor(number: number, size: number): Uint8Array {
  const data = new Uint8Array(size).fill(number * 41);
  data[0] = number;
  data[1] = number >> 8;
  return data;
}

function isWhole(data: Uint8Array): boolean {
  const [low = 0, high = 0] = data;
  return Buffer.compare(data, dataFor(low + 256 * high, data.length)) === 0;
}

type Step =
  | { readonly do: 'send'; readonly sizes: readonly number[] }
  | { readonly do: 'borrow' | 'keep' | 'stop' | 'ask' };

const DOINGS = ['borrow', 'borrow', 'stop', 'stop', 'keep', 'ask'] as const;

const size = fc.oneof(
  fc.integer({ min: 2, max: 200 }),
  fc.constantFrom(64, 64, 64, 3000, 16_384, 65_536, 200_000),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        sizes: fc.oneof(
          fc.array(size, { minLength: 1, maxLength: 60 }),
          fc.tuple(size, fc.integer({ min: 1, max: 5000 })).map(([one, count]) => {
            return new Array<number>(one > 3000 ? 80 : count).fill(one);
          }),
        ),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom(...DOINGS),
      }),
    },
  ),
  { minLength: 3, maxLength: 20 },
);

/** Carries out the steps; throws if a message differs from what was sent, while it is borrowed or later. */
async function keepsWhole(ksock: Ksock, sender: Ksock, sequence: readonly Step[]): Promise<void> {
  await sender.replier('$.Ask', (request) => request.data);
  const kept: Message[] = [];
  let borrowed = 0;
  let torn = 0;
  let number = 0;
  const borrow = (message: BorrowedMessage): void => {
    borrowed++;
    if (!isWhole(dataOf(message))) torn++;
  };
  const handlings = [await ksock.listener('$.a', borrow, { borrowed: true })];
  for (const step of sequence) {
    if (step.do === 'send') {
      for (const one of step.sizes) {
        await sender.post(new Announcement('$.a', dataFor(number++, one)), { wait: true });
      }
    } else if (step.do === 'borrow') {
      handlings.push(await ksock.listener('$.a', borrow, { borrowed: true }));
    } else if (step.do === 'keep') {
      handlings.push(await ksock.listener('$.a', (message) => void kept.push(message)));
    } else if (step.do === 'ask') {
      // The bus refuses it while the queue is full.
      await ksock.request('$.Ask', dataFor(number++, 5000)).then(
        (reply) => kept.push(reply),
        (error: KbusError) => expect(error.code).toBe('ENOLCK'),
      );
    } else {
      await handlings.shift()?.stop();
    }
  }
  await sender.flush();
  await new Promise<void>((resolve) => {
    void ksock
      .listener('$.End', () => resolve(), { borrowed: true })
      .then(() => sender.sendMsg(new Announcement('$.End')));
  });
  const broken = kept.filter(({ data }) => !isWhole(data)).length;
  if (torn + broken > 0) {
    throw new Error(`${torn} of ${borrowed} borrowed, ${broken} of ${kept.length} kept`);
  }
}

describe('A receive buffer', () => {
  const stage = staged<Ksock>(unixSocket);

  it('is not reused while it holds unread messages.', async () => {
    const COUNT = 20_000;
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.setMaxMessages(COUNT);
    await ksock.bind('$.a');
    for (let number = 0; number < COUNT; number++) {
      await sender.post(new Announcement('$.a', dataFor(number, 64)));
    }
    await sender.flush();
    let number = 0;
    for await (const { data } of ksock) {
      if (Buffer.compare(data, dataFor(number, 64)) !== 0)
        throw new Error(`message ${number} is torn`);
      // The client consumes all prefetched messages before it grants further credit.
      if (number++ % 500 === 0) await settled();
      if (number === COUNT) break;
    }
    expect(number).toBe(COUNT);
  });

  it('is reused only if the program has kept no message in it.', async () => {
    await holdsInTime(
      fc.asyncProperty(steps, async (sequence) => {
        const ksock = await stage.open();
        const sender = await stage.open();
        try {
          await keepsWhole(ksock, sender, sequence);
        } finally {
          await ksock.close();
          await sender.close();
        }
      }),
      15,
      20_000,
    );
  }, 120_000);
});

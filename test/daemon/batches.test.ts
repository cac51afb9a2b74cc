import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { Op } from '../../src/message/calls.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Message } from '../../src/message/message.ts';
import { holds } from '../model/property.ts';
import { frame, messagesFrame, record, same } from '../support/frames.ts';
import { Host, Peer } from './peer.ts';

/** What may be said of a message; its data is text of this length. */
const message = fc.record({
  name: fc.constantFrom('$.A', '$.A', '$.A', '$.B', '$.A.Long_Name-1'),
  flags: fc.constantFrom(0, 0, 0, 1 << 16, 0x8000_0000),
  length: fc.oneof(
    { weight: 8, arbitrary: fc.nat(9) },
    fc.constantFrom(95, 96, 97, 4095, 4096, 4097, 20_000, 40_000),
  ),
  limpet: fc.constantFrom(...new Array(9).fill(0), 1, 2, 3),
  again: fc.nat(4),
});
type Said = typeof message extends fc.Arbitrary<infer T> ? T : never;

function made({ name, flags, length, limpet }: Said, number: number): Message {
  return new Message(name, `${number}`.padEnd(length, '.').slice(0, length), {
    flags,
    ...((limpet & 1) !== 0 && { id: new MessageId(7, number) }),
    ...((limpet & 2) !== 0 && { origFrom: new OrigFrom(1, number), finalTo: new OrigFrom(0, 4) }),
  });
}

/** An act of a reader: it takes one message, or gives credit and consumes messages that it has prefetched. */
const step = fc.oneof(
  fc.constant({ take: true }),
  fc.record({ grant: fc.nat(20), consumed: fc.nat(20) }),
  fc.constant({ recall: true }),
);

describe('Messages, however they are divided into frames,', () => {
  it('are read in the order of their sends, whether prefetched or taken', () => {
    holds(
      fc.property(
        fc.array(fc.array(message, { minLength: 1, maxLength: 9 }), { maxLength: 6 }),
        fc.array(fc.nat(3000), { maxLength: 5 }),
        fc.array(step, { maxLength: 25 }),
        fc.array(step, { maxLength: 25 }),
        (frames, cuts, before, behind) => {
          const host = new Host();
          const bus = new Bus();
          const [sender, reader] = [Peer.open(host, bus), Peer.open(host, bus)];
          reader.bind('$.*');
          const sent: Message[] = [];
          const bytes = frames.map((all) => {
            const token = sent.length + 1;
            const records: (Message | Buffer)[] = [];
            for (const said of all) {
              const first = made(said, sent.length);
              records.push(first);
              sent.push(first);
              for (let left = said.limpet === 0 ? said.again : 0; left > 0; left--) {
                const text = `${sent.length}`;
                records.push(same(text));
                const alike = Message.fromMessage(first);
                alike.data = text;
                sent.push(alike);
              }
            }
            return messagesFrame('SEND', records, { token });
          });

          const read: Message[] = [];
          let [credit, prefetched]: [number, Message[]] = [0, []];
          const hear = (): void => {
            for (const { kind, message: one } of reader.hear()) {
              if (kind === 'PREFETCH') prefetched.push(one as Message);
              else if (kind === 'TAKEN') read.push(one as Message);
            }
          };
          const does = (what: typeof step extends fc.Arbitrary<infer T> ? T : never): void => {
            if ('grant' in what) {
              const consumed = Math.min(what.consumed, prefetched.length);
              read.push(...prefetched.splice(0, consumed));
              credit += what.grant;
              reader.say(frame('CREDIT', { consumed, words: [what.grant] }));
            } else {
              reader.call(Op.RECALL);
              // What is not consumed goes back, and comes again.
              hear();
              [credit, prefetched] = [0, []];
              if ('take' in what) reader.say(frame('TAKE', { token: 1 }));
            }
            hear();
            expect(prefetched.length).toBeLessThanOrEqual(credit);
          };
          for (const one of before) does(one);
          const all = Buffer.concat(bytes);
          let from = 0;
          for (const length of [...cuts, all.length]) {
            sender.say(all.subarray(from, from + length));
            from = Math.min(all.length, from + length);
          }
          hear();
          for (const one of behind) does(one);
          does({ grant: sent.length, consumed: prefetched.length });
          does({ grant: 0, consumed: prefetched.length });

          const told = (one: Message): string[] => one.extract().map(String);
          let serial = 0;
          const expected = sent.map((one) => {
            const id = one.id.networkId !== 0 ? one.id : new MessageId(0, ++serial);
            const { flags, origFrom, finalTo } = one;
            return told(new Message(one.name, one.data, { id, from: 1, flags, origFrom, finalTo }));
          });
          expect(read.map(told)).toEqual(expected);
        },
      ),
      300,
    );
  });
});

describe('Replies, however they are divided into frames,', () => {
  it('answer their Requests, by token', () => {
    holds(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 30 }),
        fc.boolean(),
        (asked, answered, answersByToken) => {
          const host = new Host();
          const bus = new Bus();
          const [asker, replier] = [Peer.open(host, bus), Peer.open(host, bus)];
          replier.bind('$.Ask', true);
          replier.say(frame('CREDIT', { words: [1000] }));
          // ANSWERED and QUIET, or through the queue.
          const detail = answersByToken ? 2 + 4 : 0;
          let token = 100;
          for (const count of asked) {
            const request = new Message('$.Ask', `${token}`, { flags: Flag.WANT_A_REPLY });
            const more = Array.from({ length: count - 1 }, (_, at) => same(`${token + 1 + at}`));
            asker.say(messagesFrame('SEND', [request, ...more], { token, detail }));
            // Others between them, so that numbers don't all follow each other.
            replier.say(messagesFrame('SEND', [new Message('$.Nobody')]));
            token += count;
          }
          const requests = replier
            .hear()
            .flatMap((one) => (one.kind === 'PREFETCH' ? one.message : []));
          const expected: string[] = [];
          asker.hear();
          while (requests.length > 0) {
            const some = requests.splice(0, answered.shift() ?? 1) as Message[];
            let last: Message | null = null;
            const records: Buffer[] = some.map((request) => {
              const isNext: boolean = last?.id.serialNum === request.id.serialNum - 1;
              last = request;
              expected.push(request.text());
              const options = { inReplyTo: request.id, to: request.from };
              const text = `to ${request.text()}`;
              return isNext ? same(text) : record(new Message('$.Ask', text, options));
            });
            replier.say(messagesFrame('SEND', records, { detail: 4, consumed: some.length }));
          }
          asker.say(frame('CREDIT', { words: [1000] }));
          const got = asker.hear().map((one) => [one.kind, one.token, one.message?.text()]);
          expect(got).toEqual(
            expected.map((text) =>
              answersByToken
                ? ['ANSWER', Number(text), `to ${text}`]
                : ['PREFETCH', 0, `to ${text}`],
            ),
          );
          expect(replier.hear().filter(({ kind }) => kind === 'REFUSED')).toEqual([]);
          for (const peer of [asker, replier]) peer.session.closed();
        },
      ),
      300,
    );
  });
});

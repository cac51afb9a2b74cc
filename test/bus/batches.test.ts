import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Access,
  Bus,
  type BusKsock,
  type KsockOwner,
  MessageBatch,
  SendQueue,
} from '../../src/bus/index.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Message } from '../../src/message/message.ts';
import { holds, isUsual } from '../model/property.ts';
import { record, same } from '../support/frames.ts';
import { allOf } from '../support/outstanding.ts';
import { batchOf } from './batch.ts';

/** A group of equal messages of a batch. */
interface Alike {
  readonly name: string;
  readonly flags: number;
  /** A Ksock id; of a Reply, that of the requester, unless it goes astray. */
  readonly to: number;
  /**
   * Answers one of the Requests that the sender has read, counted from the last one, and those after it; or
   * none, if there is none.
   */
  readonly answers: number | null;
  /** It has orig_from and final_to, as from a Limpet. */
  readonly carries: boolean;
  /** A Limpet's id. */
  readonly network: number;
  /** It is larger than the maximum. */
  readonly isLarge: boolean;
  readonly count: number;
}

/** The detail bits of the send. */
interface How {
  readonly waits: boolean;
  /** The Replies to Requests come by token. */
  readonly answered: boolean;
}

const PLAIN: Alike = {
  name: '$.A',
  flags: 0,
  to: 0,
  answers: null,
  carries: false,
  network: 0,
  isLarge: false,
  count: 1,
};
const MAX_SIZE = 200;

/** A sender whose sends may wait, two other programs, and the reported outcomes of the sends. */
class Stage {
  readonly bus: Bus;
  readonly sender: BusKsock;
  readonly sends: SendQueue;
  readonly listeners: BusKsock[];
  readonly told: string[] = [];
  /** Requests that the sender has read, and their requesters. */
  private readonly asked: MessageBatch[] = [];
  /** The Requests that the listeners have read. */
  private readonly read: MessageBatch[][] = [[], []];
  private nextToken = 1;
  /** The kinds of messages that were sent in batches, and the number of their names. */
  readonly together = new Set<string>();

  constructor(nextSerial: number, access: Access | null = null) {
    this.bus = new Bus({ maxMessages: 5, maxUnansweredPerKsock: 3 });
    this.bus.nextSerial = nextSerial;
    this.bus.maxMessageSize(MAX_SIZE);
    const { delivery } = this.bus;
    const send = delivery.send.bind(delivery);
    delivery.send = (sender, batch) => {
      const { count, isReply, isRequest } = batch;
      const kind = isReply ? 'Replies' : isRequest ? 'Requests' : 'Announcements';
      if (count > 1) {
        const names = new Set(Array.from({ length: count }, (_, at) => batch.one(at).name));
        this.together.add(names.size > 1 ? `${kind} of several names` : kind);
      }
      return send(sender, batch);
    };
    this.sender = this.open(() => this.sends.retry(), access);
    this.sends = new SendQueue(this.sender, (batch, result) => this.tell(batch, result));
    this.listeners = [this.open(), this.open()];
    this.sender.bind('$.Ask', true);
  }

  private open(roomMade?: () => void, access: Access | null = null): BusKsock {
    const owner: KsockOwner = {
      queued: () => {},
      answered: (token, batch) => {
        for (let at = 0; at < batch.count; at++) {
          const one = batch.count === 1 ? batch : batch.one(at);
          this.told.push(`${token + at} answered ${tell(one, false)}`);
        }
      },
      roomMade: roomMade ?? (() => this.told.push(`${ksock.id} again ${ksock.resend()}`)),
    };
    const ksock: BusKsock = this.bus.open(owner, { access });
    return ksock;
  }

  // The bus reports a batch once; here each message counts by itself.
  private tell(batch: MessageBatch, result: number): void {
    for (let index = 0; index < batch.count; index++) {
      const serial = batch.idSerial === 0 ? 0 : batch.idSerial + index;
      this.told.push(`${batch.token + index} ${result} ${batch.idNetwork}:${serial}`);
    }
  }

  /** Sends messages: together, or one by one. */
  send(all: readonly Alike[], how: How, isTogether: boolean): void {
    const records: Buffer[] = [];
    let before: Message | null = null;
    for (const one of all) {
      for (let index = 0; index < one.count; index++) {
        const message = this.make(one, index, `${this.nextToken + records.length}`);
        const isSame: boolean = isTogether && before !== null && follows(message, before);
        records.push(isSame ? same(message.text()) : record(message));
        before = message;
      }
    }
    const batches = isTogether ? [records] : records.map((one) => [one]);
    for (const records of batches) {
      const batch = batchOf(records);
      batch.token = this.nextToken;
      batch.answersByToken = how.answered;
      batch.waits = how.waits;
      this.nextToken += records.length;
      this.sends.submit(batch);
    }
  }

  private make(one: Alike, index: number, text: string): Message {
    const { name, flags, answers, network, carries, isLarge } = one;
    const { asked } = this;
    const request = asked[asked.length - 1 - ((answers ?? 0) % Math.max(1, asked.length))];
    const isReply = answers !== null && request !== undefined;
    const to = isReply && one.to === 0 ? request.from : one.to;
    const number = Math.min((request?.idSerial ?? 0) + index, 0xffff_ffff);
    return new Message(name, isLarge ? text.padEnd(MAX_SIZE, '.') : text, {
      flags,
      to,
      ...(network !== 0 && { id: new MessageId(network, 5) }),
      ...(isReply && { inReplyTo: new MessageId(request.idNetwork, number) }),
      ...(carries && { origFrom: new OrigFrom(1, 2), finalTo: new OrigFrom(3, 4) }),
    });
  }

  /** Another program sends Requests to the sender, which reads until it has them. */
  ask(by: number, network: number, count: number, answered: boolean): unknown {
    const result: unknown[] = [];
    for (let each = 0; each < count; each++) {
      const request = new MessageBatch('$.Ask', Flag.WANT_A_REPLY, 0, new Uint8Array(1), 0, 1);
      request.idNetwork = network;
      if (network !== 0) request.idSerial = 5;
      request.answersByToken = answered;
      if (answered) request.token = this.nextToken++;
      result.push(this.listeners[by]?.send(request));
    }
    const read: string[] = [];
    for (let batch = this.sender.take(); batch !== null; batch = this.sender.take()) {
      if (this.sender.tookRequest) this.asked.push(batch);
      read.push(tell(batch, this.sender.tookRequest));
    }
    return [result, read];
  }

  take(listener: number): string {
    const ksock = this.listeners[listener] as BusKsock;
    const batch = ksock.take();
    if (batch === null) return 'none';
    if (ksock.tookRequest) this.read[listener]?.push(batch);
    return tell(batch, ksock.tookRequest);
  }

  /** A listener sends a message that may have to wait. */
  say(listener: number, name: string): unknown {
    const flags = Flag.ALL_OR_WAIT | (name === '$.Ask' ? Flag.WANT_A_REPLY : 0);
    const batch = new MessageBatch(name, flags, 0, new Uint8Array(1), 0, 1);
    return this.listeners[listener]?.send(batch);
  }

  /** One of the listeners, or the sender. */
  whom(index: number): BusKsock {
    return this.listeners[index] ?? this.sender;
  }

  /** The sender forgets a Request, when this number of unread messages was prefetched for a listener. */
  forget(which: number, shown: number, listener: number): boolean {
    const tokens = allOf(this.sender.outstanding).flatMap(({ token }) =>
      token < 0 ? [] : [token],
    );
    const token = tokens[which % tokens.length] ?? which;
    const { queue } = this.listeners[listener] as BusKsock;
    for (let count = Math.min(shown, queue.length); count > 0; count--) queue.mark(1);
    const isTakenBack = this.sender.forget(token);
    queue.unmark();
    return isTakenBack;
  }

  /** A listener answers the oldest Request that it has read. */
  reply(listener: number): unknown {
    const request = this.read[listener]?.shift();
    if (request === undefined) return 'nothing to answer';
    const reply = new MessageBatch('$.B', 0, request.from, new Uint8Array(1), 0, 1);
    reply.replyNetwork = request.idNetwork;
    reply.replySerial = request.idSerial;
    return this.listeners[listener]?.send(reply);
  }

  /** A listener closes, and another opens. */
  leave(listener: number): void {
    this.listeners[listener]?.close();
    this.listeners[listener] = this.open();
    this.read[listener] = [];
  }

  /** All close. */
  end(): void {
    for (const ksock of [this.sender, ...this.listeners]) ksock.close();
  }

  state(): unknown {
    const all = [this.sender, ...this.listeners];
    return [
      this.bus.nextSerial,
      [this.sender.lastNetwork, this.sender.lastSerial],
      this.sends.pending,
      all.map((k) => [k.numMessages, k.occupied, k.missed, k.queuedSerial]),
      all.map((k) => [k.outstanding.size, k.numUnrepliedTo, k.isSending]),
    ];
  }
}

/** Whether a message may be SAME as the one before it. */
function follows(message: Message, before: Message): boolean {
  const { inReplyTo, id, origFrom } = before;
  const { networkId, serialNum } = inReplyTo;
  const next = inReplyTo.isSet ? `[${networkId}:${serialNum + 1}]` : String(inReplyTo);
  return (
    message.name === before.name &&
    message.flags === before.flags &&
    message.to === before.to &&
    String(message.inReplyTo) === next &&
    !id.isSet &&
    !message.id.isSet &&
    !origFrom.isSet &&
    !message.origFrom.isSet
  );
}

function tell(batch: MessageBatch, isOurs: boolean): string {
  const { name, flags, to, from, idNetwork, idSerial, carried } = batch;
  const what = `${name} [${idNetwork}:${idSerial}] from ${from} to ${to} flags ${flags}`;
  const re = `re [${batch.replyNetwork}:${batch.replySerial}]`;
  const more = `${JSON.stringify(carried)} data ${Buffer.from(batch.copyData())}`;
  return `${what} ${re} ${isOurs ? 'to answer ' : ''}${more}`;
}

const { WANT_A_REPLY, ALL_OR_WAIT, ALL_OR_FAIL, URGENT } = Flag;
const name = fc.constantFrom('$.A', '$.B', '$.A.B');
const listener = fc.nat(1);
/** Either of the listeners, or the sender. */
const whom = fc.constantFrom(0, 0, 0, 1, 1, 1, 2);
const anyFlags = fc.constantFrom(
  ...[0, 0, 0, ALL_OR_WAIT, ALL_OR_FAIL, URGENT, ALL_OR_WAIT | ALL_OR_FAIL, 1 << 20],
  ...[WANT_A_REPLY, WANT_A_REPLY | ALL_OR_WAIT, WANT_A_REPLY | URGENT],
);
const alike = fc.record({
  name: fc.oneof({ weight: 9, arbitrary: name }, fc.constantFrom('$.Bad.*', 'no name')),
  flags: anyFlags,
  to: fc.constantFrom(0, 0, 0, 0, 2, 3, 9),
  answers: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat(3)),
  carries: fc.constantFrom(false, false, true),
  network: fc.constantFrom(0, 0, 0, 0, 0, 7),
  isLarge: fc.constantFrom(false, false, false, false, true),
  count: fc.integer({ min: 1, max: 9 }),
});
/** Announcements that may go the same way. */
const plain = fc
  .record({
    name,
    flags: fc.constantFrom(0, 0, 0, 0, ALL_OR_WAIT),
    count: fc.integer({ min: 1, max: 3 }),
  })
  .map((some): Alike => ({ ...PLAIN, ...some }));
/** Requests that the bus may accept. */
const asking = fc
  .record({
    name,
    flags: fc.constantFrom(WANT_A_REPLY, WANT_A_REPLY, WANT_A_REPLY | ALL_OR_WAIT),
    count: fc.integer({ min: 1, max: 5 }),
  })
  .map((some): Alike => ({ ...PLAIN, ...some }));
/** Replies that a requester may want. */
const replying = fc
  .record({ name, answers: fc.nat(5), count: fc.integer({ min: 1, max: 5 }) })
  .map((some): Alike => ({ ...PLAIN, ...some }));
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      send: fc.oneof(
        fc.array(alike, { minLength: 1, maxLength: 1 }),
        fc.array(alike, { minLength: 2, maxLength: 5 }),
        fc.array(plain, { minLength: 2, maxLength: 5 }),
        fc.array(asking, { minLength: 1, maxLength: 3 }),
        fc.array(replying, { minLength: 1, maxLength: 2 }),
      ),
      how: fc.record({ waits: fc.boolean(), answered: fc.boolean() }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ask: listener,
      network: fc.constantFrom(0, 0, 0, 7),
      count: fc.integer({ min: 1, max: 5 }),
      answered: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 2, arbitrary: fc.record({ reply: listener }) },
  { weight: 1, arbitrary: fc.record({ leave: listener }) },
  { weight: 3, arbitrary: fc.record({ take: listener }) },
  { weight: 3, arbitrary: fc.record({ takeMany: fc.integer({ min: 1, max: 4 }), whom }) },
  {
    weight: 1,
    arbitrary: fc.record({ say: listener, name: fc.constantFrom('$.A', '$.Ask', '$.Ask') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      bind: fc.constantFrom('$.A', '$.B', '$.A.*', '$.*'),
      replier: fc.boolean(),
      whom,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      unbind: fc.constantFrom('$.A', '$.B', '$.*'),
      replier: fc.boolean(),
      whom,
    }),
  },
  { weight: 1, arbitrary: fc.record({ limit: fc.integer({ min: 1, max: 12 }), whom }) },
  { weight: 1, arbitrary: fc.record({ once: fc.boolean(), whom }) },
  { weight: 2, arbitrary: fc.record({ cancel: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.constant({ discard: true }) },
  {
    weight: 3,
    arbitrary: fc.record({
      forget: fc.integer({ min: 1, max: 60 }),
      shown: fc.constantFrom(0, 0, 1, 2, 3),
      by: listener,
    }),
  },
);

/** The sender may send and answer some of the names. */
const FEW_RIGHTS = new Access('access point of the test', {
  rights: ['read', 'write', 'reply'],
  send: ['$.A', '$.Bad'],
  reply: ['$.Ask', '$.B'],
});

/** Stands for a withdrawn Request. */
const TAKEN_BACK = 1;

/** The outcomes that must occur, or the sequences test too little. */
const OUTCOMES = [TAKEN_BACK, 0, -11, -13, -16, -22, -32, -37, -74, -90, -99, -111, -114, -125];

describe('messages of a batch', () => {
  it('have the same effect as messages sent one by one, whatever else happens', {
    timeout: 300_000,
  }, () => {
    const seen = new Set<number>();
    const together = new Set<string>();
    holds(
      fc.property(
        fc.constantFrom(1, 2 ** 32 - 8),
        fc.constantFrom(null, null, null, FEW_RIGHTS),
        fc.array(step, { maxLength: 60, size: 'max' }),
        (nextSerial, access, steps) => {
          const stages = [new Stage(nextSerial, access), new Stage(nextSerial, access)];
          for (const each of steps) {
            const outcomes = stages.map((stage, at) => {
              const ksock = stage.whom('whom' in each ? each.whom : 0);
              if ('send' in each) {
                stage.send(each.send, each.how, at === 1);
              } else if ('ask' in each) {
                return stage.ask(each.ask, each.network, each.count, each.answered);
              } else if ('say' in each) {
                return stage.say(each.say, each.name);
              } else if ('reply' in each) {
                return stage.reply(each.reply);
              } else if ('forget' in each) {
                const isTakenBack = stage.forget(each.forget, each.shown, each.by);
                seen.add(isTakenBack ? TAKEN_BACK : 0);
                return isTakenBack;
              } else if ('leave' in each) {
                stage.leave(each.leave);
              } else if ('take' in each) {
                return stage.take(each.take);
              } else if ('takeMany' in each) {
                ksock.takeMany(Math.min(each.takeMany, ksock.numMessages));
              } else if ('bind' in each) {
                return ksock.bind(each.bind, each.replier);
              } else if ('unbind' in each) {
                return ksock.unbind(each.unbind, each.replier);
              } else if ('limit' in each) {
                return ksock.maxMessages(each.limit);
              } else if ('once' in each) {
                return ksock.wantMessagesOnce(each.once ? 1 : 0);
              } else if ('cancel' in each) {
                return stage.sends.cancel(each.cancel);
              } else {
                stage.sends.discard();
              }
              return undefined;
            });
            expect(outcomes[1]).toEqual(outcomes[0]);
            expect(stages[1]?.state()).toEqual(stages[0]?.state());
          }
          for (const at of [0, 1]) {
            for (let left = true; left; ) {
              const [one, other] = stages.map((stage) => stage.take(at));
              expect(other).toBe(one);
              left = one !== 'none';
            }
          }
          // The bus throws if it holds state of a closed Ksock.
          for (const stage of stages) stage.end();
          expect(stages[1]?.told.sort()).toEqual(stages[0]?.told.sort());
          for (const outcome of stages[0]?.told ?? []) seen.add(Number(outcome.split(' ')[1]));
          for (const kind of stages[1]?.together ?? []) together.add(kind);
        },
      ),
      400,
    );
    if (!isUsual) return;
    expect(OUTCOMES.filter((outcome) => !seen.has(outcome))).toEqual([]);
    expect([...together].sort()).toEqual([
      'Announcements',
      'Announcements of several names',
      'Replies',
      'Requests',
    ]);
  });

  it('are queued as one entry if they go the same way', () => {
    const stage = new Stage(1);
    stage.listeners[0]?.bind('$.A', false);
    stage.send([{ ...PLAIN, count: 4 }], { waits: false, answered: false }, true);
    expect(stage.listeners[0]?.queue.entries).toBe(1);
    expect(stage.listeners[0]?.numMessages).toBe(4);
    expect(stage.take(0)).toBe('$.A [0:1] from 1 to 0 flags 0 re [0:0] null data 1');
    expect(stage.take(0)).toBe('$.A [0:2] from 1 to 0 flags 0 re [0:0] null data 2');
    expect(stage.listeners[0]?.numMessages).toBe(2);
  });

  it('are queued as one entry also if they have several names with the same listeners', () => {
    const stage = new Stage(1);
    stage.listeners[0]?.bind('$.*', false);
    stage.listeners[1]?.bind('$.B', false);
    const all = ['$.A', '$.C', '$.B', '$.B', '$.A.B', '$.A'].map((each) => ({
      ...PLAIN,
      name: each,
    }));
    stage.send(all, { waits: false, answered: false }, true);
    expect(stage.listeners[0]?.queue.entries).toBe(2 + 1);
    expect(stage.listeners[1]?.queue.entries).toBe(1);
    const read = (listener: number): string[] => {
      const count = stage.listeners[listener]?.numMessages as number;
      return Array.from({ length: count }, () => stage.take(listener).split(' from')[0] as string);
    };
    expect(read(0)).toEqual(['$.A [0:1]', '$.C [0:2]', '$.B [0:3]', '$.B [0:4]', '$.A.B [0:5]']);
    expect(read(1)).toEqual(['$.B [0:3]', '$.B [0:4]']);
  });
});

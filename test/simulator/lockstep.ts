import type {
  Attempt,
  Bus,
  BusObserver,
  KsockState,
  MessageBatch,
  Setting,
} from '../../src/bus/index.ts';
import type { KsockBinding } from '../../src/bus/ksock-state.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import type { Message } from '../../src/message/message.ts';
import { asNaive } from '../model/as-naive.ts';
import { NaiveBus, type NaiveKsock, type NaiveMessage } from '../model/naive-bus.ts';

/** The engine deviated from the specification, or the client from the engine. */
export class Broken extends Error {}

const latin1 = new TextDecoder('latin1');

interface Entry {
  readonly batch: MessageBatch;
  readonly isRequest: boolean;
  readonly order: number | undefined;
}

/** The unread messages, one by one, also those of a batch. */
function unread({ queue }: KsockState): Entry[] {
  const all: Entry[] = [];
  for (let at = 0; at < queue.entries; at++) {
    const batch = queue.batch(at);
    const binding = queue.binding(at);
    const entry = { isRequest: binding?.replier === true, order: binding?.order };
    if (batch.count === 1) all.push({ batch, ...entry });
    else {
      for (let one = queue.readOf(at); one < batch.count; one++) {
        all.push({ batch: batch.one(one), ...entry });
      }
    }
  }
  return all;
}

/** The number of messages at the front of a queue that were prefetched. */
function shown({ engine: { queue } }: Pair): number {
  let count = 0;
  for (let at = 0; at < queue.entries && at <= queue.marked; at++) {
    const end = at < queue.marked ? queue.batch(at).count : queue.markedWithin;
    count += end - queue.readOf(at);
  }
  return count;
}

/** The messages of a batch, one by one. */
function messagesOf(batch: MessageBatch): NaiveMessage[] {
  if (batch.count === 1) return [asNaive(batch)];
  return Array.from({ length: batch.count }, (_, index) => asNaive(batch.one(index)));
}

function told(message: NaiveMessage, you: boolean): string {
  const { network, serial, name, to, from, replyNetwork, replySerial, data } = message;
  const flags = you ? message.flags | Flag.WANT_YOU_TO_REPLY : message.flags;
  return `[${network}:${serial}] ${name} flags ${flags >>> 0} to ${to} from ${from} re [${replyNetwork}:${replySerial}] ${data.length} ${data.slice(0, 24)}`;
}

/** A message that a client got, in the form of the engine's side. */
export function tellMessage(message: Message): string {
  const { id, inReplyTo, origFrom, finalTo, to, from, flags, name, data } = message;
  return told(
    {
      network: id.networkId,
      serial: id.serialNum,
      replyNetwork: inReplyTo.networkId,
      replySerial: inReplyTo.serialNum,
      to,
      from,
      origFrom: [origFrom.networkId, origFrom.localId],
      finalTo: [finalTo.networkId, finalTo.localId],
      flags,
      name,
      data: latin1.decode(data),
    },
    false,
  );
}

/** A Ksock in the engine and in the naive model, and the messages read from it. */
export class Pair {
  readonly engine: KsockState;
  readonly naive: NaiveKsock;
  /** The messages that the engine counts as read, oldest first. */
  readonly taken: string[] = [];
  /** The messages that the client gave to its program, oldest first. */
  readonly consumed: string[] = [];

  constructor(engine: KsockState, naive: NaiveKsock) {
    this.engine = engine;
    this.naive = naive;
  }

  hand(message: string): void {
    this.consumed.push(message);
    this.compare(this.consumed.length - 1);
  }

  take(message: string): void {
    this.taken.push(message);
    this.compare(this.taken.length - 1);
  }

  private compare(at: number): void {
    const [taken, consumed] = [this.taken[at], this.consumed[at]];
    if (taken === undefined || consumed === undefined || taken === consumed) return;
    throw new Broken(
      `message ${at + 1} that Ksock ${this.engine.id} read:\n  the bus gave    ${taken}\n  the program got ${consumed}`,
    );
  }
}

/**
 * Watches a bus, lets the naive model do all that the bus did, and compares results and
 * visible state whenever the bus is done. Throws a Broken at a difference.
 */
export class Lockstep implements BusObserver {
  readonly bus: Bus;
  readonly naive: NaiveBus;
  readonly pairs = new Map<number, Pair>();
  private readonly answers: string[] = [];
  private answersCompared = 0;

  constructor(bus: Bus) {
    this.bus = bus;
    const { maxMessages, maxMessageSize, absoluteMaxMessageSize } = bus.settings;
    this.naive = new NaiveBus({
      maxMessages,
      maxMessageSize,
      absoluteMaxMessageSize,
      nextSerial: bus.nextSerial,
    });
    bus.watch(this);
  }

  pair(ksock: KsockState): Pair {
    return this.pairs.get(ksock.id) as Pair;
  }

  private naiveOf(ksock: KsockState): NaiveKsock {
    return this.pair(ksock).naive;
  }

  opened(ksock: KsockState): void {
    this.pairs.set(ksock.id, new Pair(ksock, this.naive.open(ksock.mode, ksock.mayReply)));
  }

  closed(ksock: KsockState): void {
    this.naive.close(this.naiveOf(ksock));
  }

  bound({ ksock, name, replier }: KsockBinding): void {
    this.expect(ksock, `bind ${name}`, 0, this.naive.bind(this.naiveOf(ksock), name, replier));
  }

  unbound({ ksock, name, replier }: KsockBinding): void {
    this.expect(ksock, `unbind ${name}`, 0, this.naive.unbind(this.naiveOf(ksock), name, replier));
  }

  bindRefused(
    ksock: KsockState,
    name: string,
    replier: boolean,
    isBind: boolean,
    errno: number,
  ): void {
    const k = this.naiveOf(ksock);
    const { naive } = this;
    const result = isBind ? naive.bind(k, name, replier) : naive.unbind(k, name, replier);
    this.expect(ksock, `${isBind ? 'bind' : 'unbind'} ${name}`, -errno, result);
  }

  sent(sender: KsockState, batch: MessageBatch, attempt: Attempt): void {
    this.attempted(sender, batch, attempt, 0);
  }

  refused(sender: KsockState, batch: MessageBatch, errno: number, attempt: Attempt): void {
    this.attempted(sender, batch, attempt, -errno);
  }

  waiting(sender: KsockState, batch: MessageBatch, attempt: Attempt): void {
    this.attempted(sender, batch, attempt, -Errno.EAGAIN);
  }

  private attempted(
    sender: KsockState,
    batch: MessageBatch,
    attempt: Attempt,
    result: number,
  ): void {
    const k = this.naiveOf(sender);
    if (attempt === 'resend') {
      this.expect(sender, 'resend', result, this.naive.resend(k));
    } else if (attempt === 'poll') {
      this.expect(sender, 'poll', result !== -Errno.EAGAIN, this.naive.poll(k));
    } else {
      // A batch has the effect of single sends.
      for (const [index, sent] of messagesOf(batch).entries()) {
        // The model assigns the id, too.
        const message = sent.network === 0 ? { ...sent, serial: 0 } : sent;
        const token = batch.answerToken < 0 ? -1 : batch.answerToken + index;
        this.expect(sender, `send ${message.name}`, result, this.naive.send(k, message, token));
      }
    }
  }

  discarded(sender: KsockState): void {
    this.naive.discard(this.naiveOf(sender));
  }

  answered(requester: KsockState, batch: MessageBatch, token: number): void {
    if (token < 0) return;
    for (const [index, message] of messagesOf(batch).entries()) {
      this.answers.push(`${requester.id} ${token + index} ${told(message, false)}`);
    }
  }

  read(
    ksock: KsockState,
    batch: MessageBatch,
    from: number,
    count: number,
    isAsked: boolean,
    over: number,
  ): void {
    const pair = this.pair(ksock);
    for (let index = from; index < from + count; index++) {
      if (this.naive.take(pair.naive, over) === null)
        throw new Broken('the bus read a missing message');
      pair.take(told(asNaive(batch.count === 1 ? batch : batch.one(index)), isAsked));
    }
  }

  forgotten(requester: KsockState, token: number, isTakenBack: boolean): void {
    const isNaivelyTakenBack = this.naive.forget(this.naiveOf(requester), token, ({ id }) =>
      shown(this.pairs.get(id) as Pair),
    );
    this.expect(requester, 'forget', isTakenBack, isNaivelyTakenBack);
  }

  set(ksock: KsockState | null, setting: Setting, value: number, result: number): void {
    const { naive } = this;
    if (ksock === null) return;
    const k = this.naiveOf(ksock);
    const does = {
      maxMessages: () => naive.maxMessages(k, value),
      wantMessagesOnce: () => naive.wantMessagesOnce(k, value),
      reportReplierBinds: () => naive.reportReplierBinds(k, value),
    };
    if (setting in does) this.expect(ksock, setting, result, does[setting as keyof typeof does]());
  }

  private expect(ksock: KsockState, what: string, result: unknown, expected: unknown): void {
    if (result === expected) return;
    throw new Broken(
      `${what} by Ksock ${ksock.id}: the bus says ${result}, the specification ${expected}`,
    );
  }

  /** Compares all visible state; call it when the bus is done. */
  compare(): void {
    const { bus, naive } = this;
    same('next serial', bus.nextSerial, naive.nextSerial);
    same('open Ksocks', [...bus.ksocks.keys()].join(), naive.ksocks.map((k) => k.id).join());
    same('held events', bus.heldEvents, naive.held());
    for (const { id } of naive.ksocks) this.comparePair(this.pairs.get(id) as Pair);
    for (; this.answersCompared < this.answers.length; this.answersCompared++) {
      const answer = naive.answers[this.answersCompared];
      const expected =
        answer && `${answer.ksock.id} ${answer.token} ${told(answer.message, false)}`;
      same('answer', this.answers[this.answersCompared], expected);
    }
    same('answers', this.answers.length, naive.answers.length);
  }

  private comparePair({ engine, naive: k }: Pair): void {
    const { naive } = this;
    const of = `of Ksock ${k.id}`;
    same(`limit ${of}`, engine.limit, k.limit);
    same(`unread ${of}`, engine.queue.length, k.queue.length);
    const all = unread(engine);
    same(`listed ${of}`, all.length, k.queue.length);
    k.queue.forEach((copy, at) => {
      const { batch, order } = all[at] as Entry;
      const got = `${told(asNaive(batch), false)} by ${order}`;
      same(`message ${at} ${of}`, got, `${told(copy.message, false)} by ${copy.binding?.order}`);
    });
    same(`places ${of}`, engine.occupied, naive.occupied(k));
    same(`outstanding ${of}`, engine.outstanding.size, naive.outstanding(k));
    same(`unreplied ${of}`, engine.numUnrepliedTo, naive.numUnrepliedTo(k));
    same(`sending ${of}`, engine.isSending, k.sending !== null);
    same(`missed ${of}`, engine.missed, k.missed);
    same(`last id ${of}`, `${engine.lastNetwork}:${engine.lastSerial}`, k.lastSent.join(':'));
  }
}

export function same(what: string, got: unknown, expected: unknown): void {
  if (got !== expected) throw new Broken(`${what}: ${got}, but it must be ${expected}`);
}

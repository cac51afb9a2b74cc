import type { Bus, BusKsock, Parcel } from '../../src/bus/index.ts';
import { Flag } from '../../src/message/flags.ts';
import type { Message } from '../../src/message/message.ts';
import { asNaive } from '../model/as-naive.ts';
import { NaiveBus, type NaiveKsock, type NaiveMessage } from '../model/naive-bus.ts';

/** The engine did what the specification doesn't say, or the client saw what the engine didn't do. */
export class Broken extends Error {}

const latin1 = new TextDecoder('latin1');

interface Entry {
  readonly parcel: Parcel;
  readonly isRequest: boolean;
  readonly order: number | undefined;
}

/** The unread messages, one by one: those of a run too. */
function unread({ queue }: BusKsock): Entry[] {
  const all: Entry[] = [];
  for (let at = 0; at < queue.entries; at++) {
    const parcel = queue.parcel(at);
    const binding = queue.binding(at);
    const entry = { isRequest: binding?.replier === true, order: binding?.order };
    if (parcel.count === 1) all.push({ parcel, ...entry });
    else {
      for (let one = queue.readOf(at); one < parcel.count; one++) {
        all.push({ parcel: parcel.one(one), ...entry });
      }
    }
  }
  return all;
}

/** How many messages at the front of a queue its driver has shown to the program. */
function shown({ engine: { queue } }: Pair): number {
  let count = 0;
  for (let at = 0; at < queue.entries && at <= queue.marked; at++) {
    const end = at < queue.marked ? queue.parcel(at).count : queue.markedWithin;
    count += end - queue.readOf(at);
  }
  return count;
}

function told(message: NaiveMessage, you: boolean): string {
  const { network, serial, name, to, from, replyNetwork, replySerial, data } = message;
  const flags = you ? message.flags | Flag.WANT_YOU_TO_REPLY : message.flags;
  return `[${network}:${serial}] ${name} flags ${flags >>> 0} to ${to} from ${from} re [${replyNetwork}:${replySerial}] ${data.length} ${data.slice(0, 24)}`;
}

/** What a client was given, told as the engine's side tells it. */
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

/** One Ksock in the engine and in the naive model, and what was read from it. */
export class Pair {
  readonly engine: BusKsock;
  readonly naive: NaiveKsock;
  /** What the engine took as read, oldest first. */
  readonly taken: string[] = [];
  /** What the client gave to its program, oldest first. */
  readonly handed: string[] = [];

  constructor(engine: BusKsock, naive: NaiveKsock) {
    this.engine = engine;
    this.naive = naive;
  }

  hand(message: string): void {
    this.handed.push(message);
    this.compare(this.handed.length - 1);
  }

  take(message: string): void {
    this.taken.push(message);
    this.compare(this.taken.length - 1);
  }

  private compare(at: number): void {
    const [taken, handed] = [this.taken[at], this.handed[at]];
    if (taken === undefined || handed === undefined || taken === handed) return;
    throw new Broken(
      `message ${at + 1} that Ksock ${this.engine.id} read:\n  the bus gave    ${taken}\n  the program got ${handed}`,
    );
  }
}

type Wrapped =
  | 'send'
  | 'resend'
  | 'poll'
  | 'discard'
  | 'forget'
  | 'bind'
  | 'unbind'
  | 'findReplier'
  | 'close'
  | 'maxMessages'
  | 'wantMessagesOnce'
  | 'reportReplierBinds'
  | 'maxMessageSize';

/**
 * Has the naive model of the specification do all that a bus is asked to do, before the bus does it, and
 * compares all there is to see whenever the bus has done. Throws a Broken where they part.
 */
export class Lockstep {
  readonly bus: Bus;
  readonly naive: NaiveBus;
  readonly pairs = new Map<number, Pair>();
  private readonly answers: string[] = [];
  private answersCompared = 0;
  private depth = 0;

  constructor(bus: Bus) {
    this.bus = bus;
    const { maxMessages, maxMessageSize, absoluteMaxMessageSize } = bus.settings;
    this.naive = new NaiveBus({
      maxMessages,
      maxMessageSize,
      absoluteMaxMessageSize,
      nextSerial: bus.nextSerial,
    });
    this.watch();
  }

  pair(ksock: BusKsock): Pair {
    return this.pairs.get(ksock.id) as Pair;
  }

  private watch(): void {
    const { bus, naive } = this;
    const open = bus.open.bind(bus);
    bus.open = (owner, options = {}) => {
      const engine: BusKsock = open(
        {
          queued: (atFront) => owner.queued(atFront),
          answered: (token, parcel) => {
            for (let at = 0; at < parcel.count; at++) {
              const message = asNaive(parcel.count === 1 ? parcel : parcel.one(at));
              this.answers.push(`${engine.id} ${token + at} ${told(message, false)}`);
            }
            owner.answered(token, parcel);
          },
          roomMade: () => owner.roomMade(),
        },
        options,
      );
      this.pairs.set(engine.id, new Pair(engine, naive.open(engine.mode)));
      return engine;
    };
    this.wrap('send', (k, parcel: Parcel, token: number) => {
      return naive.send(k, asNaive(parcel), token);
    });
    this.wrap('resend', (k) => naive.resend(k));
    this.wrap('poll', (k) => naive.poll(k));
    this.wrap('discard', (k) => naive.discard(k));
    this.wrap('forget', (k, token: number) => {
      return naive.forget(k, token, ({ id }) => shown(this.pairs.get(id) as Pair));
    });
    this.wrap('bind', (k, name: string, replier: boolean) => naive.bind(k, name, replier));
    this.wrap('unbind', (k, name: string, replier: boolean) => naive.unbind(k, name, replier));
    this.wrap('close', (k) => naive.close(k));
    this.wrap('maxMessages', (k, limit: number) => naive.maxMessages(k, limit));
    this.wrap('wantMessagesOnce', (k, value: number) => naive.wantMessagesOnce(k, value));
    this.wrap('reportReplierBinds', (k, value: number) => naive.reportReplierBinds(k, value));
    this.watchRuns();
    this.watchTakes();
  }

  // The bus tells senders of room in the middle of a call, when all else of it is done; what they do
  // then comes after it. So the model goes first.
  private wrap(name: Wrapped, naively: (naive: NaiveKsock, ...rest: never[]) => unknown): void {
    const bus = this.bus as unknown as Record<string, (...all: unknown[]) => unknown>;
    const does = (bus[name] as (...all: unknown[]) => unknown).bind(bus);
    bus[name] = (ksock: unknown, ...rest: unknown[]) => {
      const { naive } = this.pair(ksock as BusKsock);
      const expected = naively(naive, ...(rest as never[]));
      const result = this.within(() => does(ksock, ...rest));
      if (result !== expected) {
        throw new Broken(
          `${name} by Ksock ${naive.id}: the bus says ${result}, the specification ${expected}`,
        );
      }
      this.compare();
      return result;
    };
  }

  // What goes as a run goes as if each message went by itself.
  private watchRuns(): void {
    const { bus, naive } = this;
    const sendRun = bus.sendRun.bind(bus);
    bus.sendRun = (sender, run) => {
      const { naive: k } = this.pair(sender);
      const sent = this.within(() => sendRun(sender, run));
      for (let at = 0; at < (sent?.count ?? 0); at++) {
        const one = (sent as Parcel).one(at);
        const message = { ...asNaive(one), serial: 0 };
        same(`message ${at} of a run`, 0, naive.send(k, message, one.token));
      }
      this.compare();
      return sent;
    };
  }

  private watchTakes(): void {
    const { bus, naive } = this;
    const take = bus.take.bind(bus);
    bus.take = (ksock, at) => {
      const pair = this.pair(ksock);
      const copy = naive.take(pair.naive, at);
      const parcel = this.within(() => take(ksock, at));
      if (parcel !== null) pair.take(told(asNaive(parcel), ksock.tookRequest));
      if ((copy === null) !== (parcel === null)) throw new Broken('one took, the other did not');
      this.compare();
      return parcel;
    };
    const takeMany = bus.takeMany.bind(bus);
    bus.takeMany = (ksock, count, at) => {
      const pair = this.pair(ksock);
      const read = unread(ksock).slice(at, at + count);
      same('messages to read', read.length, count);
      for (const { parcel, isRequest } of read) {
        pair.take(told(asNaive(parcel), isRequest));
        naive.take(pair.naive, at);
      }
      this.within(() => takeMany(ksock, count, at));
      this.compare();
    };
  }

  private within<T>(does: () => T): T {
    this.depth++;
    try {
      return does();
    } finally {
      this.depth--;
    }
  }

  private compare(): void {
    if (this.depth > 0) return;
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
      const { parcel, order } = all[at] as Entry;
      const got = `${told(asNaive(parcel), false)} by ${order}`;
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

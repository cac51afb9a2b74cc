import { UNKNOWN } from '../../src/bus/identity.ts';
import {
  ASK,
  Bus,
  type BusKsock,
  type KsockOwner,
  MessageBatch,
  reportBindings,
} from '../../src/bus/index.ts';
import { asNaive } from './as-naive.ts';
import {
  type NaiveBinding,
  NaiveBus,
  type NaiveCopy,
  type NaiveKsock,
  type NaiveMessage,
  type NaiveRequest,
  SYNTHETIC,
  sizeOf,
  WANT_A_REPLY,
  WANT_YOU_TO_REPLY,
} from './naive-bus.ts';
import {
  type Operation,
  SEATS,
  type Seat,
  type SendFields,
  type Sequence,
  SIZES,
} from './operations.ts';

/** Makes the engine under test. */
export type MakeBus = (settings: { maxMessages: number } & typeof SIZES) => Bus;

export const makeEngine: MakeBus = (settings) => new Bus(settings);

/** Counts the results, for the test that all of them occur. */
export type Seen = Map<string, number>;

/** Engine and naive model differ, or the engine broke a promise. */
export class Disagreement extends Error {}

/**
 * Does a sequence with an engine and with the naive model, one operation after the other, and compares
 * all visible state after each, and then calls `afterEach`. Throws a Disagreement with the sequence up to the difference.
 */
export function runSequence(
  sequence: Sequence,
  make: MakeBus = makeEngine,
  seen?: Seen,
  afterEach: () => void = () => {},
): void {
  const pair = new SideBySide(sequence, make, seen);
  try {
    sequence.seats.forEach((seat, at) => {
      pair.run({ do: 'open', at, seat });
    });
    for (const operation of sequence.operations) {
      pair.run(operation);
      afterEach();
    }
    pair.end();
    afterEach();
  } catch (error) {
    const how = error instanceof Disagreement ? error.message : (error as Error).stack;
    throw new Disagreement(`${pair.tell()}\n${how}`, { cause: error });
  }
}

/** A Ksock in the engine and in the model. */
class Both {
  readonly engine: BusKsock;
  readonly naive: NaiveKsock;
  readonly seat: Seat;
  /** The bus has woken its waiting send, and it has not retried since. */
  toldOfRoom = false;
  toldFront = 0;
  toldBack = 0;

  constructor(engine: BusKsock, naive: NaiveKsock, seat: Seat) {
    this.engine = engine;
    this.naive = naive;
    this.seat = seat;
  }
}

interface Retry {
  readonly both: Both;
  result: number;
}

class SideBySide {
  private readonly engine: Bus;
  private readonly naive: NaiveBus;
  private readonly seen: Seen | undefined;
  private readonly seats: (Both | undefined)[] = new Array(SEATS).fill(undefined);
  private readonly all: Both[] = [];
  /** Requests that were accepted or wait, for late and repeated Replies. */
  private readonly everAsked: { message: NaiveMessage; requester: NaiveKsock }[] = [];
  private nextToken = 0;
  /** What the programs did when the bus woke their sends, in the middle of an operation. */
  private retries: Retry[] = [];
  private readonly engineAnswers: string[] = [];
  private answersCompared = 0;
  /** The number of answers to each awaited Request. */
  private readonly answersByToken = new Map<number, number>();
  private readonly told: string[] = [];

  constructor({ limit, nextSerial }: Sequence, make: MakeBus, seen: Seen | undefined) {
    this.engine = make({ maxMessages: limit, ...SIZES });
    this.engine.nextSerial = nextSerial;
    this.naive = new NaiveBus({ maxMessages: limit, nextSerial, ...SIZES });
    this.seen = seen;
    this.told.push(`maxMessages ${limit}, nextSerial ${nextSerial}`);
  }

  tell(): string {
    return this.told.join('\n');
  }

  run(operation: Operation): void {
    this.told.push(JSON.stringify(operation));
    if (!this.doBoth(operation)) {
      this.told.pop();
      return;
    }
    this.compareAll();
    this.checkWakeUps();
  }

  /** All Ksocks close, one by one; then every promise must have been kept. */
  end(): void {
    for (let at = 0; at < SEATS; at++) this.run({ do: 'close', at });
    const { open } = this.engine.queueing.ledger;
    this.same('Requests left in the ledger', open, 0);
  }

  // One operation, with both. False if it has no meaning at any seat.

  private doBoth(operation: Operation): boolean {
    const { engine, naive } = this;
    if (operation.do === 'max size') {
      const { value } = operation;
      return this.result(operation, engine.maxMessageSize(value), () =>
        naive.maxMessageSize(value),
      );
    }
    if (operation.do === 'open') {
      const at = this.seatFrom(operation.at, (both) => both === undefined);
      if (at < 0) return false;
      this.open(at, operation.seat);
      return true;
    }
    let at = this.seatFrom(
      operation.at,
      (both) => both !== undefined && this.meansSomething(operation, both.naive),
    );
    // Has a meaning only where a message waits, but must do no harm elsewhere.
    if (at < 0 && ['resend', 'poll', 'discard'].includes(operation.do)) {
      at = this.seatFrom(operation.at, (both) => both !== undefined);
    }
    const both = this.seats[at];
    if (both === undefined) return false;
    const { engine: e, naive: n } = both;
    switch (operation.do) {
      case 'close':
        this.seats[at] = undefined;
        e.close();
        return this.result(operation, 0, () => {
          naive.close(n);
          return 0;
        });
      case 'bind': {
        const { name, replier } = operation;
        return this.result(operation, e.bind(name, replier), () => naive.bind(n, name, replier));
      }
      case 'unbind': {
        const { name, replier } = operation;
        return this.result(operation, e.unbind(name, replier), () =>
          naive.unbind(n, name, replier),
        );
      }
      case 'unbind one': {
        const { name, replier } = pick(this.bindingsOf(n), operation.which);
        return this.result(operation, e.unbind(name, replier), () =>
          naive.unbind(n, name, replier),
        );
      }
      case 'send': {
        const message = { ...plainMessage(operation), to: this.idOf(operation) };
        return this.send(operation, both, message, operation.awaited);
      }
      case 'reply': {
        const { message, requester } = pick(this.askedOf(n, operation.of), operation.which);
        const answer: NaiveMessage = {
          ...plainMessage(operation),
          to: requester.id + (operation.astray ? 1 : 0),
          replyNetwork: message.network,
          replySerial: message.serial,
        };
        return this.send(operation, both, answer, false);
      }
      case 'resend':
        both.toldOfRoom = false;
        return this.result(operation, e.resend(), () => naive.resend(n));
      case 'poll':
        both.toldOfRoom = false;
        return this.result(operation, Number(e.poll()), () => Number(naive.poll(n)));
      case 'discard':
        return this.result(operation, e.discard(), () => naive.discard(n));
      case 'forget':
        return this.forget(operation, both);
      case 'take':
        return this.take(both, operation.over ?? 0);
      case 'take many': {
        const count = Math.min(operation.count, n.queue.length);
        e.takeMany(count);
        return this.result(operation, 0, () => {
          for (let left = count; left > 0; left--) naive.take(n, 0);
          return 0;
        });
      }
      case 'max messages': {
        const { value } = operation;
        return this.result(operation, e.maxMessages(value), () => naive.maxMessages(n, value));
      }
      case 'once only': {
        const { value } = operation;
        return this.result(operation, e.wantMessagesOnce(value), () =>
          naive.wantMessagesOnce(n, value),
        );
      }
      case 'hear own': {
        const { value } = operation;
        return this.result(operation, e.hearOwn(value), () => naive.hearOwn(n, value));
      }
      case 'report binds': {
        const { value } = operation;
        return this.result(operation, e.reportReplierBinds(value), () =>
          naive.reportReplierBinds(n, value),
        );
      }
      case 'find replier': {
        const { name } = operation;
        return this.result(operation, e.findReplier(name), () => naive.findReplier(name));
      }
      case 'crowd':
        return this.quietly(() => {
          this.doBoth({ do: 'report binds', at, value: 0 });
          for (let number = 0; number < operation.count; number++) {
            this.doBoth({ do: 'bind', at, name: `$.Crowd.N${at}x${number}`, replier: true });
          }
          return this.doBoth({ do: 'report binds', at, value: 1 });
        });
    }
  }

  /** The first seat from `at` on that fits, or -1. */
  private seatFrom(at: number, wanted: (both: Both | undefined) => boolean): number {
    for (let further = 0; further < SEATS; further++) {
      const seat = (at + further) % SEATS;
      if (wanted(this.seats[seat])) return seat;
    }
    return -1;
  }

  private meansSomething(operation: Operation, naive: NaiveKsock): boolean {
    switch (operation.do) {
      case 'take':
      case 'take many':
        return naive.queue.length > 0;
      case 'resend':
      case 'poll':
      case 'discard':
        return naive.sending !== null;
      case 'unbind one':
        return this.bindingsOf(naive).length > 0;
      case 'reply':
        return this.askedOf(naive, operation.of).length > 0;
      case 'forget':
        return this.awaitedBy(naive).length > 0;
      default:
        return true;
    }
  }

  private bindingsOf(naive: NaiveKsock): NaiveBinding[] {
    return this.naive.bindings.filter(({ ksock }) => ksock === naive);
  }

  /** Many steps, recorded as one. */
  private quietly(steps: () => boolean): boolean {
    const { length } = this.told;
    const done = steps();
    this.told.length = length;
    return done;
  }

  private open(at: number, seat: Seat): void {
    const told = { queued: (_atFront: boolean) => {}, roomMade: () => {} };
    const owner: KsockOwner = {
      queued: (atFront) => told.queued(atFront),
      answered: (token, batch) => this.answered(both, token, batch),
      roomMade: () => told.roomMade(),
    };
    const engine = this.engine.open(owner, {
      mode: seat.mode,
      who: { ...UNKNOWN, pid: 1000 + at },
    });
    const both = new Both(engine, this.naive.open(seat.mode), seat);
    told.queued = (atFront) => {
      if (atFront) both.toldFront++;
      else both.toldBack++;
    };
    told.roomMade = () => this.roomMade(both);
    this.seats[at] = both;
    this.all.push(both);
    this.same('Ksock id', engine.id, both.naive.id);
  }

  private send(operation: Operation, both: Both, message: NaiveMessage, awaited: boolean): boolean {
    const { engine, naive } = both;
    if (naive.sending === null) both.toldOfRoom = false;
    const isRequest = (message.flags & WANT_A_REPLY) !== 0;
    const token = isRequest && awaited ? this.nextToken++ : -1;
    const batch = toParcel(message);
    batch.token = token;
    batch.answersByToken = token >= 0;
    const result = engine.send(batch);
    this.result(operation, result, () => this.naive.send(naive, message, token));
    if (operation.do === 'reply' && sizeOf(message) > this.naive.maxSize) {
      this.note(`large reply ${result === 0 ? 'ok' : result}`);
    }
    if (isRequest && (result === 0 || naive.sending !== null)) {
      const [network, serial] = naive.lastSent;
      this.everAsked.push({ message: { ...message, network, serial }, requester: naive });
    }
    return true;
  }

  private awaitedBy(naive: NaiveKsock): NaiveRequest[] {
    return this.naive.requests.filter((r) => r.requester === naive && r.token >= 0);
  }

  private forget(operation: Extract<Operation, { do: 'forget' }>, both: Both): boolean {
    const { token, replier } = pick(this.awaitedBy(both.naive), operation.which);
    const queue = this.all.find(({ naive }) => naive === replier)?.engine.queue;
    const shown = Math.min(operation.shown, queue?.length ?? 0);
    for (let count = 0; count < shown; count++) queue?.mark(1);
    const isTakenBack = both.engine.forget(token);
    queue?.unmark();
    this.note(`forget ${isTakenBack ? 'unread' : 'too late'}`);
    return this.result(operation, Number(isTakenBack), () =>
      Number(this.naive.forget(both.naive, token, () => shown)),
    );
  }

  private take({ engine, naive }: Both, over: number): boolean {
    const batch = engine.take(over);
    const read = batch === null ? 'nothing' : engineMessage(batch, engine.tookRequest);
    this.settle(() => {
      const copy = this.naive.take(naive, over);
      this.same('what was read', read, copy === null ? 'nothing' : naiveMessage(copy));
    });
    this.told.push(`    → ${read}`);
    if (batch !== null) this.noteMessage('take', batch, 'message');
    return true;
  }

  /** Compares a result with the naive model's. */
  private result(operation: Operation, result: number, naively: () => number): boolean {
    this.told.push(`    → ${result}`);
    this.note(`${operation.do} ${result < 0 ? result : 'ok'}`);
    this.settle(() => this.same('result', result, naively()));
    return true;
  }

  // Programs retry when the operation is done in all but its return, so the naive model does the
  // operation first, and then what they did, in the same order.
  private settle(naively: () => void): void {
    const { retries } = this;
    this.retries = [];
    naively();
    for (const { both, result } of retries) {
      const { seat, naive } = both;
      this.told.push(`    Ksock ${naive.id} was told of room, and ${seat.temper} → ${result}`);
      this.note(`${seat.temper} ${result}`);
      const again =
        seat.temper === 'polls' ? Number(this.naive.poll(naive)) : this.naive.resend(naive);
      this.same(`what Ksock ${naive.id} got when it tried again`, result, again);
    }
  }

  private roomMade(both: Both): void {
    const { engine, seat } = both;
    if (!engine.isOpen || !engine.isSending) {
      throw new Disagreement(`Ksock ${engine.id} was woken, but doesn't send`);
    }
    both.toldOfRoom = true;
    if (seat.temper === 'waits') return;
    // Noted first: the operation may wake other programs.
    const retry: Retry = { both, result: 0 };
    this.retries.push(retry);
    retry.result = seat.temper === 'polls' ? Number(engine.poll()) : engine.resend();
  }

  private answered(both: Both, token: number, batch: MessageBatch): void {
    this.engineAnswers.push(`${both.engine.id} #${token} ${engineMessage(batch, false)}`);
    this.answersByToken.set(token, (this.answersByToken.get(token) ?? 0) + 1);
    this.noteMessage('answered by', batch, 'Reply');
  }

  private askedOf(
    naive: NaiveKsock,
    of: 'read' | 'unread' | 'anothers' | 'ever',
  ): { message: NaiveMessage; requester: NaiveKsock }[] {
    if (of === 'ever') return this.everAsked;
    const { requests } = this.naive;
    if (of === 'anothers') return requests.filter(({ replier }) => replier !== naive);
    return requests.filter(({ replier, state }) => replier === naive && state === of);
  }

  private idOf({ to, name }: { to: number | 'replier' | 'nobody'; name: string }): number {
    if (to === 'replier') return this.naive.replierFor(name)?.ksock.id ?? 0;
    if (to === 'nobody') return 99_999;
    // For an empty seat, an id that may be in use or not.
    return to === 0 ? 0 : (this.seats[to - 1]?.naive.id ?? to);
  }

  // Comparing

  private compareAll(): void {
    const { engine, naive } = this;
    this.same('next serial', engine.nextSerial, naive.nextSerial);
    this.same('next Ksock id', engine.nextKsockId, naive.nextId);
    this.same('held events', engine.heldEvents, naive.held());
    this.same('maximum size', engine.maxMessageSize(0), naive.maxMessageSize(0));
    const ids = [...engine.ksocks.keys()].join();
    this.same('open Ksocks', ids, naive.ksocks.map(({ id }) => id).join());
    const bindings = reportBindings(engine);
    this.same('number of bindings', bindings.length, naive.bindings.length);
    bindings.forEach(({ ksock, replier, name }, at) => {
      const binding = naive.bindings[bindings.length - 1 - at] as NaiveBinding;
      if (ksock === binding.ksock.id && replier === binding.replier && name === binding.name)
        return;
      const naively = `${binding.ksock.id} ${binding.replier} ${binding.name}`;
      this.same(`binding ${at}`, `${ksock} ${replier} ${name}`, naively);
    });
    for (; this.answersCompared < this.engineAnswers.length; this.answersCompared++) {
      const answer = naive.answers[this.answersCompared];
      this.same(
        'an awaited answer',
        this.engineAnswers[this.answersCompared] ?? 'none',
        answer === undefined
          ? 'none'
          : `${answer.ksock.id} #${answer.token} ${printNaive(answer.message, false)}`,
      );
    }
    this.same('awaited answers', this.engineAnswers.length, naive.answers.length);
    for (const [token, count] of this.answersByToken) {
      this.same(`answers to the Request with token ${token}`, count, 1);
    }
    for (const both of this.all) this.compareKsock(both);
  }

  private compareKsock({ engine: e, naive: n, toldFront, toldBack }: Both): void {
    if (!n.open) {
      this.same(`Ksock ${n.id} is open`, e.isOpen, false);
      return;
    }
    if (n.toldOfLoss) this.note('events lost');
    const { naive } = this;
    const which = `Ksock ${n.id}:`;
    this.same(`${which} num_messages`, e.numMessages, n.queue.length);
    n.queue.forEach((copy, at) => {
      const batch = e.queue.batch(at);
      const binding = e.queue.binding(at);
      const toAnswer = binding?.replier ?? false;
      const sameCopy =
        binding?.order === copy.binding?.order &&
        toAnswer === (copy.toAnswer !== null) &&
        isSame(batch, copy.message);
      if (sameCopy) return;
      throw disagreement(
        `${which} message ${at} in the queue`,
        `${engineMessage(batch, toAnswer)} by binding ${binding?.order}`,
        `${naiveMessage(copy)} by binding ${copy.binding?.order}`,
      );
    });
    this.same(`${which} num_unreplied_to`, e.numUnrepliedTo, naive.numUnrepliedTo(n));
    this.same(`${which} outstanding`, e.outstanding.size, naive.outstanding(n));
    this.same(`${which} last_msg_id`, `${e.lastNetwork}:${e.lastSerial}`, n.lastSent.join(':'));
    this.same(`${which} occupied`, e.occupied, naive.occupied(n));
    this.same(`${which} full`, e.isFull, naive.isFull(n));
    this.same(`${which} limit`, e.maxMessages(0), n.limit);
    this.same(`${which} once only`, e.wantMessagesOnce(ASK), Number(n.onlyOnce));
    this.same(`${which} hears own`, e.hearOwn(ASK), Number(n.hearsOwn));
    this.same(`${which} sending`, e.isSending, n.sending !== null);
    this.same(`${which} missed`, e.missed, n.missed);
    this.same(`${which} told of messages in front`, toldFront, n.toldFront);
    this.same(`${which} told of messages`, toldBack, n.toldBack);
    this.same(`${which} reporting`, e.reportReplierBinds(ASK), Number(naive.reporting));
  }

  // spec 1 §6.10: "the retry wakes on anything that makes room"
  // spec 2 §6.4: "select, epoll and blocking waits all wake when any of this changes."
  private checkWakeUps(): void {
    for (const both of this.seats) {
      if (both === undefined) continue;
      // A program that retries at once has retried, so the bus woke it too early, or never.
      const told = both.seat.temper === 'waits' && both.toldOfRoom;
      if (told || !this.naive.couldGoOn(both.naive)) continue;
      throw new Disagreement(`Ksock ${both.naive.id} could send (or fail), and was not woken`);
    }
  }

  private same(what: string, engine: unknown, naive: unknown): void {
    if (engine !== naive) throw disagreement(what, engine, naive);
  }

  private noteMessage(what: string, { flags, name }: MessageBatch, other: string): void {
    const isSynthetic = (flags & SYNTHETIC) !== 0;
    this.note(`${what} ${isSynthetic ? name : other}`);
    if (isSynthetic) this.note(name);
  }

  private note(what: string): void {
    this.seen?.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

function disagreement(what: string, engine: unknown, naive: unknown): Disagreement {
  return new Disagreement(`${what}:\n  engine ${engine}\n  naive  ${naive}`);
}

/** One of a list that isn't empty. */
function pick<T>(list: readonly T[], which: number): T {
  return list[which % list.length] as T;
}

function plainMessage({ name, flags, size, network, serial }: SendFields): NaiveMessage {
  return {
    name,
    flags,
    network,
    serial,
    replyNetwork: 0,
    replySerial: 0,
    to: 0,
    // Always overwritten.
    from: 77,
    origFrom: [3, size],
    finalTo: [size, 4],
    data: 'data+'.repeat(size / 5 + 1).slice(0, size),
  };
}

function toParcel(message: NaiveMessage): MessageBatch {
  // Within a larger buffer, as from a socket.
  const bytes = Buffer.from(`before${message.data}after`, 'latin1');
  const batch = new MessageBatch(
    message.name,
    message.flags,
    message.to,
    bytes,
    'before'.length,
    message.data.length,
  );
  batch.from = message.from;
  batch.idNetwork = message.network;
  batch.idSerial = message.serial;
  batch.replyNetwork = message.replyNetwork;
  batch.replySerial = message.replySerial;
  const [origNetwork, origLocal] = message.origFrom;
  const [finalNetwork, finalLocal] = message.finalTo;
  batch.carried = { origNetwork, origLocal, finalNetwork, finalLocal };
  return batch;
}

function isSame(p: MessageBatch, m: NaiveMessage): boolean {
  if (
    p.idNetwork !== m.network ||
    p.idSerial !== m.serial ||
    p.replyNetwork !== m.replyNetwork ||
    p.replySerial !== m.replySerial ||
    p.to !== m.to ||
    p.from !== m.from ||
    p.flags !== m.flags ||
    p.name !== m.name ||
    (p.carried?.origNetwork ?? 0) !== m.origFrom[0] ||
    (p.carried?.origLocal ?? 0) !== m.origFrom[1] ||
    (p.carried?.finalNetwork ?? 0) !== m.finalTo[0] ||
    (p.carried?.finalLocal ?? 0) !== m.finalTo[1] ||
    p.dataLength !== m.data.length
  ) {
    return false;
  }
  for (let at = 0; at < p.dataLength; at++) {
    if (p.bytes[p.dataAt + at] !== m.data.charCodeAt(at)) return false;
  }
  return true;
}

function engineMessage(p: MessageBatch, toAnswer: boolean): string {
  return printNaive(asNaive(p), toAnswer);
}

function naiveMessage(copy: NaiveCopy): string {
  return printNaive(copy.message, copy.toAnswer !== null);
}

/** A message as it is read, with WANT_YOU_TO_REPLY for its Replier. */
function printNaive(m: NaiveMessage, toAnswer: boolean): string {
  const flags = toAnswer ? m.flags | WANT_YOU_TO_REPLY : m.flags;
  return (
    `[${m.network}:${m.serial}] ${m.name} 0x${(flags >>> 0).toString(16)} ${m.from}→${m.to}` +
    ` re [${m.replyNetwork}:${m.replySerial}] (${m.origFrom}) (${m.finalTo}) '${m.data}'`
  );
}

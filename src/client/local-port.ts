import type { Bus } from '../bus/bus.ts';
import { Buses } from '../bus/buses.ts';
import { Op, type OpCode, perform } from '../bus/calls.ts';
import type { BusKsock, KsockOwner, Mode } from '../bus/ksock.ts';
import { type Parcel, parcelOf } from '../bus/parcel.ts';
import { reportBindings, reportStats } from '../bus/report.ts';
import { Sends } from '../bus/sends.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import { Errno } from '../message/errno.ts';
import { Flag } from '../message/flags.ts';
import { Head } from '../message/head.ts';
import { MessageId, OrigFrom } from '../message/id.ts';
import { type Message, ReceivedMessage } from '../message/message.ts';
import { NumberMap } from '../message/number-map.ts';
import { offAbort, onAbort } from './abort.ts';
import {
  type Asking,
  type CallResult,
  closedRefusal,
  type Port,
  type PortEvents,
  Refusal,
  type Refused,
  refusalFor,
} from './port.ts';

type Settle = (result: number) => void;

/** The outcome of a send that comes later. */
const PENDING = 1;

interface Take {
  resolve(message: Message | null): void;
  reject(error: Refusal): void;
}

interface Poll {
  settle(isWritable: boolean): void;
  reject(error: Refusal): void;
}

/** A port to a bus in this process. */
export class LocalPort implements Port, KsockOwner {
  private readonly bus: Bus;
  private readonly events: PortEvents;
  private readonly ksock: BusKsock;
  private readonly sends: Sends;
  /** What is being sent, and its outcome so far. */
  private submitted: Parcel | null = null;
  private outcome = PENDING;
  /** What was refused, and is told of at this moment. */
  private refused: { readonly parcel: Parcel; readonly errno: number } | null = null;
  private nextTicket = 0;
  private readonly settles = new Map<number, Settle>();
  private readonly answers = new NumberMap<Asking>();
  private takes: Take[] = [];
  private reading: ((isReadable: boolean) => void)[] = [];
  /** Who is called when messages came, and how it is told that no more will. */
  private attending: { came(): void; resolve(): void } | null = null;
  private readonly polls = new Set<Poll>();
  private isWoken = false;
  private missedCount = 0;
  private missedName = '';
  private idle: (() => void)[] = [];

  constructor(bus: Bus, mode: Mode, pid: number, events: PortEvents) {
    this.bus = bus;
    this.events = events;
    this.ksock = bus.open(this, { mode, pid });
    this.sends = new Sends(this.ksock, (parcel, result) => {
      if (parcel === this.submitted) {
        this.outcome = result;
        return;
      }
      const settle = this.settles.get(parcel.ticket);
      this.settles.delete(parcel.ticket);
      this.tellOutcome(parcel, result, settle);
      this.noteIdle();
    });
  }

  get busNumber(): number {
    return this.bus.number;
  }

  get ksockId(): number {
    return this.ksock.id;
  }

  get why(): string {
    if (this.refused === null) return '';
    const { parcel, errno } = this.refused;
    return this.ksock.whyRefused(parcel, errno);
  }

  /** Tells of an outcome. */
  private tellOutcome(parcel: Parcel, result: number, settle: Settle | undefined): void {
    this.refused = result < 0 ? { parcel, errno: -result } : null;
    settle?.(result);
    this.refused = null;
  }

  // What the bus tells

  queued(): void {
    if (this.takes.length > 0 || this.reading.length > 0 || this.attending !== null) this.wake();
  }

  answered(token: number, parcel: Parcel): void {
    for (let at = 0; at < parcel.count; at++) {
      const one = parcel.count === 1 ? parcel : parcel.one(at);
      this.answers.take(token + at)?.answered(messageOf(one, false));
    }
  }

  roomMade(): void {
    this.sends.retry();
    this.servePolls();
  }

  roomForRequests(of: BusKsock | null): void {
    this.sends.retryRequests(of);
  }

  missed(parcel: Parcel): void {
    if (this.missedCount === 0) {
      this.missedName = parcel.name;
      queueMicrotask(() => {
        const count = this.missedCount;
        this.missedCount = 0;
        this.events.missed(count, this.missedName);
      });
    }
    this.missedCount += parcel.count;
  }

  /** Whether a message may be written now: none waits, nor do those that wait their turn. */
  private poll(): boolean {
    return this.sends.pending === 0 && this.ksock.poll();
  }

  private servePolls(): void {
    if (this.polls.size === 0 || !this.poll()) return;
    for (const poll of this.polls) poll.settle(true);
  }

  // The bus tells in the middle of a call, so what follows from it is done afterwards.
  private wake(): void {
    if (this.isWoken) return;
    this.isWoken = true;
    queueMicrotask(() => {
      this.isWoken = false;
      this.serveTakes();
      if (this.ksock.numMessages === 0) return;
      const { reading } = this;
      this.reading = [];
      for (const resolve of reading) resolve(true);
      this.attending?.came();
    });
  }

  private serveTakes(): void {
    while (this.takes.length > 0 && this.ksock.numMessages > 0) {
      this.takes.shift()?.resolve(this.hand());
    }
  }

  // Sending

  send(message: Message, wait: boolean, signal: AbortSignal | undefined): Promise<MessageId> {
    return new Promise((resolve, reject) => {
      const parcel = copyOf(message);
      const cancel = (): void => {
        this.sends.cancel(parcel.ticket);
        this.servePolls();
      };
      const settle = (result: number): void => {
        if (result >= 0) resolve(new MessageId(parcel.idNetwork, parcel.idSerial));
        else if (result === -Errno.ECANCELED && signal?.aborted) reject(signal.reason);
        else reject(this.refusal(result));
      };
      const result = this.submit(parcel, wait);
      if (result !== PENDING) {
        this.tellOutcome(parcel, result, settle);
        return;
      }
      onAbort(signal, cancel);
      this.settles.set(parcel.ticket, (late) => {
        offAbort(signal, cancel);
        settle(late);
      });
    });
  }

  post(message: Message, wait: boolean, refused: Refused): boolean {
    this.tell(message, copyOf(message), wait, refused);
    return this.sends.pending === 0;
  }

  reply(message: Message, refused: Refused): void {
    // It will be sent again, and its handler may use the memory of its data before.
    if (this.ksock.isSending) message.data = new Uint8Array(message.data);
    this.tell(message, copyOf(message), false, refused);
  }

  /** Sends what nobody waits for, without a function for each. */
  private tell(message: Message, parcel: Parcel, wait: boolean, refused: Refused): void {
    const result = this.submit(parcel, wait);
    if (result < 0) {
      this.tellOutcome(parcel, result, () => refused(-result, message));
    } else if (result === PENDING) {
      this.settles.set(parcel.ticket, (late) => {
        if (late < 0) refused(-late, message);
      });
    }
  }

  /** The next ticket that nobody has: after 2^32 of them, one may still wait. */
  private freeTicket(): number {
    const { answers, settles } = this;
    let ticket = this.nextTicket;
    if (answers.size > 0 || settles.size > 0) {
      while (answers.get(ticket) !== undefined || settles.has(ticket)) ticket = (ticket + 1) >>> 0;
    }
    this.nextTicket = ticket;
    return ticket;
  }

  forget({ token }: Asking): boolean {
    if (this.answers.take(token) === undefined || !this.ksock.isOpen) return false;
    if (!this.sends.cancel(token)) return this.ksock.forget(token);
    this.servePolls();
    return true;
  }

  /** PENDING, or the outcome. */
  private submit(parcel: Parcel, wait: boolean): number {
    const ticket = parcel.isAnswered ? this.nextTicket : this.freeTicket();
    this.nextTicket = (ticket + 1) >>> 0;
    if (!this.ksock.isOpen) return -Errno.EBADF;
    parcel.ticket = ticket;
    parcel.waits = wait;
    if (wait) parcel.flags = (parcel.flags | Flag.ALL_OR_WAIT) >>> 0;
    this.submitted = parcel;
    this.outcome = PENDING;
    this.sends.submit(parcel);
    this.submitted = null;
    return this.outcome;
  }

  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.idle.push(resolve);
      this.noteIdle();
    });
  }

  ready(): Promise<void> {
    return this.flushed();
  }

  private noteIdle(): void {
    if ((this.ksock.isOpen && this.sends.pending > 0) || this.idle.length === 0) return;
    const { idle } = this;
    this.idle = [];
    for (const resolve of idle) resolve();
  }

  request(message: Message, asking: Asking, wait: boolean): void {
    const token = this.freeTicket();
    asking.token = token;
    this.answers.set(token, asking);
    const parcel = copyOf(message);
    parcel.isAnswered = true;
    parcel.awaitsRoom = wait;
    const waits = (message.flags & Flag.ALL_OR_WAIT) !== 0;
    this.tell(message, parcel, waits, (errno) => {
      if (this.answers.take(token) !== undefined) asking.refused(this.refusal(-errno));
    });
  }

  private refusal(result: number): Refusal {
    return this.ksock.isOpen ? refusalFor(-result, this.why) : closedRefusal();
  }

  // Reading

  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    if (!this.ksock.isOpen) return Promise.reject(closedRefusal());
    // Those who wait already come first.
    this.serveTakes();
    if (this.ksock.numMessages > 0) return Promise.resolve(this.hand());
    if (!wait) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const cancel = (): void => {
        this.takes = this.takes.filter((waiting) => waiting !== take);
        resolve(null);
      };
      const take: Take = {
        resolve: (message) => {
          offAbort(signal, cancel);
          resolve(message);
        },
        reject: (error) => {
          offAbort(signal, cancel);
          reject(error);
        },
      };
      this.takes.push(take);
      onAbort(signal, cancel);
    });
  }

  hand(): Message | null {
    const parcel = this.ksock.take();
    return parcel === null ? null : messageOf(parcel, this.ksock.tookRequest);
  }

  show(borrowed: BorrowedMessage): boolean {
    const parcel = this.ksock.take();
    if (parcel === null) return false;
    const head = headOf(parcel, this.ksock.tookRequest);
    const { bytes, dataAt, dataLength, from, idSerial, more } = parcel;
    if (more === null) borrowed.show(head, from, idSerial, bytes, dataAt, dataLength);
    else borrowed.show(head, from, idSerial, parcel.copyData(), 0, dataLength);
    return true;
  }

  readable(): Promise<boolean> {
    if (!this.ksock.isOpen) return Promise.reject(closedRefusal());
    if (this.ksock.numMessages > 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.reading.push(resolve);
    });
  }

  attend(came: () => void): Promise<void> {
    if (!this.ksock.isOpen) return Promise.reject(closedRefusal());
    return new Promise((resolve) => {
      this.attending = { came, resolve };
    });
  }

  stopReading(): Promise<void> {
    const { reading } = this;
    this.reading = [];
    for (const resolve of reading) resolve(false);
    this.attending?.resolve();
    this.attending = null;
    return Promise.resolve();
  }

  // Everything else

  call(op: OpCode, argument: number, text: string): Promise<CallResult> {
    if (!this.ksock.isOpen) return Promise.reject(closedRefusal());
    const { ksock, bus } = this;
    const done = perform(ksock, op, argument, text);
    if (done !== null) {
      if (done.first >= 0) return outcome(done.first, done.second);
      return Promise.reject(refusalFor(-done.first, ksock.whyNotBound(text, -done.first)));
    }
    switch (op) {
      case Op.RESEND: {
        const { sending } = ksock;
        const result = this.sends.pending > 0 ? -Errno.EALREADY : ksock.resend();
        const why = result < 0 && sending !== null ? ksock.whyRefused(sending, -result) : '';
        this.servePolls();
        if (result < 0) return Promise.reject(refusalFor(-result, why));
        return outcome(ksock.lastNetwork, ksock.lastSerial);
      }
      case Op.DISCARD: {
        const isSending = this.sends.discard();
        this.servePolls();
        return outcome(isSending ? 1 : 0);
      }
      case Op.NEW_DEVICE:
        return outcome(Buses.of(bus).newDevice());
      case Op.BINDINGS:
        return outcome(0, 0, JSON.stringify(reportBindings(bus)));
      case Op.STATS:
        return outcome(0, 0, JSON.stringify(reportStats(bus)));
      default:
        return Promise.reject(new Error(`a port in this process has no call ${op}`));
    }
  }

  writable(signal: AbortSignal | undefined): Promise<boolean> {
    if (!this.ksock.isOpen) return Promise.reject(closedRefusal());
    if (this.ksock.mode === 'r') return Promise.resolve(false);
    if (this.poll()) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const settle = (isWritable: boolean): void => {
        offAbort(signal, cancel);
        this.polls.delete(poll);
        resolve(isWritable);
      };
      const cancel = (): void => settle(false);
      const poll: Poll = { settle, reject };
      this.polls.add(poll);
      onAbort(signal, cancel);
    });
  }

  keepProgram(): void {}

  close(): Promise<void> {
    if (!this.ksock.isOpen) return Promise.resolve();
    this.ksock.close();
    const refusal = closedRefusal();
    for (const take of this.takes) take.reject(refusal);
    const answers = this.answers.oldestFirst(this.nextTicket);
    this.answers.clear();
    for (const [, asking] of answers) asking.refused(refusal);
    this.takes = [];
    for (const settle of this.settles.values()) settle(-Errno.EBADF);
    this.settles.clear();
    this.noteIdle();
    for (const poll of this.polls) poll.reject(refusal);
    this.polls.clear();
    this.events.closed(null);
    return this.stopReading();
  }
}

function outcome(first: number, second = 0, text = ''): Promise<CallResult> {
  return first < 0 ? Promise.reject(new Refusal(-first)) : Promise.resolve({ first, second, text });
}

/** The sender may go on to change its data, so the bus gets a copy. (The `slice` of a Buffer is none.) */
function copyOf(message: Message): Parcel {
  return parcelOf(message, new Uint8Array(message.data));
}

/** The message for one who reads it. What only one reads is its own, and needn't be copied again. */
function messageOf(parcel: Parcel, you: boolean): Message {
  const { bytes, dataLength, more } = parcel;
  const isOwn = parcel.copies === 1 && more === null && bytes.length === dataLength;
  const data = isOwn ? bytes : parcel.copyData();
  return new ReceivedMessage(
    headOf(parcel, you),
    parcel.from,
    parcel.idSerial,
    data,
    0,
    dataLength,
  );
}

let last = new Head('', 0);

/** What the message shares with the one before it, when that was like it. */
function headOf(parcel: Parcel, you: boolean): Head {
  const { name, to, idNetwork, replyNetwork, replySerial, carried } = parcel;
  const flags = you ? (parcel.flags | Flag.WANT_YOU_TO_REPLY) >>> 0 : parcel.flags;
  if (
    name === last.name &&
    flags === last.flags &&
    to === last.to &&
    idNetwork === last.idNetwork &&
    carried === null &&
    !parcel.isReply
  ) {
    return last;
  }
  const isPlain = carried === null;
  const orig = isPlain ? OrigFrom.UNSET : new OrigFrom(carried.origNetwork, carried.origLocal);
  const final = isPlain ? OrigFrom.UNSET : new OrigFrom(carried.finalNetwork, carried.finalLocal);
  const head = new Head(name, flags, to, idNetwork, replyNetwork, replySerial, orig, final);
  if (isPlain && !parcel.isReply) last = head;
  return head;
}

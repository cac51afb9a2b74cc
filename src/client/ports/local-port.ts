import { offAbort, onAbort } from '../../base/abort.ts';
import { NumberMap } from '../../base/number-map.ts';
import type { Bus } from '../../bus/bus.ts';
import { Buses } from '../../bus/buses.ts';
import { Op, type OpCode, perform } from '../../bus/driver/perform.ts';
import { SendQueue } from '../../bus/driver/send-queue.ts';
import type { BusKsock, KsockOwner, Mode } from '../../bus/ksock.ts';
import { batchOfMessage, type MessageBatch } from '../../bus/message-batch.ts';
import { reportBindings, reportStats } from '../../bus/report.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { Errno } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import { Head } from '../../message/head.ts';
import { MessageId, OrigFrom } from '../../message/id.ts';
import { type Message, ReceivedMessage } from '../../message/message.ts';
import {
  type Asking,
  type CallResult,
  closedError,
  type Port,
  PortError,
  type PortEvents,
  portErrorFor,
  type Refused,
} from './port.ts';

type Settle = (result: number) => void;

/** The outcome of a send that comes later. */
const PENDING = 1;

interface Take {
  resolve(message: Message | null): void;
  reject(error: PortError): void;
}

interface Poll {
  settle(isWritable: boolean): void;
  reject(error: PortError): void;
}

/** A port to a bus in this process. */
export class LocalPort implements Port, KsockOwner {
  private readonly bus: Bus;
  private readonly events: PortEvents;
  private readonly ksock: BusKsock;
  private readonly sends: SendQueue;
  /** What is being sent, and its outcome so far. */
  private submitted: MessageBatch | null = null;
  private outcome = PENDING;
  /** What was refused, and is told of at this moment. */
  private refused: { readonly batch: MessageBatch; readonly errno: number } | null = null;
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
    this.sends = new SendQueue(this.ksock, (batch, result) => {
      if (batch === this.submitted) {
        this.outcome = result;
        return;
      }
      const settle = this.settles.get(batch.ticket);
      this.settles.delete(batch.ticket);
      this.tellOutcome(batch, result, settle);
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
    const { batch, errno } = this.refused;
    return this.ksock.whyRefused(batch, errno);
  }

  /** Tells of an outcome. */
  private tellOutcome(batch: MessageBatch, result: number, settle: Settle | undefined): void {
    this.refused = result < 0 ? { batch, errno: -result } : null;
    settle?.(result);
    this.refused = null;
  }

  // What the bus tells

  queued(): void {
    if (this.takes.length > 0 || this.reading.length > 0 || this.attending !== null) this.wake();
  }

  answered(token: number, batch: MessageBatch): void {
    for (let at = 0; at < batch.count; at++) {
      const one = batch.count === 1 ? batch : batch.one(at);
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

  missed(batch: MessageBatch): void {
    if (this.missedCount === 0) {
      this.missedName = batch.name;
      queueMicrotask(() => {
        const count = this.missedCount;
        this.missedCount = 0;
        this.events.missed(count, this.missedName);
      });
    }
    this.missedCount += batch.count;
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
      this.takes.shift()?.resolve(this.tryNext());
    }
  }

  // Sending

  send(message: Message, wait: boolean, signal: AbortSignal | undefined): Promise<MessageId> {
    return new Promise((resolve, reject) => {
      const batch = copyOf(message);
      const cancel = (): void => {
        this.sends.cancel(batch.ticket);
        this.servePolls();
      };
      const settle = (result: number): void => {
        if (result >= 0) resolve(new MessageId(batch.idNetwork, batch.idSerial));
        else if (result === -Errno.ECANCELED && signal?.aborted) reject(signal.reason);
        else reject(this.refusal(result));
      };
      const result = this.submit(batch, wait);
      if (result !== PENDING) {
        this.tellOutcome(batch, result, settle);
        return;
      }
      onAbort(signal, cancel);
      this.settles.set(batch.ticket, (late) => {
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
  private tell(message: Message, batch: MessageBatch, wait: boolean, refused: Refused): void {
    const result = this.submit(batch, wait);
    if (result < 0) {
      this.tellOutcome(batch, result, () => refused(-result, message));
    } else if (result === PENDING) {
      this.settles.set(batch.ticket, (late) => {
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
  private submit(batch: MessageBatch, wait: boolean): number {
    const ticket = batch.isAnswered ? this.nextTicket : this.freeTicket();
    this.nextTicket = (ticket + 1) >>> 0;
    if (!this.ksock.isOpen) return -Errno.EBADF;
    batch.ticket = ticket;
    batch.waits = wait;
    if (wait) batch.flags = (batch.flags | Flag.ALL_OR_WAIT) >>> 0;
    this.submitted = batch;
    this.outcome = PENDING;
    this.sends.submit(batch);
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
    const batch = copyOf(message);
    batch.isAnswered = true;
    batch.awaitsRoom = wait;
    const waits = (message.flags & Flag.ALL_OR_WAIT) !== 0;
    this.tell(message, batch, waits, (errno) => {
      if (this.answers.take(token) !== undefined) asking.refused(this.refusal(-errno));
    });
  }

  private refusal(result: number): PortError {
    return this.ksock.isOpen ? portErrorFor(-result, this.why) : closedError();
  }

  // Reading

  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    if (!this.ksock.isOpen) return Promise.reject(closedError());
    // Those who wait already come first.
    this.serveTakes();
    if (this.ksock.numMessages > 0) return Promise.resolve(this.tryNext());
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

  tryNext(): Message | null {
    const batch = this.ksock.take();
    return batch === null ? null : messageOf(batch, this.ksock.tookRequest);
  }

  tryNextInto(borrowed: BorrowedMessage): boolean {
    const batch = this.ksock.take();
    if (batch === null) return false;
    const head = headOf(batch, this.ksock.tookRequest);
    const { bytes, dataAt, dataLength, from, idSerial, more } = batch;
    if (more === null) borrowed.show(head, from, idSerial, bytes, dataAt, dataLength);
    else borrowed.show(head, from, idSerial, batch.copyData(), 0, dataLength);
    return true;
  }

  readable(): Promise<boolean> {
    if (!this.ksock.isOpen) return Promise.reject(closedError());
    if (this.ksock.numMessages > 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.reading.push(resolve);
    });
  }

  onReadable(came: () => void): Promise<void> {
    if (!this.ksock.isOpen) return Promise.reject(closedError());
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
    if (!this.ksock.isOpen) return Promise.reject(closedError());
    const { ksock, bus } = this;
    const done = perform(ksock, op, argument, text);
    if (done !== null) {
      if (done.first >= 0) return outcome(done.first, done.second);
      return Promise.reject(portErrorFor(-done.first, ksock.whyNotBound(text, -done.first)));
    }
    switch (op) {
      case Op.RESEND: {
        const { sending } = ksock;
        const result = this.sends.pending > 0 ? -Errno.EALREADY : ksock.resend();
        const why = result < 0 && sending !== null ? ksock.whyRefused(sending, -result) : '';
        this.servePolls();
        if (result < 0) return Promise.reject(portErrorFor(-result, why));
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
    if (!this.ksock.isOpen) return Promise.reject(closedError());
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
    const refusal = closedError();
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
  return first < 0
    ? Promise.reject(new PortError(-first))
    : Promise.resolve({ first, second, text });
}

/** The sender may go on to change its data, so the bus gets a copy. (The `slice` of a Buffer is none.) */
function copyOf(message: Message): MessageBatch {
  return batchOfMessage(message, new Uint8Array(message.data));
}

/** The message for one who reads it. What only one reads is its own, and needn't be copied again. */
function messageOf(batch: MessageBatch, you: boolean): Message {
  const { bytes, dataLength, more } = batch;
  const isOwn = batch.copies === 1 && more === null && bytes.length === dataLength;
  const data = isOwn ? bytes : batch.copyData();
  return new ReceivedMessage(headOf(batch, you), batch.from, batch.idSerial, data, 0, dataLength);
}

let last = new Head('', 0);

/** What the message shares with the one before it, when that was like it. */
function headOf(batch: MessageBatch, you: boolean): Head {
  const { name, to, idNetwork, replyNetwork, replySerial, carried } = batch;
  const flags = you ? (batch.flags | Flag.WANT_YOU_TO_REPLY) >>> 0 : batch.flags;
  if (
    name === last.name &&
    flags === last.flags &&
    to === last.to &&
    idNetwork === last.idNetwork &&
    carried === null &&
    !batch.isReply
  ) {
    return last;
  }
  const isPlain = carried === null;
  const orig = isPlain ? OrigFrom.UNSET : new OrigFrom(carried.origNetwork, carried.origLocal);
  const final = isPlain ? OrigFrom.UNSET : new OrigFrom(carried.finalNetwork, carried.finalLocal);
  const head = new Head(name, flags, to, idNetwork, replyNetwork, replySerial, orig, final);
  if (isPlain && !batch.isReply) last = head;
  return head;
}

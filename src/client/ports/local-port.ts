import process from 'node:process';
import { offAbort, onAbort } from '../../base/abort.ts';
import { systemTimers, type Timers } from '../../base/timers.ts';
import { accessReport, MANAGING } from '../../bus/access.ts';
import type { Bus } from '../../bus/bus.ts';
import { Buses } from '../../bus/buses.ts';
import { perform } from '../../bus/driver/perform.ts';
import { programName } from '../../bus/identity.ts';
import type { BusKsock } from '../../bus/ksock.ts';
import type { KsockOwner } from '../../bus/ksock-state.ts';
import type { MessageBatch } from '../../bus/message-batch.ts';
import { reportBindings, reportStats } from '../../bus/report.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { type Mode, Op, type OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';
import { messageOf, readerHeadOf } from './local-messages.ts';
import { LocalSends } from './local-sends.ts';
import {
  type CallResult,
  closedError,
  type Explain,
  type PendingRequest,
  type Port,
  PortError,
  type PortEvents,
  portErrorFor,
  type Refused,
} from './port.ts';
import { ReadableWaits } from './readable-waits.ts';

interface Take {
  resolve(message: Message | null): void;
  reject(error: PortError): void;
}

interface Poll {
  settle(isWritable: boolean): void;
  reject(error: PortError): void;
}

export interface LocalOptions {
  readonly mode: Mode;
  /** The program's name for its Ksock, or ''. */
  readonly program: string;
  /** The Ksock only looks at the bus and manages it. */
  readonly manage: boolean;
}

/** A port to a bus in this process. */
export class LocalPort implements Port, KsockOwner {
  readonly bus: Bus;
  private readonly events: PortEvents;
  private readonly timers: Timers;
  readonly ksock: BusKsock;
  readonly sends: LocalSends;
  private takes: Take[] = [];
  private readonly waits = new ReadableWaits();
  private readonly polls = new Set<Poll>();
  private isWoken = false;
  private missedCount = 0;
  private missedName = '';
  /** Why the Ksock is closed: its program closed it, or another Ksock ended it. */
  private closedBy = closedError();

  constructor(
    bus: Bus,
    { mode, program, manage }: LocalOptions,
    events: PortEvents,
    timers: Timers = systemTimers,
  ) {
    this.timers = timers;
    this.bus = bus;
    this.events = events;
    this.ksock = bus.open(this, {
      mode,
      who: { program: programName(program), pid: process.pid, uid: -1, isClaimed: false },
      access: manage ? MANAGING : null,
      readOnlyReplies: false,
    });
    this.sends = new LocalSends(
      this.ksock,
      () => this.servePolls(),
      // A daemon's bus shares the turns of the daemon.
      () => bus.work.later(() => this.goOn()),
      () => this.closedBy,
    );
  }

  get busNumber(): number {
    return this.bus.number;
  }

  get ksockId(): number {
    return this.ksock.id;
  }

  get why(): string {
    return this.sends.why;
  }

  // Events of the bus

  queued(): void {
    if (this.takes.length > 0 || this.waits.hasReader || this.waits.hasSubscriber) this.wake();
  }

  answered(token: number, batch: MessageBatch): void {
    this.sends.answered(token, batch);
  }

  roomMade(): void {
    this.sends.queue.retry();
    this.servePolls();
  }

  roomForRequests(of: BusKsock | null): void {
    this.sends.queue.retryRequests(of);
  }

  /** The sends that the end of a turn put off. */
  private goOn(): void {
    if (!this.ksock.isOpen) return;
    this.sends.queue.goOn();
    this.servePolls();
  }

  missed(batch: MessageBatch): void {
    if (this.missedCount === 0) {
      this.missedName = batch.name;
      this.timers.queueMicrotask(() => {
        const count = this.missedCount;
        this.missedCount = 0;
        this.events.missed(count, this.missedName);
      });
    }
    this.missedCount += batch.count;
  }

  /** Whether a message may be written now: none waits, and none queues behind one. */
  private poll(): boolean {
    return this.sends.queue.pending === 0 && this.ksock.poll();
  }

  private servePolls(): void {
    if (this.polls.size === 0 || !this.poll()) return;
    for (const poll of this.polls) poll.settle(true);
  }

  // The bus calls `queued` in the middle of its work, so readers run afterwards.
  private wake(): void {
    if (this.isWoken) return;
    this.isWoken = true;
    this.timers.queueMicrotask(() => {
      this.isWoken = false;
      this.serveTakes();
      if (this.ksock.numMessages === 0) return;
      this.waits.wakeReaders(true);
      this.waits.callSubscriber();
    });
  }

  private serveTakes(): void {
    while (this.takes.length > 0 && this.ksock.numMessages > 0) {
      this.takes.shift()?.resolve(this.tryNext());
    }
  }

  // Sending

  send(
    message: Message,
    wait: boolean,
    signal: AbortSignal | undefined,
    explain: Explain,
  ): Promise<MessageId> {
    return this.sends.send(message, wait, signal, explain);
  }

  post(message: Message, wait: boolean, refused: Refused): boolean {
    return this.sends.post(message, wait, refused);
  }

  request(message: Message, pending: PendingRequest, wait: boolean): void {
    this.sends.request(message, pending, wait);
  }

  forget(pending: PendingRequest): boolean {
    return this.sends.forget(pending);
  }

  reply(message: Message, refused: Refused): void {
    this.sends.reply(message, refused);
  }

  flushed(): Promise<void> {
    return this.sends.flushed();
  }

  ready(): Promise<void> {
    return this.sends.flushed();
  }

  // Reading

  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    if (!this.ksock.isOpen) return Promise.reject(this.closedBy);
    // Readers that wait already come first.
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
    const head = readerHeadOf(batch, this.ksock.tookRequest);
    const { bytes, dataAt, dataLength, from, idSerial, more } = batch;
    if (more === null) borrowed.show(head, from, idSerial, bytes, dataAt, dataLength);
    else borrowed.show(head, from, idSerial, batch.copyData(), 0, dataLength);
    return true;
  }

  readable(): Promise<boolean> {
    if (!this.ksock.isOpen) return Promise.reject(this.closedBy);
    if (this.ksock.numMessages > 0) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      this.waits.addReader((isReadable) => {
        if (isReadable && !this.ksock.isOpen) reject(this.closedBy);
        else resolve(isReadable);
      });
    });
  }

  onReadable(readable: () => void): Promise<void> {
    if (!this.ksock.isOpen) return Promise.reject(this.closedBy);
    return this.waits.subscribe(readable);
  }

  stopReading(): Promise<void> {
    this.waits.stop();
    return Promise.resolve();
  }

  // Everything else

  call(op: OpCode, argument: number, text: string): Promise<CallResult> {
    if (!this.ksock.isOpen) return Promise.reject(this.closedBy);
    const { ksock, bus } = this;
    ksock.tick();
    const done = perform(ksock, op, argument, text);
    if (done !== null) {
      if (done.first >= 0) return outcome(done.first, done.second);
      const why = ksock.whyCallRefused(op, argument, text, -done.first);
      return Promise.reject(portErrorFor(-done.first, why));
    }
    switch (op) {
      case Op.RESEND: {
        const { sending } = ksock;
        const result = this.sends.queue.pending > 0 ? -Errno.EALREADY : ksock.resend();
        const why = result < 0 && sending !== null ? ksock.whyRefused(sending, -result) : '';
        this.servePolls();
        if (result < 0) return Promise.reject(portErrorFor(-result, why));
        return outcome(ksock.lastNetwork, ksock.lastSerial);
      }
      case Op.DISCARD: {
        const isSending = this.sends.queue.discard();
        this.servePolls();
        return outcome(isSending ? 1 : 0);
      }
      case Op.NEW_DEVICE:
        return outcome(Buses.of(bus).newDevice());
      case Op.BINDINGS:
        return outcome(0, 0, JSON.stringify(reportBindings(bus)));
      case Op.STATS:
        return outcome(0, 0, JSON.stringify(reportStats(bus)));
      case Op.ACCESS:
        return outcome(0, 0, JSON.stringify([accessReport(bus.number, ksock.access)]));
      default:
        return Promise.reject(new Error(`a port in this process has no call ${op}`));
    }
  }

  writable(signal: AbortSignal | undefined): Promise<boolean> {
    if (!this.ksock.isOpen) return Promise.reject(this.closedBy);
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
    this.ksock.tick();
    this.ksock.close();
    this.end(this.closedBy);
    this.events.closed(null);
    return this.stopReading();
  }

  kicked(why: string): void {
    this.closedBy = portErrorFor(Errno.ECONNABORTED, why);
    // The bus is in the middle of a call: the program is told afterwards.
    this.timers.queueMicrotask(() => {
      this.end(this.closedBy);
      this.waits.wakeReaders(true);
      this.waits.endSubscription(this.closedBy, false);
      this.events.closed(this.closedBy);
    });
  }

  private end(refusal: PortError): void {
    for (const take of this.takes) take.reject(refusal);
    this.takes = [];
    this.sends.endRequests(refusal);
    this.sends.endSends();
    for (const poll of this.polls) poll.reject(refusal);
    this.polls.clear();
  }
}

function outcome(first: number, second = 0, text = ''): Promise<CallResult> {
  return first < 0
    ? Promise.reject(new PortError(-first))
    : Promise.resolve({ first, second, text });
}

import { offAbort, onAbort } from '../../base/abort.ts';
import { type Memory, plainMemory } from '../../base/memory.ts';
import { systemTimers, type Timers } from '../../base/timers.ts';
import { readU32 } from '../../base/u32.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { Op, type OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import { MessageId } from '../../message/id.ts';
import { type Message, Status } from '../../message/message.ts';
import {
  type Channel,
  type ChannelEvents,
  MEMORY_IN_USE,
  MEMORY_KEPT,
} from '../../transport/channel.ts';
import { textOf, wordOf } from '../../wire/frame.ts';
import { FrameReader } from '../../wire/frame-reader.ts';
import { FrameWriter } from '../../wire/frame-writer.ts';
import {
  FRAME_AT,
  FrameKind,
  MAX_GREETING_BYTES,
  ProtocolError,
  SendDetail,
} from '../../wire/protocol.ts';
import type { ToldNames } from '../../wire/told-names.ts';
import { Handshake, type HelloOptions } from './handshake.ts';
import type { InFlightSends } from './in-flight-sends.ts';
import { whenLeft } from './leaving.ts';
import { MessageFrames } from './message-frames.ts';
import type { OwedReplies } from './owed-replies.ts';
import { PendingCalls } from './pending-calls.ts';
import { PendingReads } from './pending-reads.ts';
import { PendingRequests } from './pending-requests.ts';
import {
  BUS_GONE_AWAY,
  type CallResult,
  closedError,
  type Explain,
  type PendingRequest,
  type Port,
  PortError,
  type PortEvents,
  type Refused,
} from './port.ts';
import { LAZY_WAIT, PortSends } from './port-sends.ts';
import type { PrefetchedQueue } from './prefetched-queue.ts';
import { Prefetching } from './prefetching.ts';
import { ReadableWaits } from './readable-waits.ts';
import { Refusals } from './refusals.ts';
import { errnoOf, farewellOf, whyCallRefused } from './refused-frame.ts';
import { Tokens, tokenAfter } from './tokens.ts';

export interface FramePortOptions extends HelloOptions {
  /** Calls `flush` at the end of the tick: messages sent until then share one write. */
  defer(flush: () => void): void;
  /** Calls `flush` after the input that has arrived was handled: for frames that may wait a little. */
  deferLonger(flush: () => void): void;
  /** Allocates memory that the channel can write without a copy; need not be cleared. Default: plain arrays. */
  memory?: Memory;
  /** Allocates memory to join frames in; need not be cleared. Default: plain arrays. */
  readMemory?: Memory;
  /** For the numbers of names that the daemon tells. Default: it is to tell none. */
  told?: ToldNames | undefined;
  /** Default: the system's timers. */
  timers?: Timers;
}

/** The network id, which no Limpet has, of a Request whose id the client doesn't know: its serial is the token. */
const UNKNOWN_ID_NETWORK = 0xffff_ffff;

/** A port to a daemon, over a channel. */
export class FramePort implements Port, ChannelEvents {
  busNumber = 0;
  ksockId = 0;
  private readonly channel: Channel;
  private readonly events: PortEvents;
  private readonly told: ToldNames | undefined;
  private readonly timers: Timers;
  private readonly handshake = new Handshake();
  readonly refusals = new Refusals();
  isClosing = false;

  private readonly reader: FrameReader;
  private readonly frames: MessageFrames;
  readonly writer: FrameWriter;

  private readonly calls = new PendingCalls();
  /** The token of the last CALL. */
  private lastCall = 0;
  private readonly requests = new PendingRequests();
  private readonly pendingReads: PendingReads;
  readonly tokens: Tokens;

  private readonly waits = new ReadableWaits();
  readonly prefetching: Prefetching;
  private readonly prefetched: PrefetchedQueue;
  /** Messages that arrived for a cancelled read; they come before the prefetched ones. */
  readonly unclaimed: Message[];

  private readonly sends: PortSends;
  readonly inFlight: InFlightSends;
  private readonly owed: OwedReplies;

  private constructor(channel: Channel, options: FramePortOptions, events: PortEvents) {
    this.channel = channel;
    this.events = events;
    const {
      defer,
      memory = plainMemory,
      readMemory = plainMemory,
      told,
      timers = systemTimers,
    } = options;
    this.told = told;
    this.timers = timers;
    this.reader = new FrameReader(MAX_GREETING_BYTES, readMemory);
    this.frames = new MessageFrames(readMemory, told?.reader);
    this.writer = new FrameWriter(channel, defer, memory, () => this.prefetching.topUp(), told);
    const call: Port['call'] = (op, argument, text) => this.call(op, argument, text);
    const cancel = (token: number): void => this.cancel(token);
    const prefetchingHost = {
      deferLonger: options.deferLonger,
      recall: () => call(Op.RECALL, 0, ''),
    };
    this.prefetching = new Prefetching(prefetchingHost, this.writer, this.reader, this.waits);
    this.prefetched = this.prefetching.queue;
    const readsHost = {
      take: (wait: boolean) => this.sendTake(wait),
      cancel,
      given: (message: Message) => this.given(message),
    };
    this.pendingReads = new PendingReads(readsHost, timers);
    this.unclaimed = this.pendingReads.unclaimed;
    this.tokens = new Tokens(this.requests, this.calls, this.pendingReads);
    this.sends = new PortSends(
      { call, cancel },
      this.writer,
      this.prefetching,
      this.tokens,
      this.requests,
      this.refusals,
    );
    this.inFlight = this.sends.inFlight;
    this.owed = this.sends.owed;
  }

  get why(): string {
    return this.refusals.why;
  }

  /**
   * Opens a Ksock over a channel; resolves with the daemon's WELCOME. Rejects with a PortError: EPROTO for a daemon of
   * another version, ECONNRESET if the channel closes.
   */
  static async open(
    connect: (events: ChannelEvents) => Channel,
    options: FramePortOptions,
    events: PortEvents,
    signal?: AbortSignal,
  ): Promise<FramePort> {
    const waiting: ChannelEvents = {
      received: (bytes, from, to) => port.received(bytes, from, to),
      rewind: (memory) => port.rewind(memory),
      drained: () => port.drained(),
      closed: (error) => port.closed(error),
    };
    const port: FramePort = new FramePort(connect(waiting), options, events);
    const giveUp = (): void => port.end(new PortError(Errno.ECANCELED));
    onAbort(signal, giveUp);
    try {
      await port.handshake.begin(options, port.writer);
    } finally {
      offAbort(signal, giveUp);
    }
    return port;
  }

  // Events of the channel

  received(bytes: Uint8Array, from: number, to: number): number {
    this.prefetching.isReceiving = true;
    this.writer.hold();
    try {
      this.reader.push(bytes, from, to);
      while (this.refusals.closedBy === null && this.reader.read()) {
        this.frame(this.reader);
      }
      if (this.waits.hasSubscriber && this.isAtHand) this.waits.callSubscriber();
    } catch (error) {
      this.broken(error);
    } finally {
      this.prefetching.isReceiving = false;
      if (this.refusals.closedBy === null) this.prefetching.endReceiving();
    }
    return this.reader.missing;
  }

  rewind(memory: Uint8Array): number {
    if (this.frames.wasMemoryGiven()) return MEMORY_KEPT;
    return this.isAtHand ? MEMORY_IN_USE : this.reader.rewind(memory);
  }

  drained(): void {
    this.writer.drained();
    this.inFlight.noteRoom();
  }

  closed(error: Error | null): void {
    const { isBetweenFrames } = this.reader;
    const cut = isBetweenFrames ? '' : 'the connection ended in the middle of a message';
    const why = error?.message ?? cut;
    const refusal = new PortError(Errno.ECONNRESET, why, error ?? undefined);
    if (this.handshake.isOpening) {
      refusal.meaning =
        'the program that listens there closed the connection before it sent WELCOME';
    }
    this.end(refusal);
  }

  /** Ends the connection after a protocol error. */
  private broken(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    const refusal = new PortError(Errno.EPROTO, error.message, error);
    if (this.handshake.isOpening) refusal.meaning = 'the program that listens there is not kbus';
    this.end(refusal);
  }

  /** The connection has ended: settles everything that waits. */
  private end(refusal: PortError): void {
    if (this.refusals.closedBy !== null) return;
    this.refusals.closedBy = refusal;
    this.channel.end();
    if (this.handshake.isOpening) {
      this.handshake.failed(refusal);
      return;
    }
    const { isClosing, prefetched, tokens, unclaimed } = this;
    // Prefetched messages were not read: the bus has told their requesters so.
    prefetched.clear();
    if (!isClosing) {
      for (const message of unclaimed.splice(0)) prefetched.push(this.given(message));
      for (const id of this.owed.ids()) prefetched.push(this.goneAway(id));
    }
    this.owed.clear();
    this.calls.end(refusal, tokens.next);
    this.pendingReads.end(() => this.tryNext(), refusal);
    const isKicked = refusal.errno === Errno.ECONNABORTED;
    for (const [token, request] of this.requests.takeAll(tokens.next)) {
      if (isClosing || isKicked) request.refused(refusal);
      else request.answered(this.goneAway(new MessageId(UNKNOWN_ID_NETWORK, token)));
    }
    this.refusals.why = refusal.meaning ?? '';
    this.inFlight.end(refusal.errno);
    this.refusals.why = '';
    this.waits.wakeReaders(true);
    this.waits.endSubscription(refusal, this.isAtHand);
    this.events.closed(isClosing ? null : refusal);
  }

  private goneAway(inReplyTo: MessageId): Status {
    return new Status(BUS_GONE_AWAY, { inReplyTo, to: this.ksockId });
  }

  // Frames of the daemon

  private frame(frame: FrameReader): void {
    const { bytes, at } = frame;
    const word = readU32(bytes, at + FRAME_AT.kind);
    const token = readU32(bytes, at + FRAME_AT.token);
    switch (word >>> 24) {
      case FrameKind.PREFETCH:
        if (this.prefetching.isRecalling) break;
        this.prefetching.received(this.frames.batch(frame));
        this.wakeReaders();
        break;
      case FrameKind.PREFETCH_URGENT:
        if (this.prefetching.isRecalling) break;
        this.prefetching.receivedUrgent(this.frames.single(frame));
        this.wakeReaders();
        break;
      case FrameKind.TAKEN:
        this.pendingReads.taken(token, this.frames.single(frame).next());
        if (this.unclaimed.length > 0) this.wakeReaders();
        break;
      case FrameKind.NONE:
        this.pendingReads.none(token);
        break;
      case FrameKind.ANSWER: {
        const batch = this.frames.batch(frame);
        for (let of = token; batch.left > 0; of = tokenAfter(of)) {
          this.requests.answered(of, batch.next());
        }
        break;
      }
      case FrameKind.SENT:
        this.sends.sent(frame);
        break;
      case FrameKind.RESULT:
        this.result(frame, token);
        break;
      case FrameKind.REFUSED: {
        const detail = (word >>> 16) & 0xff;
        if (detail === 0) this.callRefused(frame, token);
        else this.sends.refused(frame, detail !== 1, token);
        this.refusals.why = '';
        break;
      }
      case FrameKind.MISSED:
        this.events.missed(wordOf(frame, 0), textOf(frame, 1));
        break;
      case FrameKind.NAMES:
        this.told?.learn(frame);
        break;
      case FrameKind.WELCOME:
        this.welcomed(frame);
        break;
      case FrameKind.FAREWELL:
        this.end(farewellOf(frame));
        break;
      default:
        throw new ProtocolError(`a frame of unknown kind ${word >>> 24}`);
    }
  }

  private welcomed(frame: FrameReader): void {
    const welcome = this.handshake.read(frame);
    if (welcome instanceof PortError) {
      this.end(welcome);
      return;
    }
    const { maxFrame, maxSendBytes, maxSends } = welcome;
    this.busNumber = welcome.busNumber;
    this.ksockId = welcome.ksockId;
    this.sends.maxFrame = maxFrame;
    this.inFlight.limit(maxSends, maxSendBytes, maxFrame);
    this.reader.maxLength = maxFrame;
    this.handshake.done();
  }

  private result(frame: FrameReader, token: number): void {
    let first = wordOf(frame, 0);
    const second = wordOf(frame, 1);
    const text = textOf(frame, 2);
    const call = this.calls.take(token);
    // For the bus, unclaimed messages are read; for the program they are not.
    if (call.op === Op.NUM_MESSAGES) first += this.unclaimed.length;
    const request = this.sends.blocked.noteResult(call.op, first);
    if (request !== null) this.owed.add(request);
    call.resolve({ first, second, text });
  }

  private callRefused(frame: FrameReader, token: number): void {
    const errno = errnoOf(frame);
    const call = this.calls.take(token);
    if (call.op === Op.RESEND && errno !== Errno.EAGAIN) this.sends.blocked.end();
    this.refusals.why = whyCallRefused(frame);
    call.reject(this.refusals.error(errno));
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
    const { inFlight } = this;
    const { closedBy } = this.refusals;
    if (closedBy !== null) {
      this.refusals.why = closedBy.meaning ?? '';
      refused(closedBy.errno, message);
      this.refusals.why = '';
      return true;
    }
    if (message.isRequest()) this.sends.postRequest(message, wait, refused);
    else inFlight.post(message, wait ? LAZY_WAIT : SendDetail.LAZY, refused);
    return inFlight.isReady;
  }

  request(message: Message, pending: PendingRequest, wait: boolean): void {
    this.sends.request(message, pending, wait);
  }

  forget(pending: PendingRequest): boolean | Promise<boolean> {
    return this.sends.forget(pending);
  }

  reply(message: Message, refused: Refused): void {
    this.sends.reply(message, refused);
  }

  flushed(): Promise<void> {
    return this.inFlight.flushed();
  }

  ready(): Promise<void> {
    return this.inFlight.ready();
  }

  // Reading

  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    const mayHaveOne = this.refusals.closedBy !== null || this.unclaimed.length > 0;
    const atHand = mayHaveOne ? this.tryNext() : null;
    if (atHand !== null) return Promise.resolve(atHand);
    if (this.refusals.closedBy !== null) return Promise.reject(this.refusals.closedBy);
    return this.pendingReads.take(wait, signal);
  }

  private sendTake(wait: boolean): number {
    this.prefetching.recall();
    const token = this.tokens.take();
    this.prefetching.put(FrameKind.TAKE, wait ? 1 : 0, token, []);
    return token;
  }

  /** Cancels the wait of a call or send: the answer to that one says how it ended. */
  private cancel(token: number): void {
    this.call(Op.CANCEL, token, '').catch(() => {});
  }

  private get isAtHand(): boolean {
    return this.prefetched.length > 0 || this.unclaimed.length > 0;
  }

  tryNext(): Message | null {
    // Messages that are prefetched when the Ksock closes stay unread: the bus tells their requesters so.
    if (this.isClosing) return null;
    const { unclaimed } = this;
    if (unclaimed.length > 0) return this.given(unclaimed.shift() as Message);
    let message: Message | null = null;
    try {
      message = this.prefetched.take();
    } catch (error) {
      this.broken(error);
    }
    if (message === null) return null;
    if (this.refusals.closedBy === null) this.prefetching.noteConsumed();
    return this.given(message);
  }

  tryNextInto(borrowed: BorrowedMessage): boolean {
    if (this.isClosing) return false;
    const { unclaimed } = this;
    if (unclaimed.length > 0) {
      borrowed.showMessage(unclaimed.shift() as Message);
    } else {
      try {
        if (!this.prefetched.show(borrowed)) return false;
      } catch (error) {
        this.broken(error);
        return false;
      }
      if (this.refusals.closedBy === null) this.prefetching.noteConsumed();
    }
    this.owed.noteRead(borrowed.head, this.ksockId);
    return true;
  }

  /** Notes that the program gets this message. */
  private given(message: Message): Message {
    this.owed.noteRead(message.head, this.ksockId);
    return message;
  }

  private wakeReaders(): void {
    if (this.waits.hasReader) this.waits.wakeReaders(true);
  }

  readable(): Promise<boolean> {
    if (this.isAtHand) return Promise.resolve(true);
    if (this.refusals.closedBy !== null) return Promise.reject(this.refusals.closedBy);
    return new Promise((resolve, reject) => {
      this.waits.addReader((isReadable) => {
        if (isReadable && !this.isAtHand) reject(this.refusals.closedBy);
        else resolve(isReadable);
      });
      this.prefetching.begin();
    });
  }

  onReadable(readable: () => void): Promise<void> {
    if (this.refusals.closedBy !== null) return Promise.reject(this.refusals.closedBy);
    const ended = this.waits.subscribe(readable);
    this.prefetching.begin();
    return ended;
  }

  stopReading(): Promise<void> {
    this.waits.stop();
    if (this.refusals.closedBy === null) this.prefetching.recall();
    return Promise.resolve();
  }

  // Everything else

  call(op: OpCode, argument: number, text: string): Promise<CallResult> {
    if (this.refusals.closedBy !== null) return Promise.reject(this.refusals.closedBy);
    if (op === Op.UNBIND) this.prefetching.recall();
    const token = this.tokens.take();
    this.lastCall = token;
    return new Promise((resolve, reject) => {
      this.calls.add(token, { op, resolve, reject });
      this.prefetching.put(FrameKind.CALL, op, token, [argument], text);
    });
  }

  async writable(signal: AbortSignal | undefined): Promise<boolean> {
    const polled = this.call(Op.POLL, 1, '');
    const token = this.lastCall;
    const cancel = (): void => this.cancel(token);
    onAbort(signal, cancel);
    try {
      return (await polled).first === 1;
    } finally {
      offAbort(signal, cancel);
    }
  }

  keepProgram(isKept: boolean): void {
    this.channel.keepProgram?.(isKept);
  }

  async close(): Promise<void> {
    if (this.isClosing) return;
    this.isClosing = true;
    await whenLeft(this.call(Op.CLOSE, 0, ''), this.writer, this.timers);
    this.end(closedError());
    this.refusals.closedBy = closedError();
  }
}

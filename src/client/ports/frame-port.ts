import { offAbort, onAbort } from '../../base/abort.ts';
import { escaped } from '../../base/escape.ts';
import { NumberMap } from '../../base/number-map.ts';
import { readU32 } from '../../base/u32.ts';
import { Op, type OpCode } from '../../bus/driver/perform.ts';
import type { Mode } from '../../bus/ksock-state.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { HeadReader } from '../../message/codec/records.ts';
import { Errno } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import type { Head } from '../../message/head.ts';
import { MessageId } from '../../message/id.ts';
import { Message, Status } from '../../message/message.ts';
import { type Channel, type ChannelEvents, STAYS, STAYS_NOW } from '../../transport/channel.ts';
import { Prefetch } from '../../wire/prefetch.ts';
import {
  FRAME_AT,
  FrameKind,
  FrameReader,
  MAX_CONSUMED,
  type Memory,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  ProtocolError,
  plainMemory,
  RECORDS_AT,
  SendDetail,
  textOf,
  wordOf,
  wordsFrame,
  YOU,
} from '../../wire/protocol.ts';
import { FrameWriter } from './frame-writer.ts';
import { InFlightSends, type InFlightSendsHost, type PendingSend } from './in-flight-sends.ts';
import { PendingReads } from './pending-reads.ts';
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
import { KeptMemory, Lent, PrefetchedBatch } from './prefetched.ts';

/** Name of the Status that the client makes for each outstanding Request when the bus goes away. */
export const BUS_GONE_AWAY = '$.KBUS.Bus.GoneAway';

export interface FramePortOptions {
  mode: Mode;
  /** Told to the daemon, and shown by it as what this program says of itself. */
  pid: number;
  program: string;
  /** Calls back when the program has done what it does now: what is sent until then goes in one write. */
  defer(flush: () => void): void;
  /** Calls back after what has come in by now was seen to: for what may wait a little. */
  deferLonger(flush: () => void): void;
  /** Of the kind that the channel writes without more ado; it needn't be cleared. By default, plain arrays. */
  memory?: Memory;
  /** To put frames together in; it needn't be cleared. */
  readMemory?: Memory;
}

/** Network id, which no Limpet has, of a Request that is known by its token: its own id was not told. */
const UNTOLD = 0xffff_ffff;

/** How many messages the daemon may lend to a reader of many. */
const CREDIT = 8192;

/** So few need not be told of while more is known to come. */
const FEW = 16;

/** How long `close` waits for a daemon that takes nothing and says nothing, in milliseconds. */
const CLOSE_PATIENCE = 5000;

const LAZY_WAIT = SendDetail.WAIT | SendDetail.LAZY;
/** So many characters of why something was refused are told. */
const MAX_WHY = 1000;

const ANSWERED_WAIT = SendDetail.WAIT | SendDetail.ANSWERED;

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Who is called when messages came, until it is told why no more will. */
interface Attending extends Waiter<void> {
  readonly came: () => void;
}

interface PendingCall extends Waiter<CallResult> {
  readonly op: OpCode;
}

/** A port to a daemon, over a channel. */
export class FramePort implements Port, ChannelEvents, InFlightSendsHost {
  busNumber = 0;
  ksockId = 0;
  why = '';
  private readonly channel: Channel;
  private readonly options: FramePortOptions;
  private readonly events: PortEvents;
  private readonly reader: FrameReader;
  private readonly heads = new HeadReader();
  private welcome: Waiter<void> | null = null;
  private maxFrame = 0;

  private readonly writer: FrameWriter;
  private isTelling = false;
  private consumedAtLast = 0;
  // While more is being consumed, it is told less often: each telling wakes the daemon.
  private readonly tellNow = (): void => {
    if (this.consumed > this.consumedAtLast && this.consumed * 8 < CREDIT) {
      this.consumedAtLast = this.consumed;
      this.options.deferLonger(this.tellNow);
      return;
    }
    this.isTelling = false;
    if (this.consumed > 0) this.writer.flush();
  };

  private nextToken = 1;
  /** Token of the CALL that was made last. */
  private lastCall = 0;
  private readonly calls = new NumberMap<PendingCall>();
  private readonly pendingReads = new PendingReads({
    ask: (wait) => {
      this.recall();
      const token = this.takeToken();
      this.putWords(FrameKind.TAKE, wait ? 1 : 0, token, []);
      return token;
    },
    cancel: (token) => this.cancel(token),
    read: (message) => this.read(message),
  });
  private readonly answers = new NumberMap<Asking>();
  /** Tokens of Requests that were given up, of which the daemon may not have heard yet. */
  private readonly forgotten = new Set<number>();

  private readonly inFlight: InFlightSends;
  /** A message waits to be sent (EAGAIN), and whatever is sent meanwhile is refused. */
  private isSending = false;
  private replyRefused: Refused | null = null;

  private readonly prefetched = new Lent();
  private consumed = 0;
  private readonly kept: KeptMemory;
  /** How many messages were given where they lay, when that was last asked. */
  private referencedBefore = 0;
  private readonly prefetch = new Prefetch();
  /** Something may be lent, or on its way. */
  private isBorrowing = false;
  private recalls = 0;
  private reading: ((isReadable: boolean) => void)[] = [];
  private attending: Attending | null = null;
  private isReceiving = false;

  /**
   * Requests sent whose Reply is to come through the queue, by id; for when the bus goes away. Several may
   * have one id, when it is a Limpet's.
   */
  private readonly outstanding = new Map<string, { readonly id: MessageId; count: number }>();
  /** The Request that waits to be sent, after EAGAIN. */
  private waitingRequest: MessageId | null = null;
  private closedBy: PortError | null = null;
  private isClosing = false;

  private constructor(channel: Channel, options: FramePortOptions, events: PortEvents) {
    this.channel = channel;
    this.options = options;
    const { defer, memory = plainMemory } = options;
    this.reader = new FrameReader(4096, undefined, options.readMemory);
    this.kept = new KeptMemory(options.readMemory ?? plainMemory);
    this.writer = new FrameWriter(channel, defer, memory, () => this.topUpCredit());
    this.events = events;
    this.inFlight = new InFlightSends(this);
  }

  // What its sends need of it

  get isOpen(): boolean {
    return this.closedBy === null;
  }

  get isCrowded(): boolean {
    return this.writer.isCrowded;
  }

  sync(): Promise<unknown> {
    return this.call(Op.SYNC, 0, '');
  }

  /**
   * Opens a Ksock over a channel; resolves when the daemon has welcomed it. Rejects with a PortError:
   * EPROTO for a daemon of another version, ECONNRESET when the channel closes.
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
      await port.hello();
    } finally {
      offAbort(signal, giveUp);
    }
    return port;
  }

  private hello(): Promise<void> {
    const { mode, pid, program } = this.options;
    return new Promise((resolve, reject) => {
      this.welcome = { resolve, reject };
      const words = [PROTOCOL_MAGIC, PROTOCOL_VERSION, mode === 'r' ? 1 : 3, pid];
      this.writer.frame(wordsFrame(FrameKind.HELLO, 0, 0, 0, words, program));
    });
  }

  // What the channel tells

  received(bytes: Uint8Array, from: number, to: number): number {
    this.isReceiving = true;
    this.writer.hold();
    try {
      this.reader.push(bytes, from, to);
      while (this.closedBy === null && this.reader.read()) {
        this.frame(this.reader);
      }
      if (this.attending !== null && this.isAtHand) this.attending.came();
    } catch (error) {
      this.broken(error);
    } finally {
      this.isReceiving = false;
      if (this.closedBy === null) this.sendWhatWasHeld();
    }
    return this.reader.missing;
  }

  /** What the daemon said is no KBUS: the connection can't go on. */
  private broken(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    const refusal = new PortError(Errno.EPROTO, error.message, error);
    if (this.welcome !== null) refusal.meaning = 'what answers there is not KBUS';
    this.end(refusal);
  }

  private sendWhatWasHeld(): void {
    if (this.consumed * 2 >= CREDIT) {
      this.writer.flush();
    } else {
      this.writer.release();
      this.tellSoon();
    }
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
    if (this.welcome !== null) {
      refusal.meaning = 'what answers there hung up before it said that it is KBUS';
    }
    this.end(refusal);
  }

  private frame(frame: FrameReader): void {
    const { bytes, at } = frame;
    const word = readU32(bytes, at + FRAME_AT.kind);
    const token = readU32(bytes, at + FRAME_AT.token);
    switch (word >>> 24) {
      case FrameKind.PREFETCH:
        this.receiveLent(frame, false);
        break;
      case FrameKind.PREFETCH_URGENT:
        this.receiveLent(frame, true);
        break;
      case FrameKind.TAKEN:
        this.pendingReads.taken(token, this.single(frame).next());
        if (this.reading.length > 0 && this.pendingReads.unclaimed.length > 0) this.wakeReaders();
        break;
      case FrameKind.NONE:
        this.pendingReads.none(token);
        break;
      case FrameKind.ANSWER: {
        const batch = this.batch(frame);
        for (let of = token; batch.left > 0; of = tokenAfter(of)) this.answer(of, batch.next());
        break;
      }
      case FrameKind.SENT:
        this.sent(wordOf(frame, 0), wordOf(frame, 1), wordOf(frame, 2), wordOf(frame, 3));
        break;
      case FrameKind.RESULT: {
        const result = {
          first: wordOf(frame, 0),
          second: wordOf(frame, 1),
          text: textOf(frame, 2),
        };
        const call = this.settle(this.calls, token);
        // What came unclaimed counts as read there, and here it is still to be read.
        if (call.op === Op.NUM_MESSAGES) result.first += this.pendingReads.unclaimed.length;
        const isDone = call.op === Op.DISCARD ? result.first === 0 : result.first !== 0;
        if (this.isSending) this.endWait(call.op, isDone);
        call.resolve(result);
        break;
      }
      case FrameKind.REFUSED:
        this.refused(frame, (word >>> 16) & 0xff, token);
        this.why = '';
        break;
      case FrameKind.MISSED:
        this.events.missed(wordOf(frame, 0), textOf(frame, 1));
        break;
      case FrameKind.WELCOME:
        this.welcomed(frame);
        break;
      case FrameKind.FAREWELL: {
        const errno = wordOf(frame, 0);
        const why = textOf(frame, 1);
        this.end(new PortError(errno, why));
        break;
      }
      default:
        throw new ProtocolError(`a frame of kind ${word >>> 24}, which a daemon doesn't send`);
    }
  }

  private welcomed(frame: FrameReader): void {
    if (this.welcome === null || wordOf(frame, 0) !== PROTOCOL_MAGIC) {
      throw new ProtocolError('a WELCOME that was not asked for');
    }
    const version = wordOf(frame, 1);
    if (version !== PROTOCOL_VERSION) {
      const why = `the daemon speaks version ${version} of the protocol, and this client version ${PROTOCOL_VERSION}; use the kbus package of the same version for both`;
      this.end(new PortError(Errno.EPROTO, why));
      return;
    }
    this.busNumber = wordOf(frame, 2);
    this.ksockId = wordOf(frame, 3);
    this.maxFrame = wordOf(frame, 7);
    this.inFlight.limit(wordOf(frame, 5), wordOf(frame, 6), this.maxFrame);
    this.reader.maxLength = this.maxFrame;
    this.welcome.resolve();
    this.welcome = null;
  }

  private answer(token: number, answer: Message): void {
    if (!this.forgotten.has(token)) this.settle(this.answers, token).answered(answer);
  }

  private settle<T>(waiters: NumberMap<T>, token: number): T {
    const waiter = waiters.take(token);
    if (waiter === undefined) throw new ProtocolError(`an answer to ${token}, which was not asked`);
    return waiter;
  }

  private refused(frame: FrameReader, detail: number, token: number): void {
    const errno = wordOf(frame, 0);
    if (detail === 0) {
      const call = this.settle(this.calls, token);
      if (call.op === Op.RESEND && errno !== Errno.EAGAIN) {
        this.waitingRequest = null;
        this.isSending = false;
      }
      this.why = whyOf(textOf(frame, 3));
      call.reject(this.refusal(errno));
      return;
    }
    const text = textOf(frame, 9);
    const nameLength = wordOf(frame, 8);
    this.why = whyOf(text.slice(nameLength));
    const without = told(frame, text.slice(0, nameLength));
    if (detail === 1) {
      const id = new MessageId(wordOf(frame, 1), wordOf(frame, 2));
      if (errno === Errno.EAGAIN && !id.isSet) throw new ProtocolError('what waits has no id');
      const message = this.inFlight.refused(errno, token, without, wordOf(frame, 7));
      if (errno === Errno.EAGAIN) {
        this.isSending = true;
        if (message.isRequest()) this.waitingRequest = id;
      }
    } else {
      const answer = this.answers.take(token);
      answer?.refused(this.refusal(errno));
      if (answer === undefined && !this.forgotten.has(token))
        this.replyRefused?.(errno, without, false);
    }
  }

  private refusal(errno: number): PortError {
    return portErrorFor(errno, this.why);
  }

  /** The message that waited to be sent has been sent, or given up; a Request perhaps answered by a Status. */
  private endWait(op: OpCode, isDone: boolean): void {
    // A DISCARD that is not done has let another message take the place of the one that waited.
    if (op !== Op.RESEND && !((op === Op.POLL || op === Op.DISCARD) && isDone)) return;
    const id = this.waitingRequest;
    if (op !== Op.DISCARD && id !== null) this.owe(id);
    this.waitingRequest = null;
    this.isSending = false;
  }

  /** The messages of a frame. */
  private batch(frame: FrameReader): PrefetchedBatch {
    const { at, bytes, length } = frame;
    const count = wordOf(frame, 0);
    const serial = wordOf(frame, 2);
    if (count === 0 || serial + count > 2 ** 32) {
      throw new ProtocolError(`${count} messages, from serial ${serial} on`);
    }
    const isAsked = ((bytes[at + FRAME_AT.detail] as number) & YOU) !== 0;
    const you = isAsked ? Flag.WANT_YOU_TO_REPLY : 0;
    const from = wordOf(frame, 1);
    const [first, end] = [at + RECORDS_AT, at + length];
    return new PrefetchedBatch(this.heads, this.kept, bytes, first, end, count, from, serial, you);
  }

  /** The message of a frame that has but one: what is told of it is told by frames. */
  private single(frame: FrameReader): PrefetchedBatch {
    const batch = this.batch(frame);
    if (batch.left === 1) return batch;
    throw new ProtocolError(`${batch.left} messages in a frame that may have one`);
  }

  /** The program is given a message: if it is the answer to a Request, that is not outstanding any more. */
  private read(message: Message): Message {
    this.noteRead(message.head);
    return message;
  }

  private noteRead(head: Head): void {
    if (this.outstanding.size === 0 || !head.isReply || head.to !== this.ksockId) return;
    const id = String(head.inReplyTo);
    const owed = this.outstanding.get(id);
    if (owed !== undefined && --owed.count === 0) this.outstanding.delete(id);
  }

  /** A Request was sent, to be answered through the queue. */
  private owe(id: MessageId): void {
    const owed = this.outstanding.get(String(id));
    if (owed === undefined) this.outstanding.set(String(id), { id, count: 1 });
    else owed.count++;
  }

  /** The connection is over: everything that waits is told. */
  private end(refusal: PortError): void {
    if (this.closedBy !== null) return;
    this.closedBy = refusal;
    this.channel.end();
    if (this.welcome !== null) {
      this.welcome.reject(refusal);
      return;
    }
    // Messages at hand were not read: the bus has told their senders so.
    this.prefetched.clear();
    if (!this.isClosing) {
      for (const message of this.pendingReads.unclaimed.splice(0))
        this.prefetched.push(this.read(message));
      for (const { id, count } of this.outstanding.values()) {
        for (let each = 0; each < count; each++) this.prefetched.push(this.goneAway(id));
      }
    }
    this.outstanding.clear();
    for (const [, waiter] of this.calls.oldestFirst(this.nextToken)) waiter.reject(refusal);
    this.pendingReads.end(() => this.tryNext(), refusal);
    const answers = this.answers.oldestFirst(this.nextToken);
    this.answers.clear();
    for (const [token, asking] of answers) {
      if (this.isClosing) asking.refused(refusal);
      else asking.answered(this.goneAway(new MessageId(UNTOLD, token)));
    }
    this.inFlight.end(refusal.errno);
    this.wakeReaders();
    const { attending } = this;
    this.attending = null;
    if (this.isAtHand) attending?.came();
    attending?.reject(refusal);
    this.events.closed(this.isClosing ? null : refusal);
  }

  private goneAway(inReplyTo: MessageId): Status {
    return new Status(BUS_GONE_AWAY, { inReplyTo, to: this.ksockId });
  }

  // What goes out

  /** A frame of words, which tells of what was consumed too. */
  private putWords(kind: number, detail: number, token: number, words: number[], text = ''): void {
    const consumed = this.takeConsumed();
    if (text !== '' || words.length > 1) {
      this.writer.frame(wordsFrame(kind, detail, consumed, token, words, text));
    } else {
      this.writer.word(kind, detail, consumed, token, words[0]);
    }
  }

  put(message: Message, detail: number, token: number): void {
    this.writer.message(message, detail, this.takeConsumed(), token);
  }

  private takeConsumed(): number {
    while (this.consumed > MAX_CONSUMED) {
      this.consumed -= MAX_CONSUMED;
      this.writer.word(FrameKind.CREDIT, 0, MAX_CONSUMED, 0, 0);
    }
    const { consumed } = this;
    this.consumed = 0;
    return consumed;
  }

  // Sending

  send(message: Message, wait: boolean, signal: AbortSignal | undefined): Promise<MessageId> {
    if (this.closedBy !== null) {
      return Promise.reject(this.closedBy);
    }
    return new Promise((resolve, reject) => {
      const detail = wait ? SendDetail.WAIT : 0;
      const send = new AwaitedSend(this, message, detail, this.takeToken(), resolve, reject);
      if (signal !== undefined) send.giveUpBy(signal, () => this.cancelSend(send));
      this.inFlight.submit(send);
    });
  }

  /** @internal Such a send was done. */
  sendDone(message: Message, id: MessageId): void {
    if (message.isRequest()) this.owe(id);
  }

  /** @internal What its promise is to be rejected with. */
  sendRefused(errno: number): PortError {
    return this.closedBy ?? this.refusal(errno);
  }

  private cancelSend(pending: PendingSend): void {
    if (this.inFlight.withdraw(pending)) pending.failed(Errno.ECANCELED, pending.message);
    else this.cancel(pending.token);
  }

  post(message: Message, wait: boolean, refused: Refused): boolean {
    if (this.closedBy !== null) {
      refused(this.closedBy.errno, message);
      return true;
    }
    const detail = wait ? LAZY_WAIT : SendDetail.LAZY;
    if (message.isRequest()) {
      // Its Reply comes through the queue, so its id must be known.
      this.send(message, wait, undefined).catch((refusal: PortError) => {
        this.why = refusal.meaning ?? '';
        refused(refusal.errno, message);
        this.why = '';
      });
    } else {
      this.inFlight.post(message, detail, refused);
    }
    return this.inFlight.isReady;
  }

  request(message: Message, asking: Asking, wait: boolean): void {
    if (this.closedBy !== null) {
      asking.refused(this.closedBy);
      return;
    }
    const token = this.takeToken();
    asking.token = token;
    const waits = (message.flags & Flag.ALL_OR_WAIT) !== 0;
    this.answers.set(token, asking);
    const room = wait ? SendDetail.ROOM : 0;
    const detail = (waits ? ANSWERED_WAIT : SendDetail.ANSWERED) | room;
    this.quietly(message, detail, token, waits, this.notAsked);
  }

  /** A Request was refused: known by its token, for it needs no other record. */
  private readonly notAsked = (errno: number, token: number): void => {
    this.answers.take(token)?.refused(this.closedBy ?? this.refusal(errno));
  };

  forget({ token }: Asking): boolean | Promise<boolean> {
    if (this.answers.take(token) === undefined || this.closedBy !== null) return false;
    if (this.inFlight.withdrawToken(token)) return true;
    // Until the daemon has heard of it, the answer may come all the same.
    this.forgotten.add(token);
    return this.call(Op.FORGET, token, '').then(
      ({ first }) => {
        this.forgotten.delete(token);
        return first === 1;
      },
      () => false,
    );
  }

  reply(message: Message, refused: Refused): void {
    if (this.closedBy !== null) return;
    this.replyRefused = refused;
    // A send under way may leave the Ksock sending, and then this message is still needed.
    const isBusy = this.isSending || this.inFlight.isBusy;
    // It may stay here for a while, and its handler use the memory of its data again.
    if (isBusy || this.inFlight.mayWait) message.data = new Uint8Array(message.data);
    const notSent = (errno: number): void => refused(errno, message);
    this.quietly(message, 0, this.takeToken(), isBusy, notSent);
  }

  /**
   * Sends, and asks to be told of a refusal only: the fewer frames, the better. But a message that may
   * wait, or stands behind one that does, must be counted, and so have its outcome told.
   */
  private quietly(
    message: Message,
    detail: number,
    token: number,
    isCounted: boolean,
    failed: (errno: number, token: number) => void,
  ): void {
    const { inFlight } = this;
    if (isCounted || inFlight.mayWait) {
      const notSent = (errno: number): void => failed(errno, token);
      inFlight.submit({ count: 1, message, detail, token, done: () => {}, failed: notSent });
    } else if (inFlight.fits(message)) {
      this.put(message, detail | SendDetail.QUIET, token);
    } else {
      this.tooLarge(message, (errno) => failed(errno, token));
    }
  }

  tooLarge(message: Message, failed: (errno: number) => void): void {
    const size = message.totalLength();
    this.why = `the message has ${size} bytes, and the daemon takes no frame longer than ${this.maxFrame} (absolute-max-message-size)`;
    failed(Errno.EMSGSIZE);
    this.why = '';
  }

  takeToken(): number {
    let token = this.nextToken;
    // After 2^32 of them, one may still be in use.
    if (this.answers.size > 0 || this.calls.size > 0 || this.forgotten.size > 0) {
      while (this.isInUse(token)) token = tokenAfter(token);
    }
    this.nextToken = tokenAfter(token);
    return token;
  }

  private isInUse(token: number): boolean {
    return (
      this.answers.get(token) !== undefined ||
      this.calls.get(token) !== undefined ||
      this.forgotten.has(token) ||
      this.pendingReads.isInUse(token)
    );
  }

  private sent(count: number, network: number, serial: number, bytes: number): void {
    if (serial + count > 2 ** 32) {
      throw new ProtocolError(`${count} sends with serial numbers from ${serial} on`);
    }
    this.inFlight.done(count, network, serial, bytes);
  }

  flushed(): Promise<void> {
    return this.inFlight.flushed();
  }

  ready(): Promise<void> {
    return this.inFlight.ready();
  }

  // Reading

  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    const isAtHand = this.closedBy !== null || this.pendingReads.unclaimed.length > 0;
    const atHand = isAtHand ? this.tryNext() : null;
    if (atHand !== null) return Promise.resolve(atHand);
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    return this.pendingReads.take(wait, signal);
  }

  /** The call of this token answers how it ended. */
  private cancel(token: number): void {
    this.call(Op.CANCEL, token, '').catch(() => {});
  }

  tryNext(): Message | null {
    // What is lent when the Ksock closes was not read, and the bus tells its senders so.
    if (this.isClosing) return null;
    const { unclaimed } = this.pendingReads;
    if (unclaimed.length > 0) return this.read(unclaimed.shift() as Message);
    let message: Message | null = null;
    try {
      message = this.prefetched.take();
    } catch (error) {
      this.broken(error);
    }
    if (message === null) return null;
    this.noteHanded();
    return this.read(message);
  }

  tryNextInto(borrowed: BorrowedMessage): boolean {
    if (this.isClosing) return false;
    const { unclaimed } = this.pendingReads;
    if (unclaimed.length > 0) {
      borrowed.showMessage(unclaimed.shift() as Message);
    } else {
      try {
        if (!this.prefetched.show(borrowed)) return false;
      } catch (error) {
        this.broken(error);
        return false;
      }
      this.noteHanded();
    }
    this.noteRead(borrowed.head);
    return true;
  }

  private noteHanded(): void {
    if (this.closedBy !== null) return;
    this.prefetch.consume(1);
    this.consumed++;
    if (this.consumed * 2 >= CREDIT) this.writer.flushSoon();
    else if (!this.isReceiving) this.tellSoon();
  }

  rewind(memory: Uint8Array): number {
    const { referenced } = this.kept;
    const isKept = referenced !== this.referencedBefore;
    this.referencedBefore = referenced;
    if (isKept) return STAYS;
    return this.isAtHand ? STAYS_NOW : this.reader.rewind(memory);
  }

  /** Sees to it that the daemon is told what was consumed. */
  private tellSoon(): void {
    if (this.consumed === 0 || this.isTelling) return;
    // A frame is half there: what is consumed of what comes with the rest of it is told with this.
    if (this.consumed < FEW && this.reader.missing > 0) return;
    this.isTelling = true;
    this.consumedAtLast = 0;
    this.options.deferLonger(this.tellNow);
  }

  private get isAtHand(): boolean {
    return this.prefetched.length > 0 || this.pendingReads.unclaimed.length > 0;
  }

  readable(): Promise<boolean> {
    if (this.isAtHand) return Promise.resolve(true);
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    return new Promise((resolve, reject) => {
      this.reading.push((isReadable) => {
        if (isReadable && !this.isAtHand) reject(this.closedBy);
        else resolve(isReadable);
      });
      this.askToLend();
    });
  }

  onReadable(came: () => void): Promise<void> {
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    return new Promise((resolve, reject) => {
      this.attending = { came, resolve, reject };
      this.askToLend();
    });
  }

  private receiveLent(frame: FrameReader, first: boolean): void {
    // What was on its way when it was recalled has gone back to the queue.
    if (this.recalls > 0) return;
    if (first) {
      this.prefetch.prefetchUrgent();
      this.prefetch.acknowledge();
      this.putWords(FrameKind.URGENT_ACK, 0, 0, []);
      this.prefetched.pushFirst(this.single(frame));
    } else {
      const batch = this.batch(frame);
      this.prefetch.prefetch(batch.left);
      this.prefetched.pushBatch(batch);
    }
    if (this.reading.length > 0) this.wakeReaders();
  }

  private wakeReaders(): void {
    const { reading } = this;
    this.reading = [];
    for (const wake of reading) wake(true);
  }

  private askToLend(): void {
    if (this.prefetch.credit > 0 || this.recalls > 0) return;
    this.isBorrowing = true;
    this.prefetch.grant(CREDIT);
    this.putWords(FrameKind.CREDIT, 0, 0, [CREDIT]);
  }

  /** Tells of what was consumed, and lets so much more be lent, unless it needn't be told yet. */
  private topUpCredit(): void {
    const { credit, prefetched } = this.prefetch;
    const room = CREDIT - credit - prefetched;
    const isWanted = credit > 0 || (this.attending !== null && this.recalls === 0);
    const more = isWanted && room * 2 >= CREDIT ? room : 0;
    if (this.consumed === 0 && more === 0) return;
    this.prefetch.grant(more);
    this.putWords(FrameKind.CREDIT, 0, 0, [more]);
  }

  /** Gives back what is lent, so that the queue holds all that is unread. */
  private recall(): void {
    if (!this.isBorrowing) return;
    this.isBorrowing = false;
    this.recalls++;
    this.call(Op.RECALL, 0, '').then(
      () => {
        this.recalls--;
        if (this.reading.length > 0 || this.attending !== null) this.askToLend();
      },
      () => {},
    );
    this.prefetched.clear();
    this.prefetch.recall();
  }

  stopReading(): Promise<void> {
    const { reading } = this;
    this.reading = [];
    for (const wake of reading) wake(false);
    this.attending?.resolve();
    this.attending = null;
    if (this.closedBy === null) this.recall();
    return Promise.resolve();
  }

  // Everything else

  call(op: OpCode, argument: number, text: string): Promise<CallResult> {
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    if (op === Op.UNBIND) this.recall();
    const token = this.takeToken();
    this.lastCall = token;
    return new Promise((resolve, reject) => {
      this.calls.set(token, { op, resolve, reject });
      this.putWords(FrameKind.CALL, op, token, [argument], text);
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
    await this.leave();
    this.end(closedError());
    this.closedBy = closedError();
  }

  /** Resolves when the bus knows that this Ksock leaves; or when the daemon seems to know nothing any more. */
  private leave(): Promise<void> {
    return new Promise((resolve) => {
      const left = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.call(Op.CLOSE, 0, '').then(left, left);
      this.writer.flush();
      let { backlog } = this.writer;
      const wait = (): void => {
        const isTaking = this.writer.backlog < backlog;
        backlog = this.writer.backlog;
        if (isTaking) timer = setTimeout(wait, CLOSE_PATIENCE);
        else left();
      };
      let timer = setTimeout(wait, CLOSE_PATIENCE);
    });
  }
}

/** A send whose outcome somebody awaits. */
class AwaitedSend implements PendingSend {
  count = 1;
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  private readonly port: FramePort;
  private readonly resolve: (id: MessageId) => void;
  private readonly reject: (reason: unknown) => void;
  private signal: AbortSignal | null = null;
  private cancel: (() => void) | null = null;

  constructor(
    port: FramePort,
    message: Message,
    detail: number,
    token: number,
    resolve: (id: MessageId) => void,
    reject: (reason: unknown) => void,
  ) {
    this.port = port;
    this.message = message;
    this.detail = detail;
    this.token = token;
    this.resolve = resolve;
    this.reject = reject;
  }

  giveUpBy(signal: AbortSignal, cancel: () => void): void {
    this.signal = signal;
    this.cancel = cancel;
    onAbort(signal, cancel);
  }

  done(network: number, serial: number): void {
    this.leaveSignal();
    const id = new MessageId(network, serial);
    this.port.sendDone(this.message, id);
    this.resolve(id);
  }

  failed(errno: number): void {
    this.leaveSignal();
    const { signal } = this;
    if (errno === Errno.ECANCELED && signal?.aborted) this.reject(signal.reason);
    else this.reject(this.port.sendRefused(errno));
  }

  private leaveSignal(): void {
    if (this.signal !== null) offAbort(this.signal, this.cancel as () => void);
  }
}

function tokenAfter(token: number): number {
  return token === 0xffff_ffff ? 1 : token + 1;
}

/** What a daemon said, as a terminal may show it. */
function whyOf(text: string): string {
  return escaped(text.slice(0, MAX_WHY));
}

/** What a REFUSED tells of the message: all but its data. */
function told(frame: FrameReader, name: string): Message {
  const inReplyTo = new MessageId(wordOf(frame, 3), wordOf(frame, 4));
  const to = wordOf(frame, 5);
  return new Message(name, null, { inReplyTo, to, flags: wordOf(frame, 6) });
}

import { Op, type OpCode } from '../bus/calls.ts';
import type { Mode } from '../bus/ksock.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import { Errno } from '../message/errno.ts';
import { escaped } from '../message/escape.ts';
import { Flag } from '../message/flags.ts';
import type { Head } from '../message/head.ts';
import { MessageId } from '../message/id.ts';
import { Message, Status } from '../message/message.ts';
import { NumberMap } from '../message/number-map.ts';
import { HeadReader } from '../message/records.ts';
import { readU32 } from '../message/u32.ts';
import { type Channel, type ChannelEvents, STAYS, STAYS_NOW } from '../wire/channel.ts';
import {
  FRAME_AT,
  FrameReader,
  Kind,
  MAX_HANDED,
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
} from '../wire/frames.ts';
import { Prefetch } from '../wire/prefetch.ts';
import { offAbort, onAbort } from './abort.ts';
import { KeptMemory, Lent, LentBatch } from './lent.ts';
import { Outgoing } from './outgoing.ts';
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
import { Takes } from './takes.ts';
import { type PendingSend, UnderWay, type UnderWayHost } from './under-way.ts';

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
const LEND = 8192;

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
export class FramePort implements Port, ChannelEvents, UnderWayHost {
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

  private readonly outgoing: Outgoing;
  private isTelling = false;
  private handedAtLast = 0;
  // While more is being handed, it is told less often: each telling wakes the daemon.
  private readonly tellNow = (): void => {
    if (this.handed > this.handedAtLast && this.handed * 8 < LEND) {
      this.handedAtLast = this.handed;
      this.options.deferLonger(this.tellNow);
      return;
    }
    this.isTelling = false;
    if (this.handed > 0) this.outgoing.flush();
  };

  private nextToken = 1;
  /** Token of the CALL that was made last. */
  private lastCall = 0;
  private readonly calls = new NumberMap<PendingCall>();
  private readonly takes = new Takes({
    ask: (wait) => {
      this.recall();
      const token = this.takeToken();
      this.putWords(Kind.TAKE, wait ? 1 : 0, token, []);
      return token;
    },
    cancel: (token) => this.cancel(token),
    read: (message) => this.read(message),
  });
  private readonly answers = new NumberMap<Asking>();
  /** Tokens of Requests that were given up, of which the daemon may not have heard yet. */
  private readonly forgotten = new Set<number>();

  private readonly underWay: UnderWay;
  /** A message waits to be sent (EAGAIN), and whatever is sent meanwhile is refused. */
  private isSending = false;
  private replyRefused: Refused | null = null;

  private readonly lent = new Lent();
  private handed = 0;
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
  private closedBy: Refusal | null = null;
  private isClosing = false;

  private constructor(channel: Channel, options: FramePortOptions, events: PortEvents) {
    this.channel = channel;
    this.options = options;
    const { defer, memory = plainMemory } = options;
    this.reader = new FrameReader(4096, undefined, options.readMemory);
    this.kept = new KeptMemory(options.readMemory ?? plainMemory);
    this.outgoing = new Outgoing(channel, defer, memory, () => this.topUpCredit());
    this.events = events;
    this.underWay = new UnderWay(this);
  }

  // What its sends need of it

  get isOpen(): boolean {
    return this.closedBy === null;
  }

  get isCrowded(): boolean {
    return this.outgoing.isCrowded;
  }

  sync(): Promise<unknown> {
    return this.call(Op.SYNC, 0, '');
  }

  /**
   * Opens a Ksock over a channel; resolves when the daemon has welcomed it. Rejects with a Refusal:
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
    const giveUp = (): void => port.end(new Refusal(Errno.ECANCELED));
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
      this.outgoing.frame(wordsFrame(Kind.HELLO, 0, 0, 0, words, program));
    });
  }

  // What the channel tells

  received(bytes: Uint8Array, from: number, to: number): number {
    this.isReceiving = true;
    this.outgoing.hold();
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
    const refusal = new Refusal(Errno.EPROTO, error.message, error);
    if (this.welcome !== null) refusal.meaning = 'what answers there is not KBUS';
    this.end(refusal);
  }

  private sendWhatWasHeld(): void {
    if (this.handed * 2 >= LEND) {
      this.outgoing.flush();
    } else {
      this.outgoing.release();
      this.tellSoon();
    }
  }

  drained(): void {
    this.outgoing.drained();
    this.underWay.noteRoom();
  }

  closed(error: Error | null): void {
    const { isBetweenFrames } = this.reader;
    const cut = isBetweenFrames ? '' : 'the connection ended in the middle of a message';
    const why = error?.message ?? cut;
    const refusal = new Refusal(Errno.ECONNRESET, why, error ?? undefined);
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
      case Kind.LENT:
        this.receiveLent(frame, false);
        break;
      case Kind.LENT_FIRST:
        this.receiveLent(frame, true);
        break;
      case Kind.TAKEN:
        this.takes.taken(token, this.single(frame).next());
        if (this.reading.length > 0 && this.takes.early.length > 0) this.wakeReaders();
        break;
      case Kind.NONE:
        this.takes.none(token);
        break;
      case Kind.ANSWER: {
        const batch = this.batch(frame);
        for (let of = token; batch.left > 0; of = tokenAfter(of)) this.answer(of, batch.next());
        break;
      }
      case Kind.SENT:
        this.sent(wordOf(frame, 0), wordOf(frame, 1), wordOf(frame, 2), wordOf(frame, 3));
        break;
      case Kind.RESULT: {
        const result = {
          first: wordOf(frame, 0),
          second: wordOf(frame, 1),
          text: textOf(frame, 2),
        };
        const call = this.settle(this.calls, token);
        // What came early counts as read there, and here it is still to be read.
        if (call.op === Op.NUM_MESSAGES) result.first += this.takes.early.length;
        const isDone = call.op === Op.DISCARD ? result.first === 0 : result.first !== 0;
        if (this.isSending) this.endWait(call.op, isDone);
        call.resolve(result);
        break;
      }
      case Kind.REFUSED:
        this.refused(frame, (word >>> 16) & 0xff, token);
        this.why = '';
        break;
      case Kind.MISSED:
        this.events.missed(wordOf(frame, 0), textOf(frame, 1));
        break;
      case Kind.WELCOME:
        this.welcomed(frame);
        break;
      case Kind.FAREWELL: {
        const errno = wordOf(frame, 0);
        const why = textOf(frame, 1);
        this.end(new Refusal(errno, why));
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
      this.end(new Refusal(Errno.EPROTO, why));
      return;
    }
    this.busNumber = wordOf(frame, 2);
    this.ksockId = wordOf(frame, 3);
    this.maxFrame = wordOf(frame, 7);
    this.underWay.limit(wordOf(frame, 5), wordOf(frame, 6), this.maxFrame);
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
      const message = this.underWay.refused(errno, token, without, wordOf(frame, 7));
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

  private refusal(errno: number): Refusal {
    return refusalFor(errno, this.why);
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
  private batch(frame: FrameReader): LentBatch {
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
    return new LentBatch(this.heads, this.kept, bytes, first, end, count, from, serial, you);
  }

  /** The message of a frame that has but one: what is told of it is told by frames. */
  private single(frame: FrameReader): LentBatch {
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
  private end(refusal: Refusal): void {
    if (this.closedBy !== null) return;
    this.closedBy = refusal;
    this.channel.end();
    if (this.welcome !== null) {
      this.welcome.reject(refusal);
      return;
    }
    // Messages at hand were not read: the bus has told their senders so.
    this.lent.clear();
    if (!this.isClosing) {
      for (const message of this.takes.early.splice(0)) this.lent.push(this.read(message));
      for (const { id, count } of this.outstanding.values()) {
        for (let each = 0; each < count; each++) this.lent.push(this.goneAway(id));
      }
    }
    this.outstanding.clear();
    for (const [, waiter] of this.calls.oldestFirst(this.nextToken)) waiter.reject(refusal);
    this.takes.end(() => this.hand(), refusal);
    const answers = this.answers.oldestFirst(this.nextToken);
    this.answers.clear();
    for (const [token, asking] of answers) {
      if (this.isClosing) asking.refused(refusal);
      else asking.answered(this.goneAway(new MessageId(UNTOLD, token)));
    }
    this.underWay.end(refusal.errno);
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

  /** A frame of words, which tells of what was handed too. */
  private putWords(kind: number, detail: number, token: number, words: number[], text = ''): void {
    const handed = this.takeHanded();
    if (text !== '' || words.length > 1) {
      this.outgoing.frame(wordsFrame(kind, detail, handed, token, words, text));
    } else {
      this.outgoing.word(kind, detail, handed, token, words[0]);
    }
  }

  put(message: Message, detail: number, token: number): void {
    this.outgoing.message(message, detail, this.takeHanded(), token);
  }

  private takeHanded(): number {
    while (this.handed > MAX_HANDED) {
      this.handed -= MAX_HANDED;
      this.outgoing.word(Kind.LEND, 0, MAX_HANDED, 0, 0);
    }
    const { handed } = this;
    this.handed = 0;
    return handed;
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
      this.underWay.submit(send);
    });
  }

  /** @internal Such a send was done. */
  sendDone(message: Message, id: MessageId): void {
    if (message.isRequest()) this.owe(id);
  }

  /** @internal What its promise is to be rejected with. */
  sendRefused(errno: number): Refusal {
    return this.closedBy ?? this.refusal(errno);
  }

  private cancelSend(pending: PendingSend): void {
    if (this.underWay.withdraw(pending)) pending.failed(Errno.ECANCELED, pending.message);
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
      this.send(message, wait, undefined).catch((refusal: Refusal) => {
        this.why = refusal.meaning ?? '';
        refused(refusal.errno, message);
        this.why = '';
      });
    } else {
      this.underWay.post(message, detail, refused);
    }
    return this.underWay.isReady;
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
    if (this.underWay.withdrawToken(token)) return true;
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
    const isBusy = this.isSending || this.underWay.isBusy;
    // It may stay here for a while, and its handler use the memory of its data again.
    if (isBusy || this.underWay.mayWait) message.data = new Uint8Array(message.data);
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
    const { underWay } = this;
    if (isCounted || underWay.mayWait) {
      const notSent = (errno: number): void => failed(errno, token);
      underWay.submit({ count: 1, message, detail, token, done: () => {}, failed: notSent });
    } else if (underWay.fits(message)) {
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
      this.takes.isInUse(token)
    );
  }

  private sent(count: number, network: number, serial: number, bytes: number): void {
    if (serial + count > 2 ** 32) {
      throw new ProtocolError(`${count} sends with serial numbers from ${serial} on`);
    }
    this.underWay.done(count, network, serial, bytes);
  }

  flushed(): Promise<void> {
    return this.underWay.flushed();
  }

  ready(): Promise<void> {
    return this.underWay.ready();
  }

  // Reading

  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    const isAtHand = this.closedBy !== null || this.takes.early.length > 0;
    const atHand = isAtHand ? this.hand() : null;
    if (atHand !== null) return Promise.resolve(atHand);
    if (this.closedBy !== null) return Promise.reject(this.closedBy);
    return this.takes.take(wait, signal);
  }

  /** The call of this token answers how it ended. */
  private cancel(token: number): void {
    this.call(Op.CANCEL, token, '').catch(() => {});
  }

  hand(): Message | null {
    // What is lent when the Ksock closes was not read, and the bus tells its senders so.
    if (this.isClosing) return null;
    const { early } = this.takes;
    if (early.length > 0) return this.read(early.shift() as Message);
    let message: Message | null = null;
    try {
      message = this.lent.take();
    } catch (error) {
      this.broken(error);
    }
    if (message === null) return null;
    this.noteHanded();
    return this.read(message);
  }

  show(borrowed: BorrowedMessage): boolean {
    if (this.isClosing) return false;
    const { early } = this.takes;
    if (early.length > 0) {
      borrowed.showMessage(early.shift() as Message);
    } else {
      try {
        if (!this.lent.show(borrowed)) return false;
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
    this.handed++;
    if (this.handed * 2 >= LEND) this.outgoing.flushSoon();
    else if (!this.isReceiving) this.tellSoon();
  }

  rewind(memory: Uint8Array): number {
    const { referenced } = this.kept;
    const isKept = referenced !== this.referencedBefore;
    this.referencedBefore = referenced;
    if (isKept) return STAYS;
    return this.isAtHand ? STAYS_NOW : this.reader.rewind(memory);
  }

  /** Sees to it that the daemon is told what was handed. */
  private tellSoon(): void {
    if (this.handed === 0 || this.isTelling) return;
    // A frame is half there: what is handed of what comes with the rest of it is told with this.
    if (this.handed < FEW && this.reader.missing > 0) return;
    this.isTelling = true;
    this.handedAtLast = 0;
    this.options.deferLonger(this.tellNow);
  }

  private get isAtHand(): boolean {
    return this.lent.length > 0 || this.takes.early.length > 0;
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

  attend(came: () => void): Promise<void> {
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
      this.prefetch.lendFirst();
      this.prefetch.see();
      this.putWords(Kind.SEEN, 0, 0, []);
      this.lent.pushFirst(this.single(frame));
    } else {
      const batch = this.batch(frame);
      this.prefetch.lend(batch.left);
      this.lent.pushBatch(batch);
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
    this.prefetch.grant(LEND);
    this.putWords(Kind.LEND, 0, 0, [LEND]);
  }

  /** Tells of what was handed, and lets so much more be lent, unless it needn't be told yet. */
  private topUpCredit(): void {
    const { credit, lent } = this.prefetch;
    const room = LEND - credit - lent;
    const isWanted = credit > 0 || (this.attending !== null && this.recalls === 0);
    const more = isWanted && room * 2 >= LEND ? room : 0;
    if (this.handed === 0 && more === 0) return;
    this.prefetch.grant(more);
    this.putWords(Kind.LEND, 0, 0, [more]);
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
    this.lent.clear();
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
      this.putWords(Kind.CALL, op, token, [argument], text);
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
    this.end(closedRefusal());
    this.closedBy = closedRefusal();
  }

  /** Resolves when the bus knows that this Ksock leaves; or when the daemon seems to know nothing any more. */
  private leave(): Promise<void> {
    return new Promise((resolve) => {
      const left = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.call(Op.CLOSE, 0, '').then(left, left);
      this.outgoing.flush();
      let { backlog } = this.outgoing;
      const wait = (): void => {
        const isTaking = this.outgoing.backlog < backlog;
        backlog = this.outgoing.backlog;
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

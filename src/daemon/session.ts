import { Buffer } from 'node:buffer';
import type { Slab } from '../base/slab.ts';
import { readU32 } from '../base/u32.ts';
import type { Bus } from '../bus/bus.ts';
import { Op, perform } from '../bus/driver/perform.ts';
import { SendQueue } from '../bus/driver/send-queue.ts';
import type { BusKsock, KsockOwner } from '../bus/ksock.ts';
import { MessageBatch } from '../bus/message-batch.ts';
import { bindingPieces, type Pieces, statsPieces } from '../bus/report.ts';
import { checkRecords } from '../message/codec/records.ts';
import { codeOf, Errno } from '../message/errno.ts';
import { Flag } from '../message/flags.ts';
import type { Channel, ChannelEvents } from '../transport/channel.ts';
import { textOf, wordOf, wordsFrame } from '../wire/frame.ts';
import { FrameReader } from '../wire/frame-reader.ts';
import { Prefetch } from '../wire/prefetch.ts';
import {
  ASK_WHO,
  FRAME_AT,
  FrameKind,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  ProtocolError,
  SENT_RECORDS_AT,
  SendDetail,
} from '../wire/protocol.ts';
import type { Flushable, Turn } from './flush-scheduler.ts';
import { BY_REFERENCE, Outbox } from './outbox.ts';

/** What all sessions of a daemon share. */
export interface SessionHost {
  readonly turn: Turn;
  readonly slab: Slab;
  /** Process id of the daemon. */
  readonly pid: number;
  /** Makes the next bus; resolves with its number once it can be opened, or with -errno. */
  newDevice(): Promise<number>;
  /** A client broke the protocol, or speaks another version. */
  warn(text: string): void;
}

/** How many sends of one connection may be pending, and how many bytes they may have (one may have more). */
export const MAX_PENDING_SENDS = 16_384;
export const MAX_PENDING_BYTES = 2 * 1024 * 1024;

/** A client must not set what only KBUS sets. */
const KBUS_SETS = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

/** How many of its TAKEs may wait for a message, and how many POLLs to be writable. */
export const MAX_WAITING = 65_536;

/** A reader that lets more than this lie is given nothing more until it has read. */
const MAX_BACKLOG = 1024 * 1024;

/** HELLO comes before anything is known of the client: it is small. */
const MAX_HELLO = 4096;

/** So many refusals are explained in one turn: those of a flood are told by their numbers alone. */
const MAX_EXPLAINED = 32;

/** Room in a frame beside the largest message: the frame's own words, and longer padding. */
const FRAME_SLACK = 64;

/** However small messages must be, pieces of reports are longer. */
const MIN_LONGEST_FRAME = 128 * 1024;

/** The numbers of reports are not those of another connection: a client may have lost that meanwhile. */
let lastReport = 0;

/** A report that a call wants a piece of. */
interface Report {
  token: number;
  /** With which the client asks for more. */
  readonly number: number;
  readonly pieces: Pieces;
}

/**
 * One connection, which is one Ksock: frames come in, and what the bus says of them goes out. It does
 * no I/O of its own.
 */
export class Session implements KsockOwner, ChannelEvents, Flushable {
  private readonly host: SessionHost;
  private readonly bus: Bus;
  private readonly channel: Channel;
  private readonly outbox: Outbox;
  private readonly reader = new FrameReader(MAX_HELLO, BY_REFERENCE, Buffer.allocUnsafeSlow);
  private ksockOrNull: BusKsock | null = null;
  private sends!: SendQueue;
  private isStirred = false;
  private isEnded = false;
  private isPaused = false;

  /** PendingReads, polls and reports that wait, first come first; by token. */
  private takes: number[] = [];
  private polls: number[] = [];
  private readonly reports: Report[] = [];
  /** Reports that were begun, by the number with which more of them is asked for. */
  private readonly begun = new Map<number, Report>();
  /** How many characters of reports are on their way to the channel. */
  private reported = 0;

  /** What is lent is the front of the queue, and what is unseen the front of that. */
  private readonly prefetch = new Prefetch();
  /** How many of those that are unseen are still to be sent. */
  private firstsToSend = 0;

  /** SendQueue done and not yet told of: `doneCount` of them, whose tokens and serials follow each other. */
  private doneToken = 0;
  private doneCount = 0;
  private doneNetwork = 0;
  private doneSerial = 0;
  /** Nobody waits to be told of them. */
  private doneIsLazy = false;
  /** What data they have. */
  private doneBytes = 0;
  /** Somebody waits for all that is pending. */
  private isSyncing = false;
  /** How many messages it missed that the client was not told of, and the name of the first. */
  private missedCount = 0;
  private missedName = '';
  /** How many refusals were explained in this turn. */
  private explained = 0;
  private readonly sums = { data: 0, size: 0, largest: 0, heads: 0 };

  constructor(host: SessionHost, bus: Bus, channel: Channel) {
    this.host = host;
    this.bus = bus;
    this.channel = channel;
    this.outbox = new Outbox(channel, host.slab);
  }

  /** The client has not said HELLO yet. */
  get isSilent(): boolean {
    return this.ksockOrNull === null && !this.isEnded;
  }

  private get ksock(): BusKsock {
    return this.ksockOrNull as BusKsock;
  }

  // What the channel tells

  received(bytes: Uint8Array, from: number, to: number): number {
    const { reader } = this;
    if (this.isEnded) return 0;
    try {
      reader.push(bytes, from, to);
      while (reader.read() && !this.isEnded) {
        if (this.ksockOrNull === null) this.hello(reader);
        else this.frame(reader);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.host.warn(
        `bus ${this.bus.number}, Ksock ${this.ksockOrNull?.id ?? '-'}: ${error.message}`,
      );
      this.farewell(Errno.EPROTO, error.message);
    }
    this.markDirty();
    this.host.turn.end();
    return reader.missing;
  }

  drained(): void {
    if (this.isPaused) {
      this.isPaused = false;
      this.channel.resume();
    }
    if (this.reports.length > 0 && !this.isEnded) this.serveReports();
    this.markDirty();
    this.host.turn.end();
  }

  closed(): void {
    this.isEnded = true;
    this.ksockOrNull?.close();
    this.host.turn.end();
  }

  /** Says why, and ends the connection. */
  farewell(errno: number, why: string): void {
    if (this.isEnded) return;
    this.tellDone();
    this.outbox.frame(wordsFrame(FrameKind.FAREWELL, 0, 0, 0, [errno], why));
    this.outbox.flush();
    this.isEnded = true;
    this.ksockOrNull?.close();
    this.channel.end();
  }

  // What the bus tells

  queued(atFront: boolean): void {
    if (atFront) {
      if (this.prefetch.prefetched > 0) {
        this.prefetch.prefetchUrgent();
        this.firstsToSend++;
        this.ksock.queue.markFront();
      } else {
        this.ksock.queue.unmark();
      }
    }
    this.markDirty();
  }

  answered(token: number, batch: MessageBatch): void {
    this.messages(FrameKind.ANSWER, token, batch, 0, batch.count, false);
    this.markDirty();
  }

  roomMade(): void {
    this.sends.retry();
    this.servePolls();
    this.markDirty();
  }

  roomForRequests(of: BusKsock | null): void {
    this.sends.retryRequests(of);
    this.markDirty();
  }

  missed(batch: MessageBatch): void {
    if (this.missedCount === 0) this.missedName = batch.name;
    this.missedCount += batch.count;
    this.markDirty();
  }

  /** A client that lets much lie is told when it has read: what it missed meanwhile is told at once then. */
  private tellMissed(): void {
    if (this.channel.backlog > MAX_BACKLOG) return;
    this.outbox.frame(wordsFrame(FrameKind.MISSED, 0, 0, 0, [this.missedCount], this.missedName));
    this.missedCount = 0;
  }

  private markDirty(): void {
    if (this.isStirred) return;
    this.isStirred = true;
    this.host.turn.markDirty(this);
  }

  settle(): void {
    this.isStirred = false;
    this.explained = 0;
    if (this.isEnded) return;
    if (this.ksockOrNull !== null) {
      this.serveTakes();
      this.lend();
      if (this.missedCount > 0) this.tellMissed();
      this.tellDoneInTime();
    }
    this.outbox.flush();
    if (this.reported > 0) {
      this.reported = 0;
      this.serveReports();
      if (this.reported > 0) this.markDirty();
    }
    if (this.channel.backlog > MAX_BACKLOG && !this.isPaused) {
      this.isPaused = true;
      this.channel.pause();
    }
  }

  // What the client says

  private hello(frame: FrameReader): void {
    const kind = frame.bytes[frame.at + FRAME_AT.kind];
    if (kind !== FrameKind.HELLO || wordOf(frame, 0) !== PROTOCOL_MAGIC) {
      throw new ProtocolError('the first bytes are not those of a KBUS client');
    }
    const version = wordOf(frame, 1);
    if (version !== PROTOCOL_VERSION) {
      throw new ProtocolError(
        `the client speaks version ${version} of the protocol, and the daemon version ${PROTOCOL_VERSION}; use the kbus package of the same version for both`,
      );
    }
    if (wordOf(frame, 2) === ASK_WHO) {
      this.welcome(0, 0);
      this.outbox.flush();
      this.isEnded = true;
      this.channel.end();
      return;
    }
    const mode = wordOf(frame, 2) === 1 ? 'r' : 'rw';
    const ksock = this.bus.open(this, { mode, pid: wordOf(frame, 3) });
    this.ksockOrNull = ksock;
    this.sends = new SendQueue(
      ksock,
      (batch, result) => this.sendDone(batch, result),
      (batch) => this.tellAside(batch),
    );
    const { absoluteMaxMessageSize } = this.bus.settings;
    this.reader.maxLength = Math.max(absoluteMaxMessageSize + FRAME_SLACK, MIN_LONGEST_FRAME);
    this.welcome(ksock.id, this.reader.maxLength);
  }

  private welcome(ksockId: number, maxFrame: number): void {
    this.outbox.frame(
      wordsFrame(FrameKind.WELCOME, 0, 0, 0, [
        PROTOCOL_MAGIC,
        PROTOCOL_VERSION,
        this.bus.number,
        ksockId,
        this.host.pid,
        MAX_PENDING_SENDS,
        MAX_PENDING_BYTES,
        maxFrame,
      ]),
    );
  }

  private frame(frame: FrameReader): void {
    if (frame.bytes[frame.at + FRAME_AT.kind] !== FrameKind.SEND) frame.join();
    const { bytes, at } = frame;
    const word = readU32(bytes, at + FRAME_AT.kind);
    const consumed = word & 0xffff;
    const detail = (word >>> 16) & 0xff;
    const token = readU32(bytes, at + FRAME_AT.token);
    if (consumed > 0) this.consume(consumed);
    switch (word >>> 24) {
      case FrameKind.SEND:
        this.send(frame, detail, token);
        break;
      case FrameKind.TAKE:
        this.mustHaveRecalled();
        this.mayWait(this.takes.length);
        this.takes.push(token);
        this.serveTakes();
        if ((detail & 1) === 0 && this.takes.at(-1) === token) {
          this.takes.pop();
          this.outbox.words(FrameKind.NONE, 0, token, 0);
        }
        break;
      case FrameKind.CREDIT:
        this.prefetch.grant(wordOf(frame, 0));
        break;
      case FrameKind.URGENT_ACK:
        this.prefetch.acknowledge(this.firstsToSend);
        break;
      case FrameKind.CALL:
        this.call(detail, token, wordOf(frame, 0), textOf(frame, 1));
        break;
      default:
        throw new ProtocolError(`a frame of kind ${word >>> 24}, which a client doesn't send`);
    }
  }

  private consume(count: number): void {
    this.prefetch.consume(count);
    this.ksock.takeMany(count, this.prefetch.unacknowledged);
  }

  /** The queue can't change under what is lent. */
  private mustHaveRecalled(): void {
    const { prefetch } = this;
    if (prefetch.prefetched > 0) {
      throw new ProtocolError('TAKE or UNBIND, without a RECALL of what was lent');
    }
    prefetch.recall();
  }

  private mayWait(waiting: number): void {
    if (waiting < MAX_WAITING) return;
    throw new ProtocolError(`more calls wait than the ${MAX_WAITING} that a connection may have`);
  }

  private unlend(): void {
    this.prefetch.recall();
    this.firstsToSend = 0;
    this.ksock.queue.unmark();
  }

  private servePolls(): void {
    if (this.polls.length === 0 || !this.poll()) return;
    for (const token of this.polls) this.result(token, 1, 0);
    this.polls = [];
  }

  /** A call wants the first piece of a report (0), or the next. */
  private askReport(op: number, token: number, number: number): void {
    const { begun, bus, reports } = this;
    if (number === 0) {
      this.mayWait(reports.length + begun.size);
      lastReport = (lastReport % 0xffff_ffff) + 1;
      const pieces = op === Op.STATS ? statsPieces(bus) : bindingPieces(bus);
      reports.push({ token, number: lastReport, pieces });
    } else {
      const report = begun.get(number);
      // It was begun on a connection that was lost.
      if (report === undefined) {
        this.refused(token, -Errno.ECONNRESET);
        return;
      }
      begun.delete(number);
      report.token = token;
      reports.push(report);
    }
    if (reports.length === 1) this.serveReports();
  }

  /** A piece of a report is made when it can be sent. */
  private serveReports(): void {
    const { reports, begun } = this;
    while (reports.length > 0 && this.reported + this.channel.backlog <= MAX_BACKLOG) {
      const report = reports.shift() as Report;
      const { token, number, pieces } = report;
      const { value: text, done } = pieces.next();
      this.reported += text.length;
      if (!done) begun.set(number, report);
      this.result(token, done ? 0 : number, 0, text);
    }
  }

  private serveTakes(): void {
    while (this.takes.length > 0) {
      const batch = this.ksock.take();
      if (batch === null) return;
      const token = this.takes.shift() as number;
      this.messages(FrameKind.TAKEN, token, batch, 0, 1, this.ksock.tookRequest);
    }
  }

  private lend(): void {
    const { queue } = this.ksock;
    for (; this.firstsToSend > 0; this.firstsToSend--) {
      const at = this.firstsToSend - 1;
      const isAsked = queue.binding(at)?.replier === true;
      this.messages(FrameKind.PREFETCH_URGENT, 0, queue.batch(at), queue.readOf(at), 1, isAsked);
    }
    const { prefetch } = this;
    if (prefetch.credit === 0 || prefetch.prefetched === queue.length) return;
    if (this.channel.backlog > MAX_BACKLOG) return;
    while (prefetch.credit > 0 && prefetch.prefetched < queue.length) {
      const entry = queue.marked;
      const batch = queue.batch(entry);
      const isAsked = queue.binding(entry)?.replier === true;
      const within = queue.markedWithin;
      const count = Math.min(prefetch.credit, batch.count - within);
      this.messages(FrameKind.PREFETCH, 0, batch, within, count, isAsked);
      queue.mark(count);
      prefetch.prefetch(count);
    }
  }

  private messages(
    kind: number,
    token: number,
    batch: MessageBatch,
    within: number,
    count: number,
    you: boolean,
  ): void {
    // A program is told that its Request was sent before it is given the Reply.
    if (this.doneCount > 0) this.tellDone();
    this.outbox.messages(kind, token, batch, within, count, you);
  }

  private send(frame: FrameReader, detail: number, token: number): void {
    const count = wordOf(frame, 0);
    // Only of a single message can the data stay in pieces.
    if (count !== 1) frame.join();
    const { bytes } = frame;
    const at = frame.at + SENT_RECORDS_AT;
    const length = frame.length - SENT_RECORDS_AT;
    const { sums } = this;
    if (count === 0 || count > MAX_PENDING_SENDS) {
      throw new ProtocolError(`${count} messages in a SEND`);
    }
    if (token + count - 1 > 0xffff_ffff) {
      throw new ProtocolError(`${count} messages in a SEND, whose tokens begin with ${token}`);
    }
    const wrong = checkRecords(bytes, at, length, count, KBUS_SETS, sums);
    if (wrong !== '') throw new ProtocolError(wrong);
    const batch = MessageBatch.ofRecords(bytes, at, at + length, count, sums, frame.more);
    batch.detail = detail;
    batch.ticket = token;
    batch.isAnswered = (detail & SendDetail.ANSWERED) !== 0;
    batch.waits = (detail & SendDetail.WAIT) !== 0;
    batch.awaitsRoom = (detail & SendDetail.ROOM) !== 0;
    const { largest } = sums;
    this.sends.submit(batch);
    this.checkPending(largest);
  }

  /** One message may have more data than all that may be pending together. */
  private checkPending(largest: number): void {
    const { counted, countedBytes } = this.sends;
    if (
      counted > MAX_PENDING_SENDS ||
      (countedBytes > MAX_PENDING_BYTES && countedBytes > largest)
    ) {
      throw new ProtocolError(
        `more sends are pending than the ${MAX_PENDING_SENDS}, or the ${MAX_PENDING_BYTES} bytes, that a connection may have`,
      );
    }
  }

  private sendDone(batch: MessageBatch, result: number): void {
    this.tellSent(batch, result);
    this.markDirty();
  }

  /** A Request waits aside: who counts it is told at its turn, with no id; later, of a refusal only. */
  private tellAside(batch: MessageBatch): void {
    if ((batch.detail & SendDetail.QUIET) !== 0) return;
    batch.detail |= SendDetail.QUIET;
    this.tellDone();
    this.outbox.words(FrameKind.SENT, 0, batch.ticket, 4, 1, 0, 0, batch.dataLength);
  }

  private tellSent(batch: MessageBatch, result: number): void {
    const { ticket: token, detail, idNetwork, idSerial } = batch;
    const quiet = (detail & SendDetail.QUIET) !== 0;
    const lazy = (detail & SendDetail.LAZY) !== 0;
    if (result < 0) {
      this.tellDone();
      const { replyNetwork, replySerial, to, flags, dataLength, name } = batch;
      const ids = [idNetwork, idSerial, replyNetwork, replySerial];
      const words = [-result, ...ids, to, flags, dataLength, name.length];
      const text = name + this.why(() => this.ksock.whyRefused(batch, -result));
      this.outbox.frame(wordsFrame(FrameKind.REFUSED, quiet ? 2 : 1, 0, token, words, text));
      return;
    }
    if (quiet) return;
    if (
      this.doneCount > 0 &&
      token === this.doneToken + this.doneCount &&
      idSerial === this.doneSerial + this.doneCount &&
      idNetwork === this.doneNetwork
    ) {
      this.doneCount += batch.count;
    } else {
      this.tellDone();
      this.doneToken = token;
      this.doneCount = batch.count;
      this.doneNetwork = idNetwork;
      this.doneSerial = idSerial;
      this.doneIsLazy = true;
    }
    this.doneBytes += batch.dataBytes;
    if (!lazy) this.doneIsLazy = false;
  }

  /** Why something was refused; not of very many in one turn, who may not take others' time with it. */
  private why(says: () => string): string {
    if (this.explained === MAX_EXPLAINED) return '';
    this.explained++;
    this.markDirty();
    return says();
  }

  /** What nobody waits for is told when it is a good part of what may be pending. */
  private tellDoneInTime(): void {
    if (this.isSyncing) this.isSyncing = this.sends.pending > 0;
    else if (
      this.doneIsLazy &&
      this.doneCount < MAX_PENDING_SENDS / 4 &&
      this.doneBytes < MAX_PENDING_BYTES / 4
    ) {
      return;
    }
    this.tellDone();
  }

  private tellDone(): void {
    if (this.doneCount === 0) return;
    const { doneToken, doneCount, doneNetwork, doneSerial, doneBytes } = this;
    this.outbox.words(
      FrameKind.SENT,
      0,
      doneToken,
      4,
      doneCount,
      doneNetwork,
      doneSerial,
      doneBytes,
    );
    this.doneBytes = 0;
    this.doneCount = 0;
  }

  private call(op: number, token: number, argument: number, text: string): void {
    const { ksock } = this;
    if (op === Op.UNBIND) this.mustHaveRecalled();
    const outcome = perform(ksock, op, argument, text);
    if (outcome !== null) {
      const { first } = outcome;
      if (first < 0)
        this.refused(
          token,
          first,
          this.why(() => ksock.whyNotBound(text, -first)),
        );
      else this.result(token, outcome.first, outcome.second);
      return;
    }
    switch (op) {
      case Op.RESEND:
        this.resend(token);
        break;
      case Op.DISCARD: {
        const isSending = this.sends.discard();
        this.servePolls();
        this.outcome(token, isSending ? 1 : 0);
        break;
      }
      case Op.POLL:
        if (this.poll()) this.result(token, 1, 0);
        else if (argument === 0 || ksock.mode === 'r') this.result(token, 0, 0);
        else {
          this.mayWait(this.polls.length);
          this.polls.push(token);
        }
        break;
      case Op.NEW_DEVICE:
        this.newDevice(token);
        break;
      case Op.BINDINGS:
      case Op.STATS:
        this.askReport(op, token, argument);
        break;
      case Op.RECALL:
        this.unlend();
        this.outcome(token, 0);
        break;
      case Op.SYNC:
        this.isSyncing = true;
        this.tellDone();
        this.outcome(token, 0);
        break;
      case Op.CLOSE:
        ksock.close();
        this.outcome(token, 0);
        this.tellDone();
        this.outbox.flush();
        this.isEnded = true;
        this.channel.end();
        break;
      case Op.CANCEL:
        this.cancel(argument);
        this.outcome(token, 0);
        break;
      case Op.FORGET:
        this.outcome(token, this.forget(argument) ? 1 : 0);
        break;
      default:
        throw new ProtocolError(`a call with the unknown number ${op}`);
    }
  }

  /** Whether a message may be written now: none waits, nor do those that wait their turn. */
  private poll(): boolean {
    return this.sends.pending === 0 && this.ksock.poll();
  }

  private resend(token: number): void {
    const { sending } = this.ksock;
    const result = this.sends.pending > 0 ? -Errno.EALREADY : this.ksock.resend();
    if (result < 0) {
      const says = (): string => (sending ? this.ksock.whyRefused(sending, -result) : '');
      this.refused(token, result, this.why(says));
    } else this.result(token, this.ksock.lastNetwork, this.ksock.lastSerial);
    this.servePolls();
  }

  /** Whether nobody has carried out the Request, and nobody will. */
  private forget(token: number): boolean {
    if (!this.sends.cancel(token)) return this.ksock.forget(token);
    this.servePolls();
    return true;
  }

  private cancel(token: number): void {
    const take = this.takes.indexOf(token);
    if (take >= 0) {
      this.takes.splice(take, 1);
      this.outbox.words(FrameKind.NONE, 0, token, 0);
      return;
    }
    const poll = this.polls.indexOf(token);
    if (poll >= 0) {
      this.polls.splice(poll, 1);
      this.result(token, 0, 0);
      return;
    }
    this.sends.cancel(token);
    this.servePolls();
  }

  private newDevice(token: number): void {
    this.host.newDevice().then(
      (number) => {
        this.outcome(token, number);
        this.markDirty();
        this.host.turn.end();
      },
      (error: unknown) => {
        this.host.warn(`no new bus could be made: ${String(error)}`);
        this.outcome(token, -Errno.EACCES);
        this.markDirty();
        this.host.turn.end();
      },
    );
  }

  private outcome(token: number, value: number): void {
    if (value < 0) this.refused(token, value);
    else this.result(token, value, 0);
  }

  private result(token: number, first: number, second: number, text = ''): void {
    if (text === '') this.outbox.words(FrameKind.RESULT, 0, token, 2, first, second);
    else this.outbox.frame(wordsFrame(FrameKind.RESULT, 0, 0, token, [first, second], text));
  }

  private refused(token: number, value: number, why = ''): void {
    if (codeOf(-value) === undefined) throw new Error(`the bus gave the unknown error ${value}`);
    if (why === '') this.outbox.words(FrameKind.REFUSED, 0, token, 3, -value, 0, 0);
    else this.outbox.frame(wordsFrame(FrameKind.REFUSED, 0, 0, token, [-value, 0, 0], why));
  }
}

import type { Flushable, FlushScheduler } from '../base/flush-scheduler.ts';
import type { Slab } from '../base/slab.ts';
import type { Timers } from '../base/timers.ts';
import { readU32 } from '../base/u32.ts';
import { MANAGING } from '../bus/access.ts';
import type { Bus, OpenOptions } from '../bus/bus.ts';
import { SendQueue } from '../bus/driver/send-queue.ts';
import { type Identity, programName, whoIs } from '../bus/identity.ts';
import type { KsockOwner, KsockState } from '../bus/ksock-state.ts';
import { LEAST_BYTES } from '../bus/memory.ts';
import { MessageBatch } from '../bus/message-batch.ts';
import { lacks } from '../bus/refusal-reasons.ts';
import { COSTS } from '../bus/settings.ts';
import { ToldNumbers } from '../message/codec/known-names.ts';
import { checkRecords } from '../message/codec/records.ts';
import { Errno } from '../message/errno.ts';
import { KBUS_FLAGS } from '../message/flags.ts';
import type { Channel, ChannelEvents } from '../transport/channel.ts';
import { MIN_PINNED_BYTES } from '../transport/stalled-writes.ts';
import { textOf, wordOf, wordsFrame } from '../wire/frame.ts';
import { FRAME_AT, FrameKind, ProtocolError, RECORDS_AT, SendDetail } from '../wire/protocol.ts';
import { Acknowledgements, MAX_PENDING_BYTES, MAX_PENDING_SENDS } from './acknowledgements.ts';
import { CallResults } from './call-results.ts';
import { type CallHost, type CallParts, Calls } from './calls.ts';
import { WAITING_CALL_BYTES } from './check-waiting.ts';
import type { Chunks } from './chunks.ts';
import { EndingError } from './ending-error.ts';
import { type Entrance, openEntrance } from './entrance.ts';
import { ExplanationBudget } from './explanation-budget.ts';
import { readHello, welcome } from './greeting.ts';
import type { History } from './history.ts';
import { Inbox, type InboxHost } from './inbox.ts';
import type { InboxReader } from './inbox-reader.ts';
import { Observation } from './observation.ts';
import { Outbox } from './outbox.ts';
import { MAX_BACKLOG_BYTES, Prefetcher } from './prefetcher.ts';
import { Reads } from './reads.ts';
import { ReportCalls } from './report-calls.ts';
import { LIGHT_STEPS, type Turns, Worker } from './turns.ts';
import { whyNoBus } from './why-no-bus.ts';

/** What all sessions of a daemon have in common. */
export interface SessionHost {
  readonly flushes: FlushScheduler;
  readonly turns: Turns;
  /** Null: all memory in which it receives is small. */
  readonly chunks: Chunks | null;
  readonly slab: Slab;
  /** Process id of the daemon. */
  readonly pid: number;
  /** Creates the next bus; resolves with its number once that can be opened, or with -errno. */
  newDevice(): Promise<number>;
  /** Logs that a client broke the protocol, or that a bus can't be created. */
  warn(text: string): void;
  /** The events that are kept of a bus; null: none are. */
  historyOf?(bus: Bus): History | null;
  /** The id of the user who owns a process; -1 if it can't be found out. */
  userOf?(pid: number): number;
  /** Default: the system's. */
  readonly timers?: Timers;
}

/** A frame of a client, and a write to its socket, cost about as much as so many deliveries. */
const FRAME_STEPS = 8;
const WRITE_STEPS = 32;

/** A client that is to be sent at most so many bytes gets them before others get more. */
const LITTLE_BYTES = 4096;

/** To check eight records that are SAME costs about as much as one delivery; to check another one, likewise. */
const SAME_RECORDS_PER_STEP_BITS = 3;

/** A client that sends so many bytes at once is answered before others get them. */
const ANSWERED_FIRST_BYTES = 16 * 1024;

/** While so much is kept for a client that does not read, missed messages are only counted. */
const MAX_HELD_FOR_MISSED = 128 * 1024;

/** Bytes of a frame beside the largest message: the frame's own words, and longer padding. */
const FRAME_SLACK_BYTES = 64;

/** The least that WELCOME announces as the longest frame: pieces of reports need it, however small messages are. */
const MIN_LONGEST_FRAME_BYTES = 128 * 1024;

/**
 * The daemon's side of one connection, which is one Ksock on one bus. It decodes the client's frames and passes each
 * to the part that handles it. It does no I/O of its own.
 */
export class Session
  extends Worker
  implements KsockOwner, ChannelEvents, Flushable, CallHost, InboxHost
{
  private readonly host: SessionHost;
  private readonly bus: Bus;
  private readonly channel: Channel;
  private readonly entrance: Entrance;
  private readonly outbox: Outbox;
  private readonly results: CallResults;
  private readonly explanationBudget: ExplanationBudget;
  private readonly inbox = new Inbox(this);
  /** Null until the client has sent HELLO, and if it observes. */
  private parts: CallParts | null = null;
  /** Null unless it observes. */
  private observation: Observation | null = null;
  private calls!: Calls;
  private isDirty = false;
  /** Counts itself to its access point, before HELLO; after that, its Ksock or its observation does. */
  private isCounted = true;
  private isEnded = false;
  private isPaused = false;
  /** Paused, because not all that it has received is handled. */
  private isHeldUp = false;
  /** The number of missed messages that are not reported to the client yet, and the name of the first. */
  private missedCount = 0;
  private missedName = '';
  private readonly sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };

  constructor(
    host: SessionHost,
    bus: Bus,
    channel: Channel,
    entrance: Entrance = openEntrance(bus),
  ) {
    super();
    this.host = host;
    this.bus = bus;
    this.channel = channel;
    this.entrance = entrance;
    entrance.share.hold(COSTS.connection);
    this.outbox = new Outbox(channel, host.slab);
    this.results = new CallResults(this.outbox);
    const isForPage = entrance.isForPages === true;
    this.explanationBudget = new ExplanationBudget(() => this.markDirty(), isForPage);
  }

  /** The client has not sent HELLO yet. */
  get isSilent(): boolean {
    return this.parts === null && this.observation === null && !this.isEnded;
  }

  // Events of the channel

  received(bytes: Uint8Array, from: number, to: number): number {
    if (this.isEnded) return 0;
    const { inbox } = this;
    const { turns } = this.host;
    const { work } = turns;
    const receive = (): void => inbox.receive(bytes, from, to);
    if (inbox.isBehind || (work.isTurnOver && !this.isLight)) {
      this.putOff(receive);
      return inbox.missing;
    }
    this.bus.work.tick();
    const before = work.done;
    // What was sent takes long to write to others: meanwhile, its sender can go on.
    if (this.parts !== null && to - from >= ANSWERED_FIRST_BYTES) this.markDirty();
    if (work.isTurnOver) work.spare(LIGHT_STEPS, () => this.guarded(receive));
    else this.guarded(receive);
    if (inbox.isBehind && !this.isEnded) turns.add(this);
    this.took(work.done - before);
    this.handled();
    return inbox.missing;
  }

  /**
   * Takes bytes for a later turn. The connection is paused if it asks for much, or more come before that: to read on would
   * take time and memory, and bring nothing.
   */
  private putOff(receive: () => void): void {
    const { inbox, host } = this;
    const isMore = inbox.isBehind;
    this.guarded(receive);
    if (this.isEnded) return;
    host.turns.add(this);
    if ((isMore || !this.isLight) && !this.isHeldUp) {
      this.isHeldUp = true;
      this.channel.pause();
    }
    this.holdMemory();
  }

  /** Handles frames; ends the connection if one breaks the protocol. */
  private guarded(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      if (error instanceof EndingError) {
        this.farewell(error.errno, error.message);
        return;
      }
      if (!(error instanceof ProtocolError)) throw error;
      const ksock = this.parts?.ksock;
      const who = ksock === undefined ? 'a connection without a Ksock' : whoIs(ksock);
      this.host.warn(`bus ${this.bus.number}, ${who}: ${error.message}`);
      this.farewell(Errno.EPROTO, error.message);
    }
  }

  // What the inbox asks

  handle(frame: InboxReader): void {
    this.host.turns.work.done += FRAME_STEPS;
    if (this.parts !== null) {
      this.frame(frame, this.parts);
      // It may not be able to read so much: then it is asked for nothing more.
      if (this.hasMuchToRead(this.outbox.unsentBytes)) this.flush();
    } else if (this.observation === null) this.hello(frame);
    else {
      this.mustBeWhole(frame);
      this.observation.frame(frame);
    }
  }

  get mustStop(): boolean {
    const { host, isEnded, isPaused, parts } = this;
    return isEnded || isPaused || host.turns.work.isTurnOver || parts?.sends.isPaced === true;
  }

  hasRoomFor(bytes: number): boolean {
    const { observation, parts } = this;
    this.holdMemory();
    return parts?.ksock.hasRoomFor(bytes) ?? observation?.hasRoomFor(bytes) ?? true;
  }

  mayTakeBriefly(bytes: number): boolean {
    return this.bus.memory.allowsBriefly(bytes);
  }

  // Turns

  goOn(): boolean {
    const { inbox, parts } = this;
    if (this.isEnded) return true;
    if (parts?.sends.isPaced) {
      parts.sends.goOn();
      this.calls.servePolls();
    }
    this.guarded(() => inbox.goOn());
    if (this.isEnded) return true;
    parts?.reports.serve();
    this.observation?.goOn();
    this.markDirty();
    if (parts?.sends.isPaced) return false;
    // If the client must read first, `drained` follows.
    if (inbox.isBehind) return this.isPaused;
    if (this.isHeldUp) {
      this.isHeldUp = false;
      if (!this.isPaused) this.channel.resume();
    }
    return true;
  }

  drained(): void {
    this.bus.work.tick();
    if (this.isPaused) {
      this.isPaused = false;
      if (this.inbox.isBehind && !this.isEnded) this.host.turns.add(this);
      if (!this.isHeldUp) this.channel.resume();
    }
    if (!this.isEnded) this.parts?.reports.serve();
    this.handled();
  }

  refersTo(memory: ArrayBufferLike): boolean {
    return this.inbox.refersTo(memory);
  }

  heldMore(): void {
    this.bus.work.tick();
    if (!this.isEnded) this.handled();
  }

  closed(): void {
    this.bus.work.tick();
    this.end();
    this.parts?.ksock.holdForDriver(0);
    this.observation?.letGo();
    this.bus.memory.tell();
    this.host.flushes.flush();
  }

  /** Sends FAREWELL with the reason, and ends the connection. */
  farewell(errno: number, why: string): void {
    if (this.isEnded) return;
    this.parts?.acknowledgements.flush();
    this.outbox.frame(wordsFrame(FrameKind.FAREWELL, 0, 0, 0, [errno], why));
    this.end();
  }

  leave(): void {
    this.parts?.acknowledgements.flush();
    this.end();
  }

  private end(): void {
    if (this.isEnded) return;
    this.stopCounting();
    this.write();
    this.isEnded = true;
    this.host.turns.remove(this);
    this.parts?.sends.close();
    this.parts?.ksock.close();
    this.observation?.stop();
    this.holdMemory();
    this.channel.end();
  }

  private stopCounting(): void {
    if (!this.isCounted) return;
    this.isCounted = false;
    this.entrance.share.hold(-COSTS.connection);
  }

  /** Counts what the connection keeps in memory to the Ksock, or to its access point (spec 1 §14.1). */
  private holdMemory(): void {
    const { channel, inbox, observation, parts } = this;
    const told = this.outbox.told?.size ?? 0;
    const bytes = channel.backlog + (channel.held ?? 0) + inbox.heldBytes + told;
    if (parts !== null) {
      const waiting = parts.reads.count + this.calls.waiting;
      parts.ksock.holdForDriver(bytes + waiting * WAITING_CALL_BYTES + parts.reports.held);
    }
    observation?.hold(bytes);
  }

  // Events of the bus

  queued(atFront: boolean): void {
    if (atFront) this.parts?.prefetcher.queuedUrgent();
    this.markDirty();
  }

  answered(token: number, batch: MessageBatch): void {
    this.parts?.acknowledgements.flush();
    this.outbox.answer(token, batch);
    this.markDirty();
  }

  roomMade(): void {
    this.parts?.sends.retry();
    this.calls.servePolls();
    this.markDirty();
  }

  roomForRequests(of: KsockState | null): void {
    this.parts?.sends.retryRequests(of);
    this.markDirty();
  }

  missed(batch: MessageBatch): void {
    if (this.missedCount === 0) this.missedName = batch.name;
    this.missedCount += batch.count;
    this.markDirty();
  }

  kicked(why: string): void {
    this.farewell(Errno.ECONNABORTED, why);
  }

  /** Reports missed messages: with a large backlog not until the client has read, and then in one frame. */
  private reportMissed(): void {
    const { backlog, held = 0 } = this.channel;
    const hasRoom = held <= MAX_HELD_FOR_MISSED && this.parts?.ksock.hasRoomFor(0);
    if (backlog > 0 && !(hasRoom && backlog <= MAX_BACKLOG_BYTES)) return;
    this.outbox.frame(wordsFrame(FrameKind.MISSED, 0, 0, 0, [this.missedCount], this.missedName));
    this.missedCount = 0;
  }

  // Flushing

  private markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.host.flushes.markDirty(this);
  }

  /** An event of this connection has been handled: flushes all connections that it gave something to send. */
  private handled(): void {
    this.bus.memory.tell();
    this.markDirty();
    this.host.flushes.flush();
  }

  get isSentLittle(): boolean {
    const { observation, outbox, parts } = this;
    if (observation !== null) return false;
    const mayRead = parts !== null && (parts.prefetcher.hasMore || parts.reads.count > 0);
    return outbox.unsentBytes + (mayRead ? parts.ksock.queue.weight : 0) <= LITTLE_BYTES;
  }

  flush(): void {
    this.isDirty = false;
    this.explanationBudget.renew();
    if (this.isEnded) return;
    const { parts } = this;
    if (parts !== null) {
      parts.reads.serve();
      parts.prefetcher.send();
      if (this.missedCount > 0) this.reportMissed();
      parts.acknowledgements.flushDue(parts.sends.pending);
    }
    this.observation?.send();
    if (this.write()) this.host.turns.work.done += WRITE_STEPS;
    if (this.observation?.isOver) {
      this.end();
      return;
    }
    if (parts?.reports.flushed()) this.markDirty();
    const isBacklogSmall = this.channel.backlog <= MAX_BACKLOG_BYTES;
    this.holdMemory();
    if (
      parts?.reports.isPutOff ||
      this.observation?.isPutOff ||
      (((parts?.prefetcher.hasMore && parts.prefetcher.mayWrite) || parts?.reads.hasMore) &&
        isBacklogSmall)
    ) {
      this.host.turns.add(this);
    }
    if (!this.isPaused && this.hasMuchToRead(0)) {
      this.isPaused = true;
      this.channel.pause();
    }
    if (this.isPaused) this.mustHoldLittle();
  }

  private write(): boolean {
    const { observation, outbox, parts } = this;
    if (outbox.unsentBytes === 0) return outbox.flush();
    const hasRoom = (parts?.ksock ?? observation)?.hasRoomFor(MIN_PINNED_BYTES) ?? true;
    return outbox.flush(!hasRoom);
  }

  /** What the client has sent must wait, because it does not read the answers. If there is no memory for that, its connection ends. */
  private mustHoldLittle(): void {
    const { bus, inbox } = this;
    if (inbox.heldBytes <= LEAST_BYTES || bus.memory.allowsBriefly(0)) return;
    inbox.drop();
    this.farewell(
      Errno.ENOMEM,
      `no memory is free for what the connection has sent, without reading the answers: ${bus.memory.says}`,
    );
  }

  /** So much waits for the client to read it, with `unsent` bytes, that it may ask for nothing more. */
  private hasMuchToRead(unsent: number): boolean {
    const bytes = this.channel.backlog + unsent;
    if (bytes <= LEAST_BYTES) return false;
    return bytes > MAX_BACKLOG_BYTES || this.parts?.ksock.hasRoomFor(unsent) === false;
  }

  // Frames of the client

  private hello(frame: InboxReader): void {
    const { bus, entrance, host } = this;
    const { asksWho, manages, mode, observes, pid, program, readsNumbers } = readHello(frame);
    if (asksWho) {
      this.outbox.frame(welcome(bus.number, 0, host.pid, 0));
      this.end();
      return;
    }
    this.stopCounting();
    // Others may have taken the room since the connection came in.
    const full = entrance.full === '' ? entrance.share.full : entrance.full;
    if (full !== '' && !manages) {
      this.farewell(Errno.ENOMEM, full);
      return;
    }
    const uid = pid === 0 ? -1 : (host.userOf?.(pid) ?? -1);
    const who = { program: programName(program), pid, uid, isClaimed: true };
    if (observes) {
      this.observe(who);
      return;
    }
    if (readsNumbers) this.outbox.told = new ToldNumbers();
    const { absoluteMaxMessageSize } = bus.settings;
    const longest = Math.max(absoluteMaxMessageSize + FRAME_SLACK_BYTES, MIN_LONGEST_FRAME_BYTES);
    this.inbox.reader.maxLength = longest;
    this.parts = this.open({
      mode,
      who,
      access: manages ? (entrance.access?.forManaging() ?? MANAGING) : entrance.access,
      readOnlyReplies: false,
      share: entrance.share,
    });
    this.calls = new Calls(this, this.parts);
    this.outbox.frame(welcome(bus.number, this.parts.ksock.id, host.pid, longest));
  }

  /** The client observes the bus: no Ksock is opened, so that looking changes nothing. */
  private observe(who: Identity): void {
    const { bus, channel, entrance, host, inbox, outbox } = this;
    if (entrance.access !== null && !entrance.access.has('observe')) {
      this.farewell(Errno.EACCES, lacks(entrance.access, 'observe'));
      return;
    }
    inbox.reader.maxLength = MIN_LONGEST_FRAME_BYTES;
    const changed = (): void => this.markDirty();
    this.observation = new Observation(host, bus, channel, outbox, entrance.share, who, changed);
    outbox.frame(welcome(bus.number, 0, host.pid, this.observation.longestFrame));
  }

  private open(options: OpenOptions): CallParts {
    const { results, bus, channel, explanationBudget, outbox } = this;
    const ksock = bus.open(this, options);
    const acknowledgements = new Acknowledgements(outbox, ksock, explanationBudget);
    const sends = new SendQueue(
      ksock,
      (batch, result) => {
        acknowledgements.done(batch, result);
        this.markDirty();
      },
      () => this.isEnded || this.host.turns.add(this),
      (batch) => acknowledgements.aside(batch),
    );
    const prefetcher = new Prefetcher(ksock, channel, outbox, acknowledgements);
    const reads = new Reads(ksock, channel, outbox, acknowledgements);
    const reports = new ReportCalls(ksock, bus, channel, results, this.entrance);
    return {
      ksock,
      sends,
      acknowledgements,
      prefetcher,
      reads,
      reports,
      results,
      explanationBudget,
    };
  }

  /** For frames without which the connection can't go on. */
  private mustBeWhole(frame: InboxReader): void {
    if (!frame.isSkipped) return;
    const why = `no memory is free for a frame of ${frame.length} bytes: ${this.bus.memory.says}`;
    throw new EndingError(Errno.ENOMEM, why);
  }

  private frame(frame: InboxReader, parts: CallParts): void {
    if (frame.bytes[frame.at + FRAME_AT.kind] !== FrameKind.SEND) {
      this.mustBeWhole(frame);
      frame.join();
    }
    const { bytes, at } = frame;
    const word = readU32(bytes, at + FRAME_AT.kind);
    const consumed = word & 0xffff;
    const detail = (word >>> 16) & 0xff;
    const token = readU32(bytes, at + FRAME_AT.token);
    if (consumed > 0) parts.prefetcher.consume(consumed);
    switch (word >>> 24) {
      case FrameKind.SEND:
        this.send(frame, parts.sends, detail, token);
        break;
      case FrameKind.TAKE:
        parts.prefetcher.mustBeRecalled();
        parts.reads.take(token, (detail & 1) !== 0);
        break;
      case FrameKind.CREDIT:
        parts.prefetcher.grant(wordOf(frame, 0));
        break;
      case FrameKind.URGENT_ACK:
        parts.prefetcher.acknowledge();
        break;
      case FrameKind.CALL:
        this.calls.call(detail, token, wordOf(frame, 0), textOf(frame, 1));
        break;
      default:
        throw new ProtocolError(`a client must not send a frame of kind ${word >>> 24}`);
    }
  }

  private send(frame: InboxReader, sends: SendQueue, detail: number, token: number): void {
    const count = wordOf(frame, 0);
    if (count !== 1) {
      // A refusal for each would need their names.
      this.mustBeWhole(frame);
      // Only the data of a single message may stay in pieces.
      frame.join();
    }
    const { bytes } = frame;
    const at = frame.at + RECORDS_AT;
    const length = frame.length - RECORDS_AT;
    const { sums } = this;
    if (count === 0 || count > MAX_PENDING_SENDS) {
      throw new ProtocolError(
        `a SEND has ${count} messages; it must have from 1 to ${MAX_PENDING_SENDS}`,
      );
    }
    if (token + count - 1 > 0xffff_ffff) {
      throw new ProtocolError(
        `a SEND has ${count} messages from token ${token} on, which goes past the last token`,
      );
    }
    const { names } = this.bus;
    const { told } = this.outbox;
    const untold: number[] = [];
    const wrong = checkRecords(bytes, at, length, count, KBUS_FLAGS, sums, names, told, untold);
    if (wrong !== '') throw new ProtocolError(wrong);
    if (untold.length > 0) this.outbox.tell(untold);
    this.host.turns.work.done += sums.heads + (count >> SAME_RECORDS_PER_STEP_BITS);
    const batch = MessageBatch.ofRecords(bytes, at, at + length, count, sums, frame.more);
    batch.markRoom();
    batch.memory = this.host.chunks?.of(bytes, frame.more) ?? null;
    batch.detail = detail;
    batch.token = token;
    batch.answersByToken = (detail & SendDetail.ANSWERED) !== 0;
    batch.waits = (detail & SendDetail.WAIT) !== 0;
    batch.awaitsRoom = (detail & SendDetail.ROOM) !== 0;
    const { largest } = sums;
    if (frame.isSkipped) {
      this.parts?.acknowledgements.done(batch, -Errno.ENOMEM);
      return;
    }
    sends.submit(batch);
    checkPending(sends, largest);
  }

  newDevice(token: number): void {
    this.host
      .newDevice()
      .then(
        (number) => {
          if (number >= 0) this.results.result(token, number);
          else {
            const why = this.explanationBudget.why('newDevice', -number, () => '');
            this.results.refused(token, number, why);
          }
        },
        (error: unknown) => {
          const { errno, why } = whyNoBus(error);
          this.host.warn(`can't create another bus: ${why}`);
          this.results.refused(token, -errno, why);
        },
      )
      .then(() => this.handled());
  }
}

/** Throws a ProtocolError if the pending sends exceed a limit. A single message may have more data than the limit. */
function checkPending({ counted, countedBytes }: SendQueue, largest: number): void {
  if (counted > MAX_PENDING_SENDS || (countedBytes > MAX_PENDING_BYTES && countedBytes > largest)) {
    throw new ProtocolError(
      `a connection may have at most ${MAX_PENDING_SENDS} pending sends with ${MAX_PENDING_BYTES} bytes of data`,
    );
  }
}

import type { Mode } from '../message/calls.ts';
import type { Bus } from './bus.ts';
import { Outstanding, type RequestRecord, Unreplied } from './ledger.ts';
import type { MessageBatch } from './message-batch.ts';
import { Queue } from './queue.ts';
import { whyNotBound, whyRefused } from './refusal-reasons.ts';
import type { Binding } from './routes.ts';

export type { Mode };

/**
 * Whoever drives a Ksock, and is told of what happens to it. `queued` and `answered` are called in the
 * middle of a call to the bus and must only take note; `roomMade` may call the bus.
 */
export interface KsockOwner {
  /** A message was put into the queue: at its front (it is urgent), or at its back. */
  queued(atFront: boolean): void;
  /**
   * The Reply or Status to the Request that was sent with this token. It is not in the queue. They may be several
   * Replies, to the Requests of this token and those behind it.
   */
  answered(token: number, batch: MessageBatch): void;
  /** A full queue that the waiting send ran into has room: `poll` or `resend` may succeed. */
  roomMade(): void;
  /** There is room in a queue that this Ksock awaits; or (null) another replies for some name now. It may call the bus. */
  roomForRequests?(of: BusKsock | null): void;
  /** It missed messages as a listener, for its queue was full. It must only take note. */
  missed?(batch: MessageBatch): void;
}

/** What an owner may tell of a Ksock for `stats`: how much of a message was read or written. */
export interface Progress {
  readonly readAt: number;
  readonly readLength: number;
  readonly wroteAt: number;
  readonly wrotePart: string;
  readonly wroteAll: boolean;
}

/**
 * One connection to a bus, as the bus knows it. Every call is done when it returns: 0 or more is its
 * result, and a negative number is an error number with its sign changed, as of a system call.
 */
export class BusKsock {
  readonly bus: Bus;
  /** From 1 upwards, never used again in the life of the bus. */
  readonly id: number;
  readonly mode: Mode;
  /** Process id, as the program says; 0 if it doesn't. */
  readonly pid: number;
  readonly owner: KsockOwner;
  private readonly maxBytes: number;
  progress: (() => Progress) | null = null;
  isOpen = true;

  /** @internal Unread messages; drivers look at it, and only the bus changes it. */
  readonly queue = new Queue();
  /** @internal */
  limit: number;
  /** @internal */
  onlyOnce = false;
  /** @internal Requests it sent, not answered yet. */
  readonly outstanding = new Outstanding();
  /** @internal Requests it read as Replier, not answered yet. */
  readonly unreplied = new Unreplied();
  /** @internal */
  maxUnreplied = 0;
  /** @internal Its bindings by name; the newest of several to the same name as listener. */
  readonly listening = new Map<string, Binding>();
  /** @internal */
  readonly replying = new Map<string, Binding>();
  /** @internal Id of the last message it sent. */
  lastNetwork = 0;
  /** @internal */
  lastSerial = 0;
  /** @internal Id of the last message queued to it, for "once only". */
  queuedNetwork = 0;
  /** @internal */
  queuedSerial = 0;
  /** @internal How many bindings it has. */
  bindings = 0;
  /** @internal The message that ALL_OR_WAIT keeps waiting. */
  sending: MessageBatch | null = null;
  /** @internal The record of the waiting message, if it is a Request. */
  waitingRequest: RequestRecord | null = null;
  /** @internal Whose full queue the waiting message ran into. */
  blockedOn: BusKsock | null = null;
  /** @internal Who waits for room in this queue, first come first. */
  readonly blocking = new Set<BusKsock>();
  /** @internal Who awaits room in this queue for Requests. */
  readonly askers = new Set<BusKsock>();
  /** @internal The queues that it awaits room in. */
  readonly awaiting = new Set<BusKsock>();
  /** @internal Which delivery has marked it: as one who misses it, or who is reached already. */
  delivery = 0;
  /** Messages it missed as a listener because its queue was full. */
  missed = 0;
  /** @internal Bind events in its queue that came past its limit. */
  held: Map<MessageBatch, number> | null = null;
  /** @internal It was told that bind events were lost. */
  toldOfLoss = false;
  /** Whether the message that `take` took last is a Request for its reader to answer. */
  tookRequest = false;

  /** @internal */
  constructor(bus: Bus, id: number, mode: Mode, pid: number, limit: number, owner: KsockOwner) {
    this.bus = bus;
    this.id = id;
    this.mode = mode;
    this.pid = pid;
    this.limit = limit;
    this.owner = owner;
    this.maxBytes = bus.settings.maxQueuedBytesPerKsock;
  }

  /** Places taken: unread messages, and one for each Reply that is still to come (section 5). */
  get occupied(): number {
    return this.queue.length + this.outstanding.size + (this.waitingRequest === null ? 0 : 1);
  }

  /** By the number of its messages, or by their bytes. */
  get isFull(): boolean {
    return this.occupied >= this.limit || this.queue.weight >= this.maxBytes;
  }

  /** Whether there is room for one more Request to it. */
  get mayBeAsked(): boolean {
    return !this.isFull && this.unreplied.size < this.bus.settings.maxUnansweredPerKsock;
  }

  /** Whether a message waits to be sent (ALL_OR_WAIT, after EAGAIN). */
  get isSending(): boolean {
    return this.sending !== null;
  }

  /** Unread messages. */
  get numMessages(): number {
    return this.queue.length;
  }

  /** Requests read, not answered yet. */
  get numUnrepliedTo(): number {
    return this.unreplied.size;
  }

  /**
   * Binds this Ksock to a name or wildcard (section 7). EADDRINUSE, EBADMSG, ENAMETOOLONG, EAGAIN.
   */
  bind(name: string, replier: boolean): number {
    return this.bus.bind(this, name, replier);
  }

  /** Undoes the newest bind with these very arguments. EINVAL, EBADMSG, ENAMETOOLONG, EAGAIN. */
  unbind(name: string, replier: boolean): number {
    return this.bus.unbind(this, name, replier);
  }

  /**
   * SendQueue messages: all of section 6; of a batch that has more than one, there must be so many as `sendable` says.
   * The Reply to a Request that `isAnswered` goes to `owner.answered`, with its ticket, instead of the queue. After
   * -EAGAIN the message waits, and `resend`, `poll` or `discard` go on with it.
   */
  send(batch: MessageBatch): number {
    return this.bus.send(this, batch);
  }

  /** How many of a batch's first messages can be sent at once: 1, and then that may be refused, or more. */
  sendable(batch: MessageBatch): number {
    return this.bus.sendable(this, batch);
  }

  /** Who would be given this Request now; null when nobody would, or it would be refused. */
  replierFor(request: MessageBatch): BusKsock | null {
    return this.bus.replierFor(request);
  }

  /** `owner.roomForRequests` is called when there is room in that queue, until `stopAwaiting`. */
  await(room: BusKsock): void {
    this.bus.awaitRoom(this, room);
  }

  stopAwaiting(room: BusKsock): void {
    this.bus.stopAwaiting(this, room);
  }

  /**
   * Why the bus has just refused a message of this Ksock: one sentence with the values that stood in the way, or ''.
   * It takes longer than the refusal did.
   */
  whyRefused(batch: MessageBatch, errno: number): string {
    return whyRefused(this.bus, this, batch, errno);
  }

  /** The same of a bind or unbind. */
  whyNotBound(name: string, errno: number): string {
    return whyNotBound(this.bus, this, name, errno);
  }

  /** SendQueue the waiting message again. ENOMSG when none waits. */
  resend(): number {
    return this.bus.resend(this);
  }

  /**
   * Whether a message may be written, trying again to send the one that waits; a Request that can
   * never be sent any more is answered by a Status. False for a read-only Ksock.
   */
  poll(): boolean {
    return this.bus.poll(this);
  }

  /**
   * Forgets a Request that was sent with this token (section 8): its place is free, and its Reply is refused.
   * Whether its Replier had not read it: then it is out of the Replier's queue, and nobody carries it out. One
   * that has ended is forgotten already: false.
   */
  forget(token: number): boolean {
    return this.bus.forget(this, token);
  }

  /** Throws away the message that waits to be sent, if any. */
  discard(): number {
    return this.bus.discard(this);
  }

  /**
   * PendingReads the next message out of the queue; null when there is none. See `tookRequest`. `at` passes
   * over that many: urgent messages that overtook the one a reader has already been shown.
   */
  take(at = 0): MessageBatch | null {
    return this.bus.take(this, at);
  }

  /** PendingReads `count` messages, which must be there, and is given none: its reader has them already. */
  takeMany(count: number, at = 0): void {
    this.bus.takeMany(this, count, at);
  }

  /** Id of the Ksock bound as Replier to exactly this name, or 0. ENAMETOOLONG. */
  findReplier(name: string): number {
    return this.bus.findReplier(name);
  }

  /** Sets how many messages the queue may hold, and returns it; 0 asks. */
  maxMessages(limit: number): number {
    return this.bus.maxMessages(this, limit);
  }

  /** How large the Reply of this Ksock to a Request may be; as any message, if it may not answer that. */
  maxReplySize(requester: number, network: number, serial: number): number {
    return this.bus.maxReplySize(this, requester, network, serial);
  }

  /** Sets (0, 1) or asks (0xFFFFFFFF) the once-only switch; returns what it was. EINVAL. */
  wantMessagesOnce(value: number): number {
    return this.bus.wantMessagesOnce(this, value);
  }

  /** The bus's switch for reports of Replier binds, likewise. EINVAL, EBUSY. */
  reportReplierBinds(value: number): number {
    return this.bus.reportReplierBinds(this, value);
  }

  /** Leaves the bus (section 8). */
  close(): void {
    this.bus.close(this);
  }
}

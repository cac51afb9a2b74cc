import type { Linked } from '../base/chain.ts';
import type { Table } from '../base/wide-map.ts';
import type { Mode } from '../message/calls.ts';
import type { Access } from './access.ts';
import type { Binding } from './binding-tree.ts';
import type { Identity } from './identity.ts';
import { LEAST_BYTES, type Share } from './memory.ts';
import type { MessageBatch } from './message-batch.ts';
import { Queue } from './queue.ts';
import { Outstanding, type RequestParty, type RequestRecord, Unreplied } from './requests.ts';
import { type BusSettings, COSTS } from './settings.ts';

/**
 * The driver of a Ksock. The bus calls it while it carries out somebody's call: `queued`, `answered` and `missed`
 * must only take note; `roomMade` and `roomForRequests` may call the bus.
 */
export interface KsockOwner {
  /** The bus has put a message into the queue: at its front (the message is urgent), or at its back. */
  queued(atFront: boolean): void;
  /**
   * The Reply or Status to the Request that was sent with this token; it did not go through the queue. A batch holds
   * the Replies to the Requests of this token and of those that follow it.
   */
  answered(token: number, batch: MessageBatch): void;
  /** The full queue that the waiting send ran into has room: `poll` or `resend` may succeed. */
  roomMade(): void;
  /** A queue that this Ksock awaits has room; or (null) a Replier has come or gone. */
  roomForRequests?(of: KsockState | null): void;
  /** The Ksock missed messages as a listener: its queue was full. */
  missed?(batch: MessageBatch): void;
  /** Another Ksock has ended this one, and `why` says who: the owner tells its program, and makes no further call. */
  kicked?(why: string): void;
}

/** How much of a message a program has read or written so far, for `stats`. Only a driver that gives bytes knows. */
export interface Progress {
  readonly readAt: number;
  readonly readLength: number;
  readonly wroteAt: number;
  readonly wrotePart: string;
  readonly wroteAll: boolean;
}

/** A binding, with the Ksock that made it. */
export type KsockBinding = Binding<KsockState>;

/** What a Ksock is opened with. */
export interface KsockTraits {
  readonly mode: Mode;
  readonly who: Identity;
  readonly access: Access | null;
  /** A read-only Ksock may bind as Replier (spec 1 §13.3). */
  readonly readOnlyReplies: boolean;
  /** How many messages its queue may hold. */
  readonly maxMessages: number;
  /** What the Ksocks of its access point hold together. */
  readonly share: Share;
}

/** What the bus knows of one Ksock: data only. What a driver may call is in {@link BusKsock}. */
export class KsockState implements Linked<KsockState> {
  /** From 1 upwards, never used again in the life of the bus. */
  readonly id: number;
  readonly mode: Mode;
  readonly who: Identity;
  /** What it may do; null: everything. */
  readonly access: Access | null;
  /** Whether it may bind as Replier: a read-only Ksock could never answer, and may do so only at a device (spec 1 §13.3). */
  readonly mayReply: boolean;
  readonly owner: KsockOwner;
  /** @internal What the Ksocks of its access point hold together. */
  readonly share: Share;
  private readonly maxBytes: number;
  private readonly maxUnanswered: number;
  /** Set by the driver. */
  progress: (() => Progress) | null = null;
  isOpen = true;
  // In the chain of all open Ksocks.
  /** @internal */
  newerOfAll: KsockState | null = null;
  /** @internal */
  olderOfAll: KsockState | null = null;
  /** @internal */
  stop: Linked<KsockState>['stop'] = null;

  /** @internal Unread messages. Drivers look at it; only the bus changes it. */
  readonly queue = new Queue();
  /** @internal How many messages the queue may hold. */
  limit: number;
  /** @internal */
  onlyOnce = false;
  /** @internal As Listener, it gets what it sends itself. */
  hearsOwn = true;
  /** @internal Requests that it sent and that are not answered yet. */
  readonly outstanding = new Outstanding();
  /** @internal Requests that it read as Replier and has not answered. */
  readonly unreplied = new Unreplied();
  /** @internal */
  maxUnreplied = 0;
  /** @internal Its bindings as listener by name; of several to one name, the newest. */
  listening: Table<string, KsockBinding> = new Map();
  /** @internal */
  replying: Table<string, KsockBinding> = new Map();
  /** @internal Id of the last message that it sent. */
  lastNetwork = 0;
  /** @internal */
  lastSerial = 0;
  /** @internal Id of the last message that the bus queued to it, for "once only". */
  queuedNetwork = 0;
  /** @internal */
  queuedSerial = 0;
  /** @internal How many bindings it has. */
  bindings = 0;
  /** @internal How many of them are wildcards. */
  wildcards = 0;
  /** @internal Its newest binding, which knows the older ones. */
  newestBinding: KsockBinding | null = null;
  /** @internal Bytes that it holds beside its queue and its Requests: itself, its bindings, and what its driver keeps. */
  private otherBytes = 0;
  private driverBytes = 0;
  /** @internal The message that ALL_OR_WAIT keeps waiting. */
  sending: MessageBatch | null = null;
  /** @internal The record of the waiting message, if that is a Request. */
  waitingRequest: RequestRecord | null = null;
  /** @internal Whose full queue the waiting message ran into. */
  blockedOn: KsockState | null = null;
  /** @internal Senders whose message waits for room in this queue, first come first. */
  readonly blocking = new Set<KsockState>();
  /** @internal Ksocks that await room in this queue for Requests. */
  readonly askers = new Set<KsockState>();
  /** @internal The queues that it awaits room in. */
  readonly awaiting = new Set<KsockState>();
  /** @internal The delivery that has marked it last: it misses that one, or has a copy already. */
  delivery = 0;
  /** Messages that it missed as a listener, because its queue was full. */
  missed = 0;
  /** Messages that it has sent, those refused not counted. */
  messagesSent = 0;
  /** Messages that it has read, with the answers that did not go through its queue. */
  messagesRead = 0;
  /** @internal Bind events in its queue that came past its limit, with how often each is there. */
  pastLimit: Map<MessageBatch, number> | null = null;
  /** @internal The bus has told it that bind events were lost. */
  toldOfLoss = false;
  /** Whether the message that `take` took last is a Request for its reader to answer. */
  tookRequest = false;

  /** @internal */
  constructor(
    id: number,
    owner: KsockOwner,
    settings: BusSettings,
    { mode, who, access, readOnlyReplies, maxMessages, share }: KsockTraits,
  ) {
    this.share = share;
    this.id = id;
    this.mode = mode;
    this.who = who;
    this.access = access;
    this.mayReply = mode !== 'r' || readOnlyReplies;
    this.limit = maxMessages;
    this.owner = owner;
    this.maxBytes = settings.maxQueuedBytesPerKsock;
    this.maxUnanswered = settings.maxUnansweredPerKsock;
  }

  /** Process id; 0 if it is unknown. */
  get pid(): number {
    return this.who.pid;
  }

  /** Places taken: unread messages, and one for each Reply that is still to come (spec 1 §5.1). */
  get occupied(): number {
    return this.queue.length + this.outstanding.size + (this.waitingRequest === null ? 0 : 1);
  }

  /** By the number of its messages, by their bytes, or because it holds as much memory as it may. */
  get isFull(): boolean {
    return !this.takes(0);
  }

  /** Whether its queue has fewer messages, and fewer bytes, than it may have. */
  get hasPlace(): boolean {
    return this.occupied < this.limit && this.queue.weight < this.maxBytes;
  }

  /** Whether the queue may get messages of this size in all, if so many bytes become free by it. */
  takes(size: number, freed = 0): boolean {
    if (!this.hasPlace) return false;
    // Room is kept for what is small, beside what a Ksock may hold.
    const bytes = size <= LEAST_BYTES ? 0 : size;
    return this.share.allows(this.held + bytes, bytes - freed);
  }

  /** All the bytes that it holds. A message that lies in several queues counts in each of them. */
  get held(): number {
    return this.queue.weight + this.outstanding.size * COSTS.request + this.otherBytes;
  }

  /** Whether it may hold so many more bytes. */
  hasRoomFor(bytes: number): boolean {
    return this.share.allows(this.held + bytes, bytes);
  }

  /** @internal What becomes free when the message that waits is sent. */
  get waitingBytes(): number {
    return this.sending?.waitingCost ?? 0;
  }

  /** @internal It keeps a message that waits to be sent. */
  keep(batch: MessageBatch): void {
    this.hold(batch.waitingCost);
    batch.isKept = true;
    batch.memory?.hold(batch);
  }

  /** @internal It keeps that no more. */
  release(batch: MessageBatch): void {
    this.hold(-batch.waitingCost);
    batch.isKept = false;
    batch.memory?.letGo(batch);
  }

  /** @internal It holds so many more bytes, or less, beside its queue and its Requests. */
  hold(bytes: number): void {
    this.otherBytes += bytes;
    this.share.hold(bytes);
  }

  /** @internal The bytes that its driver keeps for it now: sends that wait, and what is on its way through its socket. */
  holdForDriver(bytes: number): void {
    if (bytes === this.driverBytes) return;
    this.hold(bytes - this.driverBytes);
    this.driverBytes = bytes;
  }

  /** Whether it has as many Requests to answer as it may have. */
  get hasMuchToAnswer(): boolean {
    return this.unreplied.size >= this.maxUnanswered;
  }

  /** Whether there is room for Requests of this size to it, if so many bytes become free by it. */
  mayBeAsked(size: number, freed = 0): boolean {
    return !this.hasMuchToAnswer && this.takes(size, freed);
  }

  /** What is in its way are not other messages: memory lacks, which anybody may let go of. */
  get lacksMemory(): boolean {
    return this.hasPlace && !this.hasMuchToAnswer;
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
}

/** The Ksock that a record of a Request names: every party of a Request is a Ksock of the bus. */
export function ksockOf(party: RequestParty): KsockState {
  return party as KsockState;
}

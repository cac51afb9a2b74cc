import { brand } from '../base/other-copy.ts';
import { replierBindEventData } from '../message/bind-event.ts';
import { ASK } from '../message/calls.ts';
import { checkFlags } from '../message/codec/device.ts';
import { fieldsAt, flagsAt } from '../message/codec/records.ts';
import { Errno } from '../message/errno.ts';
import { Flag } from '../message/flags.ts';
import { REPLIER_BIND_EVENT } from '../message/message.ts';
import { checkBindingName, checkMessageName, MAX_NAME } from '../message/name.ts';
import type { Buses } from './buses.ts';
import { DebugLog } from './debug-log.ts';
import { BusKsock, type KsockOwner, type Mode } from './ksock.ts';
import { Ledger, RequestEvent, RequestRecord, RequestState } from './ledger.ts';
import { type MessageBatch, syntheticMessage } from './message-batch.ts';
import { type Attempt, type BusObserver, observers, type Setting } from './observer.ts';
import type { Queue } from './queue.ts';
import { Binding, Routes } from './routes.ts';
import { type BusSettings, COSTS, type Given, MIN_MESSAGE_SIZE, settingsOf } from './settings.ts';

export { ASK };

/** How many bind events may be in queues past their limits (the specification, section 9). */
const MAX_HELD_EVENTS = 1000;

const MAX_U32 = 0xffff_ffff;
const NO_LISTENERS: readonly Binding[] = [];
const UNBIND_EVENTS_LOST = '$.KBUS.UnbindEventsLost';

/** Flags that a user's message can't bring with it. */
const KBUS_SETS = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

export interface OpenOptions {
  mode?: Mode | undefined;
  /** The program's process id, as it says. */
  pid?: number | undefined;
  /** How many messages its queue may hold; by default, as the bus's settings say. */
  maxMessages?: number | undefined;
}

/** How a bus is made; what is not given, or undefined, is as in BUS_DEFAULTS. */
export interface BusOptions extends Given<BusSettings> {
  number?: number | undefined;
}

/**
 * One bus: a state machine without I/O, clock or chance (the specification, 1-model). Its calls are
 * made through the Ksocks that `open` gives. Each is done when it returns; drivers of sockets,
 * devices and programs in this process are all built on it.
 */
export class Bus {
  /** The number it is known by, from 0. */
  readonly number: number;
  readonly settings: BusSettings;
  /** The buses it belongs to, if any. */
  buses: Buses | null = null;
  /** The debug log, which is told while `verbose` is on. */
  onLog: ((text: string) => void) | null = null;

  /** @internal */
  readonly ksocks = new Map<number, BusKsock>();
  /** @internal */
  readonly routes = new Routes();
  /** @internal */
  nextKsockId = 1;
  /** @internal */
  nextSerial = 1;
  /** @internal Bind events in queues past their limits. */
  heldEvents = 0;

  private readonly ledger = new Ledger((record, status) => this.giveStatus(record, status));
  /** Bytes of the messages that queues hold, and what it costs to keep them. */
  private messageBytes = 0;
  private bindingCount = 0;
  private maxMessageSizeNow: number;
  private reporting = false;
  private verboseNow = false;
  private readonly watchers = new Set<BusObserver>();
  private readonly debugLog = new DebugLog((text) => this.onLog?.(text));
  /** All who watch; null, so that it costs nothing, while nobody does. */
  private observer: BusObserver | null = null;
  private nextOrder = 1;
  /** Ksocks whose message waits to be sent, first come first. */
  private readonly sendingKsocks = new Set<BusKsock>();
  /** Ksocks that have Requests waiting for room. */
  private readonly askingKsocks = new Set<BusKsock>();
  /** Ksocks that gained room during the call, whose waiting senders are still to be told. */
  private readonly gainedRoom = new Set<BusKsock>();
  private telling = false;
  /** Counts the deliveries that mark Ksocks while they are made. */
  private deliveries = 0;
  private readonly toldOfLoss = new Set<BusKsock>();

  constructor(options: BusOptions = {}) {
    const { number = 0, ...settings } = options;
    this.number = number;
    this.settings = settingsOf(settings);
    this.maxMessageSizeNow = this.settings.maxMessageSize;
  }

  /** @internal What counts against `maxQueuedBytes`. */
  get queuedBytes(): number {
    return this.messageBytes + this.ledger.open * COSTS.request;
  }

  open(owner: KsockOwner, options: OpenOptions = {}): BusKsock {
    const { mode = 'rw', pid = 0, maxMessages = this.settings.maxMessages } = options;
    const id = this.nextKsockId++;
    const ksock = new BusKsock(this, id, mode, pid, maxMessages, owner);
    this.ksocks.set(id, ksock);
    this.observer?.opened?.(ksock);
    return ksock;
  }

  /** Tells an observer what happens from now on, until the function that it gives is called. */
  watch(observer: BusObserver): () => void {
    this.watchers.add(observer);
    this.noteWatchers();
    return () => {
      this.watchers.delete(observer);
      this.noteWatchers();
    };
  }

  private noteWatchers(): void {
    this.observer = observers([...this.watchers]);
  }

  // Sending (section 6)

  /** @internal SendQueue all messages of a batch; of more than one, there must be so many as `sendable` says. */
  send(sender: BusKsock, batch: MessageBatch): number {
    if (sender.mode === 'r' || !sender.isOpen) return this.refuse(sender, batch, Errno.EBADF);
    if (sender.sending !== null) return this.refuse(sender, batch, Errno.EALREADY);
    const wrong = this.checkBatch(sender, batch);
    if (wrong !== 0) return this.refuse(sender, batch, wrong);
    if (!this.hasBytesFor(batch)) return this.refuse(sender, batch, Errno.ENOMEM);
    if (batch.isRequest && sender.isFull) return this.refuse(sender, batch, Errno.ENOLCK);
    const { count } = batch;
    batch.from = sender.id;
    batch.flags = (batch.flags & ~KBUS_SETS) >>> 0;
    if (batch.idNetwork === 0) batch.idSerial = this.takeSerials(count);
    sender.lastNetwork = batch.idNetwork;
    sender.lastSerial = batch.idSerial + count - 1;
    const requests = batch.isRequest ? requestsOf(batch, sender) : null;
    const result = this.deliver(sender, batch, requests, 'send');
    if (result === -Errno.EAGAIN) {
      sender.sending = batch;
      sender.waitingRequest = requests as RequestRecord | null;
      this.sendingKsocks.add(sender);
    }
    this.tellOfRoom();
    return result;
  }

  /**
   * What fills a bus must not keep Replies back, which make room: they may have as much again. A small one
   * takes the room of its Request, so that there can always be an answer.
   */
  private hasBytesFor(batch: MessageBatch): boolean {
    const { queuedBytes } = this;
    const { maxQueuedBytes } = this.settings;
    if (queuedBytes < maxQueuedBytes) return true;
    if (!batch.isReply) return false;
    return queuedBytes < 2 * maxQueuedBytes || batch.size <= COSTS.request;
  }

  /**
   * @internal How many of a batch's first messages go the same way, and have room, so that `send` takes them all at
   * once. 1 when the first must be looked at by itself, because of what it is, or because there is no room.
   */
  sendable(sender: BusKsock, batch: MessageBatch): number {
    const { count } = batch;
    if (count === 1 || sender.mode === 'r' || !sender.isOpen || sender.sending !== null) return 1;
    if (batch.idNetwork !== 0 || (batch.flags & Flag.URGENT) !== 0) return 1;
    if (this.checkBatch(sender, batch) !== 0 || this.nextSerial + count > MAX_U32) return 1;
    const bytes = bytesOf(batch) + (batch.isRequest ? count * COSTS.request : 0);
    if (this.queuedBytes + bytes > this.settings.maxQueuedBytes) return 1;
    const { replier, listeners } = this.routes.find(batch.name);
    if (batch.isReply) return listeners.length === 0 ? this.answerable(sender, batch) : 1;

    const delivery = ++this.deliveries;
    let places = count;
    if (batch.isRequest) {
      // Each takes a place of the sender's, who can't be among those who get them then.
      if (sender.isFull) return 1;
      sender.delivery = delivery;
      places = Math.min(places, sender.limit - sender.occupied);
      if (replier === null || (batch.to !== 0 && batch.to !== replier.ksock.id)) return 1;
      const mayAnswer = this.settings.maxUnansweredPerKsock - replier.ksock.unreplied.size;
      places = Math.min(places, mayAnswer, this.placesFor(bytes, replier.ksock, delivery));
    }
    const allOrNothing = (batch.flags & (Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL)) !== 0;
    for (let at = 0; at < listeners.length; at++) {
      const { ksock } = listeners[at] as Binding;
      // One that is full misses them all.
      if (!allOrNothing && ksock.isFull && ksock.delivery !== delivery) continue;
      places = Math.min(places, this.placesFor(bytes, ksock, delivery));
    }
    return places < 2 ? 1 : this.goingTo(batch, listeners, places);
  }

  /** How many messages a Ksock has room for, if this is its only copy of each; 0 if it isn't. */
  private placesFor(bytes: number, ksock: BusKsock, delivery: number): number {
    // Copies of one message for one Ksock come one after the other.
    if (ksock.delivery === delivery) return 0;
    ksock.delivery = delivery;
    if (ksock.queue.weight + bytes > this.settings.maxQueuedBytesPerKsock) return 0;
    return ksock.limit - ksock.occupied;
  }

  /** How many of the first `most` messages go to these listeners. Requests and Replies must be of one name too. */
  private goingTo(batch: MessageBatch, listeners: readonly Binding[], most: number): number {
    if (batch.span?.isRun) return most;
    const cursor = batch.cursor();
    const { bytes } = cursor;
    const isPlain = !batch.isRequest && fieldsAt(bytes, cursor.headAt) === 0;
    const flags = flagsAt(bytes, cursor.headAt);
    for (let count = 1; count < most; count++) {
      cursor.next();
      if (cursor.isSame) continue;
      const { headAt } = cursor;
      if (!isPlain || fieldsAt(bytes, headAt) !== 0 || flagsAt(bytes, headAt) !== flags) {
        return count;
      }
      if (this.routes.findIn(bytes, headAt)?.listeners !== listeners) return count;
    }
    return most;
  }

  /** How many of the first Replies are to one Ksock that gets them by tokens that rise by one. */
  private answerable(sender: BusKsock, batch: MessageBatch): number {
    const requester = this.ksocks.get(batch.to);
    // The room that each makes may be another's who waits for it.
    if (requester === undefined || requester.blocking.size > 0 || sender.blocking.size > 0)
      return 1;
    const { outstanding } = requester;
    const { replyNetwork, replySerial } = batch;
    const first = replyNetwork === 0 ? outstanding.find(0, replySerial, sender) : null;
    if (first === null || first.token < 0) return 1;
    const most = this.goingTo(batch, NO_LISTENERS, batch.count);
    let count = 1;
    while (count < most) {
      const record = outstanding.find(0, replySerial + count, sender);
      if (record?.token !== first.token + count) break;
      count++;
    }
    return count;
  }

  /** @internal */
  resend(sender: BusKsock): number {
    const batch = sender.sending;
    if (batch === null) return -Errno.ENOMSG;
    const result = this.deliver(sender, batch, sender.waitingRequest, 'resend');
    if (result === -Errno.EAGAIN) return result;
    const request = sender.waitingRequest;
    this.endSending(sender);
    if (request !== null && result < 0) this.ledger.apply(request, RequestEvent.GIVE_UP, 0);
    this.tellOfRoom();
    return result;
  }

  /** @internal */
  poll(sender: BusKsock): boolean {
    if (sender.mode === 'r' || !sender.isOpen) return false;
    if (sender.sending === null) return true;
    const request = sender.waitingRequest;
    const result = this.deliver(sender, sender.sending, request, 'poll');
    if (result === -Errno.EAGAIN) return false;
    this.endSending(sender);
    if (request !== null && result < 0) {
      const { NO_REPLIER, HOPELESS } = RequestEvent;
      const event = result === -Errno.EADDRNOTAVAIL ? NO_REPLIER : HOPELESS;
      this.ledger.apply(request, event, 0);
    }
    this.tellOfRoom();
    return true;
  }

  /** @internal */
  discard(sender: BusKsock): number {
    const { sending, waitingRequest } = sender;
    if (sending !== null) this.endSending(sender);
    if (waitingRequest !== null) this.ledger.apply(waitingRequest, RequestEvent.GIVE_UP, 0);
    this.observer?.discarded?.(sender, sending);
    this.tellOfRoom();
    return 0;
  }

  /**
   * @internal Giving up (section 8). Whether the Request was taken back: it was unread, and nobody will carry
   * it out.
   */
  forget(ksock: BusKsock, token: number): boolean {
    const record = ksock.outstanding.byToken(token);
    if (record === null) {
      this.observer?.forgotten?.(ksock, token, false);
      return false;
    }
    const replier = record.replier as BusKsock;
    const isTakenBack =
      record.state === RequestState.UNREAD && this.takeBack(replier.queue, record);
    this.ledger.apply(record, RequestEvent.GIVE_UP, 0);
    this.noteAnswered(record);
    this.observer?.forgotten?.(ksock, token, isTakenBack);
    if (isTakenBack) this.noteRoom(replier);
    this.noteRoom(ksock);
    // A Reply that waits for room can't be sent any more.
    if (replier.sending?.isReply === true && replier.sending.to === ksock.id)
      this.tellAll([replier]);
    this.tellOfRoom();
    return isTakenBack;
  }

  /**
   * Removes an unread Request from its Replier's queue; listeners keep their copies. False when a driver has
   * shown it to the Replier's program already, which may be at work on it.
   */
  private takeBack(queue: Queue, record: RequestRecord): boolean {
    const found = queue.findRequest(record);
    if (found === null) return false;
    const { entry, index } = found;
    const batch = queue.batch(entry);
    (queue.binding(entry) as Binding).queued--;
    const parts = queue.takeOut(entry, index);
    if (parts !== null) {
      for (const part of parts) this.hold(part);
      this.letGo(batch);
    }
    return true;
  }

  // Requests that wait for room (drivers keep them)

  /** @internal */
  replierFor({ name, to }: MessageBatch): BusKsock | null {
    if (this.routes.known(name) === undefined && checkMessageName(name) !== 0) return null;
    const ksock = this.routes.find(name).replier?.ksock ?? null;
    return ksock !== null && (to === 0 || to === ksock.id) ? ksock : null;
  }

  /** @internal */
  awaitRoom(asker: BusKsock, room: BusKsock): void {
    room.askers.add(asker);
    asker.awaiting.add(room);
    this.askingKsocks.add(asker);
  }

  /** @internal */
  stopAwaiting(asker: BusKsock, room: BusKsock): void {
    room.askers.delete(asker);
    asker.awaiting.delete(room);
    if (asker.awaiting.size === 0) this.askingKsocks.delete(asker);
  }

  /** The sender is not sending any more, and its place for a Reply, if it held one, is its own again. */
  private endSending(sender: BusKsock): void {
    sender.sending = null;
    sender.waitingRequest = null;
    this.sendingKsocks.delete(sender);
    this.block(sender, null);
    this.noteRoom(sender);
  }

  /** Notes whose full queue keeps a sender waiting. It keeps its turn while that stays the same. */
  private block(sender: BusKsock, on: BusKsock | null): void {
    if (sender.blockedOn === on) return;
    sender.blockedOn?.blocking.delete(sender);
    sender.blockedOn = on;
    on?.blocking.add(sender);
  }

  // Step 1, in the order in which the bytes of a message give their faults away (2-bytes).
  private checkBatch(sender: BusKsock, batch: MessageBatch): number {
    const { name } = batch;
    if (name.length === 0) return Errno.EINVAL;
    if (name.length > MAX_NAME) return Errno.ENAMETOOLONG;
    const wrongFlags = checkFlags(batch.flags, batch.isReply);
    if (wrongFlags !== 0) return wrongFlags;
    if (batch.largest > this.maxMessageSizeNow) {
      const { count, to, replyNetwork, replySerial } = batch;
      if (count > 1 || !batch.isReply) return Errno.EMSGSIZE;
      const most = this.maxReplySize(sender, to, replyNetwork, replySerial);
      if (batch.largest > most) return Errno.EMSGSIZE;
    }
    return this.routes.known(name) === undefined ? checkMessageName(name) : 0;
  }

  /** @internal A Reply may be as large as messages could be when its Request was accepted (section 13). */
  maxReplySize(sender: BusKsock, to: number, network: number, serial: number): number {
    const request = this.ksocks.get(to)?.outstanding.find(network, serial, sender);
    return Math.max(this.maxMessageSizeNow, request?.maxReplySize ?? 0);
  }

  /**
   * Steps 4 to 9: to everybody, or to nobody. Recipients are found anew at each try. Of several messages, all have
   * room.
   */
  private deliver(
    sender: BusKsock,
    batch: MessageBatch,
    requests: RequestRecord | RequestRecord[] | null,
    attempt: Attempt,
  ): number {
    const { replier, listeners } = this.routes.find(batch.name);
    const { flags } = batch;
    const orWait = (flags & Flag.ALL_OR_WAIT) !== 0;
    let answered: RequestRecord | null = null;

    if (requests !== null) {
      if (replier === null) return this.refuse(sender, batch, Errno.EADDRNOTAVAIL, attempt);
      if (batch.to !== 0 && batch.to !== replier.ksock.id) {
        return this.refuse(sender, batch, Errno.EPIPE, attempt);
      }
      const { ksock } = replier;
      if (ksock.isFull || ksock.unreplied.size >= this.settings.maxUnansweredPerKsock) {
        return this.refuseFull(sender, batch, ksock, orWait, attempt);
      }
    } else if (batch.isReply) {
      const requester = this.ksocks.get(batch.to);
      if (requester === undefined) return this.refuse(sender, batch, Errno.EADDRNOTAVAIL, attempt);
      answered = requester.outstanding.find(batch.replyNetwork, batch.replySerial, sender);
      if (answered === null) return this.refuse(sender, batch, Errno.ECONNREFUSED, attempt);
    }

    const allOrNothing = orWait || (flags & Flag.ALL_OR_FAIL) !== 0;
    // Who is full is asked of all before anything is queued: this delivery is then missed by them.
    let delivery = 0;
    for (let at = 0; at < listeners.length; at++) {
      const listener = (listeners[at] as Binding).ksock;
      if (!listener.isFull) continue;
      if (allOrNothing) return this.refuseFull(sender, batch, listener, orWait, attempt);
      if (delivery === 0) delivery = ++this.deliveries;
      listener.delivery = delivery;
    }

    if (requests !== null) this.accept(batch, requests, (replier as Binding).ksock);
    const first = requests !== null ? (replier as Binding) : null;
    const urgent = (flags & Flag.URGENT) !== 0;
    // The copy for the one who answers, or who asked, is read before a listener's copy: of what goes
    // to the front, that is the one put there last.
    const firstKsock = first !== null ? first.ksock : (answered?.requester ?? null);
    if (!urgent) this.giveFirst(batch, first, answered);
    for (let at = 0; at < listeners.length; at++) {
      const binding = listeners[at] as Binding;
      const listener = binding.ksock;
      if (delivery !== 0 && listener.delivery === delivery) {
        listener.missed += batch.count;
        this.observer?.missed?.(listener, batch);
        listener.owner.missed?.(batch);
        continue;
      }
      if (listener.onlyOnce && (listener === firstKsock || isLastQueued(listener, batch))) continue;
      this.enqueue(listener, batch, binding, urgent);
    }
    if (urgent) this.giveFirst(batch, first, answered);
    this.observer?.sent?.(sender, batch, attempt);
    return 0;
  }

  private accept(
    batch: MessageBatch,
    requests: RequestRecord | RequestRecord[],
    replier: BusKsock,
  ): void {
    batch.requests = requests;
    const { ledger, maxMessageSizeNow } = this;
    if (!Array.isArray(requests)) ledger.accept(requests, replier, maxMessageSizeNow);
    else for (const one of requests) ledger.accept(one, replier, maxMessageSizeNow);
  }

  private giveFirst(
    batch: MessageBatch,
    replier: Binding | null,
    answered: RequestRecord | null,
  ): void {
    if (replier !== null) {
      this.enqueue(replier.ksock, batch, replier, (batch.flags & Flag.URGENT) !== 0);
    } else if (answered !== null) {
      this.endRequest(answered);
      const { outstanding } = answered.requester;
      for (let at = 1; at < batch.count; at++) {
        const { replySerial, from } = batch;
        const next = outstanding.find(0, replySerial + at, this.ksocks.get(from) as BusKsock);
        this.endRequest(next as RequestRecord);
      }
      this.giveAnswer(answered, batch);
    }
  }

  private endRequest(record: RequestRecord): void {
    this.ledger.apply(record, RequestEvent.ANSWER, 0);
    this.noteAnswered(record);
  }

  /** Gives a Reply or Status to its requester, into the place that was held for it; or several, by token. */
  private giveAnswer(record: RequestRecord, batch: MessageBatch): void {
    const { requester, token } = record;
    if (token < 0) {
      this.observer?.answered?.(requester, batch, token);
      this.enqueue(requester, batch, null, (batch.flags & Flag.URGENT) !== 0);
      return;
    }
    requester.queuedNetwork = batch.idNetwork;
    requester.queuedSerial = batch.idSerial + batch.count - 1;
    batch.copies++;
    this.observer?.answered?.(requester, batch, token);
    requester.owner.answered(token, batch);
    this.noteRoom(requester);
  }

  private giveStatus(record: RequestRecord, status: MessageBatch): void {
    status.idSerial = this.takeSerials(1);
    this.giveAnswer(record, status);
  }

  private enqueue(
    ksock: BusKsock,
    batch: MessageBatch,
    binding: Binding | null,
    atFront: boolean,
  ): void {
    if (atFront) ksock.queue.pushFront(batch, binding);
    else ksock.queue.pushBack(batch, binding);
    if (binding !== null) binding.queued += batch.count;
    this.hold(batch);
    batch.copies++;
    ksock.queuedNetwork = batch.idNetwork;
    ksock.queuedSerial = batch.idSerial + batch.count - 1;
    this.observer?.queued?.(ksock, batch, binding, atFront);
    ksock.owner.queued(atFront);
  }

  /** An entry of a queue holds the batch. */
  private hold(batch: MessageBatch): void {
    if (batch.holders++ === 0) this.messageBytes += bytesOf(batch);
    this.messageBytes += COSTS.place;
  }

  /** An entry of a queue holds the batch no more. */
  private letGo(batch: MessageBatch): void {
    this.messageBytes -= COSTS.place;
    if (--batch.holders === 0) this.messageBytes -= bytesOf(batch);
  }

  private refuseFull(
    sender: BusKsock,
    batch: MessageBatch,
    full: BusKsock,
    orWait: boolean,
    attempt: Attempt,
  ): number {
    if (!orWait) return this.refuse(sender, batch, Errno.EBUSY, attempt);
    this.block(sender, full);
    this.observer?.waiting?.(sender, batch, attempt);
    return -Errno.EAGAIN;
  }

  private refuse(
    sender: BusKsock,
    batch: MessageBatch,
    errno: number,
    attempt: Attempt = 'send',
  ): number {
    this.observer?.refused?.(sender, batch, errno, attempt);
    return -errno;
  }

  /** The first of so many serial numbers, which follow each other. */
  private takeSerials(count: number): number {
    const serial = this.nextSerial;
    const next = serial + count;
    this.nextSerial = next > MAX_U32 ? 1 : next;
    return serial;
  }

  // Receiving (section 5)

  /** @internal */
  take(ksock: BusKsock, at: number): MessageBatch | null {
    if (ksock.queue.entries <= at) return null;
    const batch = this.read(ksock, at);
    this.noteRoom(ksock);
    if (this.gainedRoom.size > 0) this.tellOfRoom();
    return batch;
  }

  /** @internal */
  takeMany(ksock: BusKsock, count: number, at: number): void {
    const { queue } = ksock;
    for (let left = count; left > 0; ) {
      const batch = queue.batch(at);
      if (batch.count === 1) {
        this.read(ksock, at);
        left--;
      } else {
        const read = queue.readOf(at);
        const some = Math.min(left, batch.count - read);
        const binding = queue.binding(at);
        if (binding !== null) binding.queued -= some;
        if (queue.drop(at, some)) this.letGo(batch);
        const isAsked = binding?.replier === true;
        if (isAsked || this.observer !== null) {
          for (let index = read; index < read + some; index++) {
            if (isAsked) this.readRequest(ksock, batch, index);
            this.observer?.read?.(ksock, batch, index, isAsked, at);
          }
        }
        left -= some;
      }
    }
    this.noteRoom(ksock);
    if (this.gainedRoom.size > 0) this.tellOfRoom();
  }

  private read(ksock: BusKsock, at: number): MessageBatch {
    const { queue } = ksock;
    const entry = queue.batch(at);
    const index = queue.readOf(at);
    const batch = entry.count > 1 ? entry.one(index) : entry;
    const binding = queue.binding(at);
    if (queue.drop(at)) this.letGo(entry);
    ksock.tookRequest = false;
    if (binding !== null) {
      binding.queued--;
      if (binding.replier) {
        ksock.tookRequest = true;
        this.readRequest(ksock, batch, 0);
      }
    }
    if (ksock.held !== null) this.release(ksock, batch);
    this.observer?.read?.(ksock, entry, index, ksock.tookRequest, at);
    return batch;
  }

  /** A Replier has read the Request at `index` of a batch. */
  private readRequest(ksock: BusKsock, batch: MessageBatch, index: number): void {
    const request = batch.requestOf(index);
    if (request !== null) this.ledger.apply(request, RequestEvent.READ, 0);
    if (ksock.unreplied.size > ksock.maxUnreplied) ksock.maxUnreplied = ksock.unreplied.size;
  }

  private noteRoom(ksock: BusKsock): void {
    if (ksock.blocking.size > 0 || ksock.askers.size > 0) this.gainedRoom.add(ksock);
  }

  /** A Replier that had as many Requests to answer as it may has one less. */
  private noteAnswered({ replier }: RequestRecord): void {
    if (replier?.unreplied.size === this.settings.maxUnansweredPerKsock - 1) this.noteRoom(replier);
  }

  /**
   * Tells those whose message waits that there may be room, in the order in which they came, and as
   * long as there is. What they do may make more room.
   */
  private tellOfRoom(): void {
    if (this.telling || this.gainedRoom.size === 0) return;
    this.telling = true;
    for (const ksock of this.gainedRoom) {
      this.gainedRoom.delete(ksock);
      for (const sender of ksock.blocking) {
        if (ksock.isFull) break;
        sender.owner.roomMade();
      }
      this.tellAskers(ksock);
    }
    this.telling = false;
  }

  /** Tells those whose Requests await room in this queue, for as long as there is some. */
  private tellAskers(ksock: BusKsock): void {
    for (const asker of ksock.askers) {
      if (ksock.isFull) return;
      asker.owner.roomForRequests?.(ksock);
    }
  }

  /** Without a place gained, a send may go on for want of the very binding that it waited for. */
  private tellAll(senders: Iterable<BusKsock>): void {
    for (const sender of [...senders]) {
      if (sender.sending !== null) sender.owner.roomMade();
    }
  }

  /**
   * Tells those whose message may go to somebody else now, or to nobody ever, because this Ksock bound
   * or unbound as Replier, or left: whoever's queue they wait for, their wait may be over.
   */
  private tellConcerned(ksock: BusKsock, asReplier: boolean): void {
    if (asReplier) for (const asker of [...this.askingKsocks]) asker.owner.roomForRequests?.(null);
    if (this.sendingKsocks.size === 0) return;
    this.tellAll(
      [...this.sendingKsocks].filter(
        (sender) =>
          sender === ksock ||
          sender.blockedOn === ksock ||
          sender.sending?.to === ksock.id ||
          (asReplier && sender.waitingRequest !== null),
      ),
    );
  }

  // Binding (section 7)

  /** @internal */
  bind(ksock: BusKsock, name: string, replier: boolean): number {
    const result = this.tryBind(ksock, name, replier);
    if (result < 0) this.observer?.bindRefused?.(ksock, name, replier, true, -result);
    else if (replier) this.tellConcerned(ksock, true);
    return result;
  }

  private tryBind(ksock: BusKsock, name: string, replier: boolean): number {
    if (!ksock.isOpen) return -Errno.EBADF;
    const wrong = checkBindingName(name);
    if (wrong !== 0) return -wrong;
    if (replier) {
      if (name === REPLIER_BIND_EVENT) return -Errno.EBADMSG;
      if (this.routes.replierOf(name) !== null) return -Errno.EADDRINUSE;
    }
    if (this.bindingCount >= this.settings.maxBindings) return -Errno.ENOMEM;
    if (ksock.bindings >= this.settings.maxBindingsPerKsock) return -Errno.ENOLCK;
    if (replier && !this.reportBind(true, ksock, name)) return -Errno.EAGAIN;
    const binding = new Binding(ksock, name, replier, this.nextOrder++);
    if (replier) {
      ksock.replying.set(name, binding);
    } else {
      binding.older = ksock.listening.get(name) ?? null;
      ksock.listening.set(name, binding);
    }
    this.routes.add(binding);
    this.bindingCount++;
    ksock.bindings++;
    this.observer?.bound?.(binding);
    return 0;
  }

  /** @internal */
  unbind(ksock: BusKsock, name: string, replier: boolean): number {
    const result = this.tryUnbind(ksock, name, replier);
    if (result < 0) {
      this.observer?.bindRefused?.(ksock, name, replier, false, -result);
      return result;
    }
    if (replier) this.tellConcerned(ksock, true);
    else this.tellAll(ksock.blocking);
    this.tellAskers(ksock);
    this.tellOfRoom();
    return result;
  }

  private tryUnbind(ksock: BusKsock, name: string, replier: boolean): number {
    if (!ksock.isOpen) return -Errno.EBADF;
    const wrong = checkBindingName(name);
    if (wrong !== 0) return -wrong;
    const binding = (replier ? ksock.replying : ksock.listening).get(name);
    if (binding === undefined) return -Errno.EINVAL;
    if (replier && !this.reportBind(false, ksock, name)) return -Errno.EAGAIN;
    this.removeBinding(binding);
    if (binding.queued > 0) {
      const requests: RequestRecord[] = [];
      ksock.queue.remove(binding, (batch, read) => {
        if (replier) requests.push(...unreadRequests(batch, read));
        if (ksock.held !== null) this.release(ksock, batch);
        this.letGo(batch);
      });
      binding.queued = 0;
      for (const request of requests) this.ledger.apply(request, RequestEvent.UNBIND, ksock.id);
    }
    this.observer?.unbound?.(binding);
    return 0;
  }

  private removeBinding(binding: Binding): void {
    const { ksock, name, older } = binding;
    if (binding.replier) ksock.replying.delete(name);
    else if (older === null) ksock.listening.delete(name);
    else ksock.listening.set(name, older);
    this.routes.remove(binding);
    this.bindingCount--;
    ksock.bindings--;
  }

  /** @internal */
  findReplier(name: string): number {
    if (name.length === 0 || name.length > MAX_NAME) return -Errno.ENAMETOOLONG;
    return this.routes.replierOf(name)?.ksock.id ?? 0;
  }

  // Going away (section 8)

  /** @internal */
  close(ksock: BusKsock): void {
    if (!ksock.isOpen) return;
    ksock.isOpen = false;
    this.ksocks.delete(ksock.id);
    for (const room of ksock.awaiting) this.stopAwaiting(ksock, room);
    const waiting = ksock.waitingRequest;
    if (ksock.sending !== null) this.endSending(ksock);
    if (waiting !== null) this.ledger.apply(waiting, RequestEvent.REQUESTER_GONE, 0);
    for (const record of ksock.outstanding.all()) {
      this.ledger.apply(record, RequestEvent.REQUESTER_GONE, 0);
      this.noteAnswered(record);
    }

    const { queue } = ksock;
    for (let at = 0; at < queue.entries; at++) {
      if (!queue.binding(at)?.replier) continue;
      for (const request of unreadRequests(queue.batch(at), queue.readOf(at))) {
        this.ledger.apply(request, RequestEvent.REPLIER_GONE, ksock.id);
      }
    }
    if (ksock.held !== null) {
      for (let at = 0; at < queue.entries; at++) this.release(ksock, queue.batch(at));
    }
    for (let at = 0; at < queue.entries; at++) this.letGo(queue.batch(at));
    queue.clear();

    const wasReplier = ksock.replying.size > 0;
    const bindings = [...ksock.replying.values()];
    for (let binding of ksock.listening.values()) {
      bindings.push(binding);
      while (binding.older !== null) {
        binding = binding.older;
        bindings.push(binding);
      }
    }
    bindings.sort((a, b) => b.order - a.order);
    for (const binding of bindings) {
      if (binding.replier) this.reportLoss(ksock, binding.name);
      this.routes.remove(binding);
    }
    this.bindingCount -= bindings.length;
    ksock.bindings = 0;
    ksock.replying.clear();
    ksock.listening.clear();
    for (const record of ksock.unreplied.newestFirst()) {
      this.ledger.apply(record, RequestEvent.REPLIER_GONE, ksock.id);
    }

    this.toldOfLoss.delete(ksock);
    this.observer?.closed?.(ksock);
    if (this.ksocks.size === 0) this.checkNothingLeft();
    this.tellConcerned(ksock, wasReplier);
    this.tellOfRoom();
  }

  /** A bug, and not an outcome, if it throws: something outlived those it belonged to. */
  private checkNothingLeft(): void {
    const left = {
      requests: this.ledger.open,
      events: this.heldEvents,
      sends: this.sendingKsocks.size,
      bytes: this.queuedBytes,
      bindings: this.bindingCount,
    };
    if (
      left.bytes !== 0 ||
      left.bindings !== 0 ||
      left.requests !== 0 ||
      left.events !== 0 ||
      left.sends !== 0
    ) {
      throw new Error(`bus ${this.number} has no Ksock, but holds ${JSON.stringify(left)}`);
    }
  }

  // Reports of Replier binds (section 9)

  private bindEvent(isBind: boolean, binder: BusKsock, name: string): MessageBatch {
    const event = syntheticMessage(
      REPLIER_BIND_EVENT,
      Flag.ALL_OR_FAIL,
      replierBindEventData({ isBind, binder: binder.id, name }),
    );
    event.idSerial = this.takeSerials(1);
    return event;
  }

  /** Tells the listeners what is about to happen; false when one has a full queue, and nothing is done. */
  private reportBind(isBind: boolean, binder: BusKsock, name: string): boolean {
    if (!this.reporting) return true;
    const event = this.bindEvent(isBind, binder, name);
    const { listeners } = this.routes.find(REPLIER_BIND_EVENT);
    if (listeners.some(({ ksock }) => ksock.isFull)) return false;
    for (const listener of listeners) {
      this.enqueueOnce(listener, event);
    }
    return true;
  }

  /** A Replier that goes away can't be refused: its events pass the limits of queues, up to a number. */
  private reportLoss(binder: BusKsock, name: string): void {
    if (!this.reporting) return;
    const event = this.bindEvent(false, binder, name);
    const listeners = this.routes
      .find(REPLIER_BIND_EVENT)
      .listeners.filter(({ ksock }) => ksock.isOpen);
    const full = listeners.map(({ ksock }) => ksock.isFull);
    let lost: MessageBatch | null = null;
    for (const [at, listener] of listeners.entries()) {
      const { ksock } = listener;
      if (!full[at]) {
        this.enqueueOnce(listener, event);
      } else if (!ksock.toldOfLoss && this.heldEvents < MAX_HELD_EVENTS) {
        if (this.enqueueOnce(listener, event)) this.holdEvent(ksock, event);
      } else {
        ksock.missed++;
        this.observer?.missed?.(ksock, event);
        ksock.owner.missed?.(event);
        if (ksock.toldOfLoss) continue;
        if (lost === null) {
          lost = syntheticMessage(UNBIND_EVENTS_LOST);
          lost.idSerial = this.takeSerials(1);
        }
        ksock.toldOfLoss = true;
        this.toldOfLoss.add(ksock);
        this.enqueue(ksock, lost, listener, false);
      }
    }
  }

  private enqueueOnce(listener: Binding, batch: MessageBatch): boolean {
    if (listener.ksock.onlyOnce && isLastQueued(listener.ksock, batch)) return false;
    this.enqueue(listener.ksock, batch, listener, false);
    return true;
  }

  private holdEvent(ksock: BusKsock, event: MessageBatch): void {
    ksock.held ??= new Map();
    ksock.held.set(event, (ksock.held.get(event) ?? 0) + 1);
    this.heldEvents++;
  }

  private release(ksock: BusKsock, event: MessageBatch): void {
    const count = ksock.held?.get(event);
    if (ksock.held === null || count === undefined) return;
    if (count > 1) ksock.held.set(event, count - 1);
    else ksock.held.delete(event);
    if (ksock.held.size === 0) ksock.held = null;
    if (--this.heldEvents > 0) return;
    for (const told of this.toldOfLoss) told.toldOfLoss = false;
    this.toldOfLoss.clear();
  }

  // Settings (section 10)

  /** Tells of a setting, and gives its result. */
  private noteSet(ksock: BusKsock | null, setting: Setting, value: number, result: number): number {
    this.observer?.set?.(ksock, setting, value, result);
    return result;
  }

  /** @internal */
  maxMessages(ksock: BusKsock, limit: number): number {
    if (limit !== 0) {
      ksock.limit = limit;
      this.noteRoom(ksock);
    }
    this.noteSet(ksock, 'maxMessages', limit, ksock.limit);
    this.tellOfRoom();
    return ksock.limit;
  }

  /** @internal */
  wantMessagesOnce(ksock: BusKsock, value: number): number {
    const previous = Number(ksock.onlyOnce);
    if (isSwitch(value)) ksock.onlyOnce = value === 1;
    return this.noteSet(ksock, 'wantMessagesOnce', value, switched(value, previous));
  }

  /** @internal */
  reportReplierBinds(ksock: BusKsock, value: number): number {
    if (!ksock.isOpen) return -Errno.EBADF;
    const previous = Number(this.reporting);
    if (isSwitch(value)) this.reporting = value === 1;
    const isReported = value !== 1 || this.reportAll(ksock);
    const result = isReported ? switched(value, previous) : -Errno.EBUSY;
    return this.noteSet(ksock, 'reportReplierBinds', value, result);
  }

  /** Tells a Ksock of all Replier bindings that there are; false when its queue has no room for them all. */
  private reportAll(ksock: BusKsock): boolean {
    for (const { ksock: binder, name, replier } of this.routes) {
      if (!replier) continue;
      const event = this.bindEvent(true, binder, name);
      if (ksock.isFull) return false;
      this.enqueue(ksock, event, null, false);
    }
    return true;
  }

  /** Sets (0, 1) or asks (0xFFFFFFFF) whether the debug log is on; returns what it was. EINVAL. */
  verbose(value: number): number {
    const previous = Number(this.verboseNow);
    if (isSwitch(value)) {
      this.verboseNow = value === 1;
      if (value === 1) this.watchers.add(this.debugLog);
      else this.watchers.delete(this.debugLog);
      this.noteWatchers();
    }
    return this.noteSet(null, 'verbose', value, switched(value, previous));
  }

  /**
   * Sets the size in bytes of the largest message that may be sent, as 2-bytes lays it out, and
   * returns it; 0 asks, and 1 asks for the largest value that may be set. EINVAL.
   */
  maxMessageSize(size: number): number {
    const most = this.settings.absoluteMaxMessageSize;
    if (size === 1) return most;
    if (size !== 0) {
      if (size < MIN_MESSAGE_SIZE || size > most) return -Errno.EINVAL;
      this.maxMessageSizeNow = size;
    }
    return this.noteSet(null, 'maxMessageSize', size, this.maxMessageSizeNow);
  }
}

brand(Bus, 'Bus');

/** What a batch counts, however many queues it is in. */
function bytesOf(batch: MessageBatch): number {
  return batch.size + COSTS.message;
}

/** The records of a batch's Requests, which are to be accepted. */
function requestsOf(batch: MessageBatch, sender: BusKsock): RequestRecord | RequestRecord[] {
  const { count, idNetwork, idSerial, token } = batch;
  if (count === 1) return new RequestRecord(idNetwork, idSerial, sender, token);
  const requests: RequestRecord[] = [];
  for (let at = 0; at < count; at++) {
    requests.push(new RequestRecord(0, idSerial + at, sender, token < 0 ? -1 : token + at));
  }
  return requests;
}

/** The records of a batch's Requests, but for the first `read` of them. */
function unreadRequests({ requests }: MessageBatch, read: number): RequestRecord[] {
  if (Array.isArray(requests)) return requests.slice(read);
  return requests === null ? [] : [requests];
}

function isLastQueued(ksock: BusKsock, batch: MessageBatch): boolean {
  return ksock.queuedNetwork === batch.idNetwork && ksock.queuedSerial === batch.idSerial;
}

function isSwitch(value: number): boolean {
  return value === 0 || value === 1;
}

/** What a call of a switch gives: what it was, or EINVAL. */
function switched(value: number, previous: number): number {
  return isSwitch(value) || value === ASK ? previous : -Errno.EINVAL;
}

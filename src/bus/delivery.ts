import type { Attempt } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { Flag, KBUS_FLAGS } from '../message/flags.ts';
import type { Admission } from './admission.ts';
import type { BusState } from './bus-state.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import { RequestEvent } from './ledger.ts';
import type { MessageBatch } from './message-batch.ts';
import { isLastQueued, type Queueing } from './queueing.ts';
import { RequestRecord } from './requests.ts';
import type { RoomWaits } from './room-waits.ts';
import { SMALL_REPLY_BYTES } from './settings.ts';

/** To note a Request until it is answered costs about as much as so many copies for listeners. */
const REQUEST_STEPS = 6;

/** Delivers messages (spec 1 §6): new sends, and new attempts of sends that wait. A batch of several is delivered as one. */
export class Delivery {
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly queueing: Queueing;
  private readonly admission: Admission;

  constructor(state: BusState, room: RoomWaits, queueing: Queueing, admission: Admission) {
    this.state = state;
    this.room = room;
    this.queueing = queueing;
    this.admission = admission;
  }

  /** Sends all messages of a batch; of more than one, there must be as many as `Sendable` allows. */
  send(sender: KsockState, batch: MessageBatch): number {
    if (sender.mode === 'r' || !sender.isOpen) return this.refuse(sender, batch, Errno.EBADF);
    if (sender.sending !== null) return this.refuse(sender, batch, Errno.EALREADY);
    const wrong = this.admission.check(sender, batch);
    if (wrong !== 0) return this.refuse(sender, batch, wrong);
    if (!this.admission.hasBytesFor(batch)) return this.refuse(sender, batch, Errno.ENOMEM);
    if (batch.isRequest && (sender.isFull || hasSameId(sender, batch))) {
      return this.refuse(sender, batch, Errno.ENOLCK);
    }
    const { count } = batch;
    batch.from = sender.id;
    batch.flags = (batch.flags & ~KBUS_FLAGS) >>> 0;
    if (batch.idNetwork === 0) batch.idSerial = this.state.takeSerials(count);
    sender.lastNetwork = batch.idNetwork;
    sender.lastSerial = batch.idSerial + count - 1;
    const requests = batch.isRequest ? requestsOf(batch, sender) : null;
    const result = this.deliver(sender, batch, requests, 'send');
    if (result === -Errno.EAGAIN) {
      this.room.beginSending(sender, batch, requests as RequestRecord | null);
    }
    this.room.tellOfRoom();
    return result;
  }

  /** Sends the waiting message again. ENOMSG when none waits. */
  resend(sender: KsockState): number {
    const batch = sender.sending;
    if (batch === null) return -Errno.ENOMSG;
    const result = this.deliver(sender, batch, sender.waitingRequest, 'resend');
    if (result !== -Errno.EAGAIN) this.endWait(sender, result < 0, RequestEvent.GIVE_UP);
    return result;
  }

  /**
   * Whether the sender may write a message, after another try to send the one that waits. A Request that can never be
   * sent any more ends with a Status.
   */
  poll(sender: KsockState): boolean {
    if (sender.mode === 'r' || !sender.isOpen) return false;
    if (sender.sending === null) return true;
    const result = this.deliver(sender, sender.sending, sender.waitingRequest, 'poll');
    if (result === -Errno.EAGAIN) return false;
    const { NO_REPLIER, HOPELESS } = RequestEvent;
    this.endWait(sender, result < 0, result === -Errno.EADDRNOTAVAIL ? NO_REPLIER : HOPELESS);
    return true;
  }

  /** Throws away the message that waits, if any. */
  discard(sender: KsockState): number {
    const { sending, waitingRequest } = sender;
    if (sending !== null) this.room.endSending(sender);
    if (waitingRequest !== null)
      this.queueing.ledger.apply(waitingRequest, RequestEvent.GIVE_UP, 0);
    this.state.observer?.discarded?.(sender, sending);
    this.room.tellOfRoom();
    return 0;
  }

  /** The message that waited was sent, or refused: `event` is what that is for a Request. */
  private endWait(sender: KsockState, isRefused: boolean, event: RequestEvent): void {
    const request = sender.waitingRequest;
    this.room.endSending(sender);
    if (request !== null && isRefused) this.queueing.ledger.apply(request, event, 0);
    this.room.tellOfRoom();
  }

  /**
   * spec 1 §6.4 to spec 1 §6.9: all recipients get the batch, or none. Each attempt looks up the recipients again. For a
   * batch of several messages, `Sendable` has checked that there is room for all.
   */
  private deliver(
    sender: KsockState,
    batch: MessageBatch,
    requests: RequestRecord | RequestRecord[] | null,
    attempt: Attempt,
  ): number {
    const { observer } = this.state;
    const { replier, listeners } = this.state.routes.find(batch.name);
    if (listeners.length > 1) this.state.work.done += listeners.length;
    const { flags } = batch;
    const orWait = (flags & Flag.ALL_OR_WAIT) !== 0;
    let answered: RequestRecord | null = null;
    const { size } = batch;
    const freed = sender.waitingBytes;

    if (requests !== null) {
      if (replier === null) return this.refuse(sender, batch, Errno.EADDRNOTAVAIL, attempt);
      if (batch.to !== 0 && batch.to !== replier.ksock.id) {
        return this.refuse(sender, batch, Errno.EPIPE, attempt);
      }
      const { ksock } = replier;
      if (!ksock.mayBeAsked(size, freed)) {
        return this.refuseFull(sender, batch, ksock, orWait, attempt);
      }
    } else if (batch.isReply) {
      const requester = this.state.ksocks.get(batch.to);
      if (requester === undefined) return this.refuse(sender, batch, Errno.EADDRNOTAVAIL, attempt);
      answered = requester.outstanding.find(batch.replyNetwork, batch.replySerial, sender);
      if (answered === null) return this.refuse(sender, batch, Errno.ECONNREFUSED, attempt);
      if (batch.largest > SMALL_REPLY_BYTES && !this.admission.mayAnswer(requester, size)) {
        return this.refuse(sender, batch, Errno.ENOMEM, attempt);
      }
    }

    const allOrNothing = orWait || (flags & Flag.ALL_OR_FAIL) !== 0;
    const deaf = sender.hearsOwn ? null : sender;
    // All are asked before anything is queued: a listener that is full now misses this delivery.
    let delivery = 0;
    for (let at = 0; at < listeners.length; at++) {
      const listener = (listeners[at] as KsockBinding).ksock;
      if (listener === deaf || listener.takes(size, freed)) continue;
      if (allOrNothing) return this.refuseFull(sender, batch, listener, orWait, attempt);
      if (delivery === 0) delivery = this.state.newDelivery();
      listener.delivery = delivery;
    }

    if (requests !== null) this.accept(batch, requests, (replier as KsockBinding).ksock);
    const first = requests !== null ? (replier as KsockBinding) : null;
    const urgent = (flags & Flag.URGENT) !== 0;
    // The Replier, or the requester, reads its copy before a listener's copy: of what goes to the front of a queue,
    // that is the one put there last.
    const firstKsock = first !== null ? first.ksock : (answered?.requester ?? null);
    if (!urgent) this.giveToParty(batch, first, answered);
    for (let at = 0; at < listeners.length; at++) {
      const binding = listeners[at] as KsockBinding;
      const listener = binding.ksock;
      if (listener === deaf) continue;
      if (delivery !== 0 && listener.delivery === delivery) {
        listener.missed += batch.count;
        observer?.missed?.(listener, batch);
        listener.owner.missed?.(batch);
        continue;
      }
      if (listener.onlyOnce && (listener === firstKsock || isLastQueued(listener, batch))) continue;
      this.queueing.enqueue(listener, batch, binding, urgent);
    }
    if (urgent) this.giveToParty(batch, first, answered);
    sender.messagesSent += batch.count;
    observer?.sent?.(sender, batch, attempt);
    return 0;
  }

  private accept(
    batch: MessageBatch,
    requests: RequestRecord | RequestRecord[],
    replier: KsockState,
  ): void {
    batch.requests = requests;
    this.state.work.done += REQUEST_STEPS * batch.count;
    const { ledger } = this.queueing;
    const largest = Math.max(this.state.largestMessage, SMALL_REPLY_BYTES);
    if (!Array.isArray(requests)) ledger.accept(requests, replier, largest);
    else for (const one of requests) ledger.accept(one, replier, largest);
  }

  /** Gives a Request to its Replier, or a Reply to its requester: before the listeners, except that an urgent one is pushed to the front after theirs. */
  private giveToParty(
    batch: MessageBatch,
    replier: KsockBinding | null,
    answered: RequestRecord | null,
  ): void {
    if (replier !== null) {
      const atFront = (batch.flags & Flag.URGENT) !== 0;
      this.queueing.enqueue(replier.ksock, batch, replier, atFront);
    } else if (answered !== null) {
      this.endRequest(answered);
      const { outstanding } = answered.requester;
      for (let at = 1; at < batch.count; at++) {
        const { replySerial, from } = batch;
        const next = outstanding.find(
          0,
          replySerial + at,
          this.state.ksocks.get(from) as KsockState,
        );
        this.endRequest(next as RequestRecord);
      }
      this.queueing.giveAnswer(answered, batch);
    }
  }

  private endRequest(record: RequestRecord): void {
    this.queueing.ledger.apply(record, RequestEvent.ANSWER, 0);
    this.room.noteAnswered(record);
  }

  private refuseFull(
    sender: KsockState,
    batch: MessageBatch,
    full: KsockState,
    orWait: boolean,
    attempt: Attempt,
  ): number {
    if (!orWait) return this.refuse(sender, batch, Errno.EBUSY, attempt);
    if (attempt === 'send' && !sender.hasRoomFor(batch.cost)) {
      return this.refuse(sender, batch, Errno.ENOMEM, attempt);
    }
    this.room.block(sender, full);
    this.room.noteLack(sender, full.lacksMemory);
    this.state.observer?.waiting?.(sender, batch, attempt);
    return -Errno.EAGAIN;
  }

  private refuse(
    sender: KsockState,
    batch: MessageBatch,
    errno: number,
    attempt: Attempt = 'send',
  ): number {
    this.state.observer?.refused?.(sender, batch, errno, attempt);
    return -errno;
  }
}

/** Whether so many Requests with this id, which is a Limpet's, are unanswered that there can't be another (spec 1 §14.4). */
function hasSameId({ outstanding }: KsockState, { idNetwork, idSerial }: MessageBatch): boolean {
  return idNetwork !== 0 && outstanding.hasSameId(idNetwork, idSerial);
}

/** The records of a batch's Requests, which are to be accepted. */
function requestsOf(batch: MessageBatch, sender: KsockState): RequestRecord | RequestRecord[] {
  const { answerToken, count, idNetwork, idSerial } = batch;
  if (count === 1) return new RequestRecord(idNetwork, idSerial, sender, answerToken);
  const requests: RequestRecord[] = [];
  for (let at = 0; at < count; at++) {
    requests.push(
      new RequestRecord(0, idSerial + at, sender, answerToken < 0 ? -1 : answerToken + at),
    );
  }
  return requests;
}

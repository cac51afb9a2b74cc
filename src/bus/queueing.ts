import { Flag } from '../message/flags.ts';
import type { BusState } from './bus-state.ts';
import { type KsockBinding, type KsockState, ksockOf } from './ksock-state.ts';
import { Ledger } from './ledger.ts';
import type { Share } from './memory.ts';
import type { MessageBatch } from './message-batch.ts';
import type { RequestRecord } from './requests.ts';
import type { RoomWaits } from './room-waits.ts';
import { COSTS } from './settings.ts';

/** An answer costs about as much as so many copies for listeners. */
const ANSWER_STEPS = 8;

/**
 * Puts messages into queues, gives answers to their requesters, and counts the bytes that all of that takes. It owns
 * the ledger, whose Statuses are answers too.
 */
export class Queueing {
  readonly ledger = new Ledger((record, status) => this.giveStatus(record, status));
  private readonly state: BusState;
  private readonly room: RoomWaits;
  /** Bytes of the messages that queues hold, and what it costs to keep them. */
  private messageBytes = 0;

  constructor(state: BusState, room: RoomWaits) {
    this.state = state;
    this.room = room;
  }

  /** What the messages in queues and the unanswered Requests cost. */
  get queuedBytes(): number {
    return this.messageBytes + this.ledger.open * COSTS.request;
  }

  enqueue(
    ksock: KsockState,
    batch: MessageBatch,
    binding: KsockBinding | null,
    atFront: boolean,
  ): void {
    if (atFront) ksock.queue.pushFront(batch, binding);
    else ksock.queue.pushBack(batch, binding);
    if (binding !== null) binding.queued += batch.count;
    this.hold(batch, ksock.share);
    batch.copies++;
    noteQueued(ksock, batch);
    this.state.observer?.queued?.(ksock, batch, binding, atFront);
    ksock.owner.queued(atFront);
  }

  /** Gives a Reply or Status to its requester, into the place that was held for it; or several, by token. */
  giveAnswer(record: RequestRecord, batch: MessageBatch): void {
    const { token } = record;
    const requester = ksockOf(record.requester);
    this.state.work.done += ANSWER_STEPS;
    this.state.observer?.answered?.(requester, batch, token);
    if (token < 0) {
      this.enqueue(requester, batch, null, (batch.flags & Flag.URGENT) !== 0);
      return;
    }
    noteQueued(requester, batch);
    batch.copies++;
    requester.owner.answered(token, batch);
    this.room.noteRoom(requester);
  }

  private giveStatus(record: RequestRecord, status: MessageBatch): void {
    status.idSerial = this.state.takeSerials(1);
    this.giveAnswer(record, status);
  }

  /** One more entry of a queue holds the batch, of a Ksock with this share. */
  hold(batch: MessageBatch, share: Share): void {
    this.count(share, COSTS.place);
    if (batch.holders++ === 0) {
      batch.share = share;
      batch.shareHolders = 1;
      this.count(share, batch.cost);
      batch.memory?.hold(batch);
    } else if (batch.share === share) {
      batch.shareHolders++;
    } else {
      batch.otherShare = share;
    }
  }

  /** One entry of a queue less holds the batch. */
  letGo(batch: MessageBatch, share: Share): void {
    this.count(share, -COSTS.place);
    const isLastOfShare = share === batch.share && --batch.shareHolders === 0;
    if (--batch.holders === 0) {
      this.count(batch.share as Share, -batch.cost);
      batch.memory?.letGo(batch);
    } else if (isLastOfShare) {
      // Only Ksocks of other access points hold it now.
      const other = batch.otherShare as Share;
      share.hold(-batch.cost);
      other.hold(batch.cost);
      batch.share = other;
      batch.shareHolders = batch.holders;
    }
  }

  private count(share: Share, bytes: number): void {
    this.messageBytes += bytes;
    share.hold(bytes);
  }
}

/** "Once only" compares with the message that was queued last. */
function noteQueued(ksock: KsockState, batch: MessageBatch): void {
  ksock.queuedNetwork = batch.idNetwork;
  ksock.queuedSerial = batch.idSerial + batch.count - 1;
}

/** Whether the message that the bus queued to this Ksock last is this one. */
export function isLastQueued(ksock: KsockState, batch: MessageBatch): boolean {
  return ksock.queuedNetwork === batch.idNetwork && ksock.queuedSerial === batch.idSerial;
}

import { Flag } from '../message/flags.ts';
import type { BusState } from './bus-state.ts';
import { type KsockBinding, type KsockState, ksockOf } from './ksock-state.ts';
import { Ledger } from './ledger.ts';
import type { MessageBatch } from './message-batch.ts';
import type { RequestRecord } from './requests.ts';
import type { RoomWaits } from './room-waits.ts';
import { COSTS } from './settings.ts';

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

  /** What counts against `maxQueuedBytes`. */
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
    this.hold(batch);
    batch.copies++;
    noteQueued(ksock, batch);
    this.state.observer?.queued?.(ksock, batch, binding, atFront);
    ksock.owner.queued(atFront);
  }

  /** Gives a Reply or Status to its requester, into the place that was held for it; or several, by token. */
  giveAnswer(record: RequestRecord, batch: MessageBatch): void {
    const { token } = record;
    const requester = ksockOf(record.requester);
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

  /** One more entry of a queue holds the batch. */
  hold(batch: MessageBatch): void {
    if (batch.holders++ === 0) this.messageBytes += bytesOf(batch);
    this.messageBytes += COSTS.place;
  }

  /** One entry of a queue less holds the batch. */
  letGo(batch: MessageBatch): void {
    this.messageBytes -= COSTS.place;
    if (--batch.holders === 0) this.messageBytes -= bytesOf(batch);
  }
}

/** What a batch counts, however many queues it is in. */
export function bytesOf(batch: MessageBatch): number {
  return batch.size + COSTS.message;
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

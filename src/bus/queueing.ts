import { WideMap } from '../base/wide-map.ts';
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
  /** How many entries all queues have. */
  entries = 0;
  private readonly elsewhere = new WideMap<MessageBatch, HeldElsewhere>(({ idSerial }) => idSerial);

  constructor(state: BusState, room: RoomWaits) {
    this.state = state;
    this.room = room;
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
    batch.queuedAt = this.state.work.now;
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
    requester.messagesRead += batch.count;
    batch.copies++;
    batch.memory?.giveAway();
    requester.owner.answered(token, batch);
    this.room.noteRoom(requester);
  }

  private giveStatus(record: RequestRecord, status: MessageBatch): void {
    status.idSerial = this.state.takeSerials(1);
    this.giveAnswer(record, status);
  }

  /** One more entry of a queue holds the batch, of a Ksock with this share. */
  hold(batch: MessageBatch, share: Share): void {
    this.entries++;
    const isFirst = batch.holders++ === 0;
    share.hold(isFirst ? COSTS.place + batch.cost : COSTS.place);
    if (share !== this.state.share) this.holdElsewhere(batch, share, isFirst);
    if (isFirst) batch.memory?.hold(batch);
  }

  /** One entry of a queue less holds the batch. */
  letGo(batch: MessageBatch, share: Share): void {
    this.entries--;
    const isLast = --batch.holders === 0;
    const held = this.elsewhere.size > 0 ? this.elsewhere.get(batch) : undefined;
    if (held !== undefined) {
      this.letGoElsewhere(batch, held, share, isLast);
    } else {
      share.hold(isLast ? -COSTS.place - batch.cost : -COSTS.place);
    }
    if (isLast) batch.memory?.letGo(batch);
  }

  private holdElsewhere(batch: MessageBatch, share: Share, isFirst: boolean): void {
    let held = this.elsewhere.get(batch);
    if (held === undefined) {
      held = { charged: isFirst ? share : this.state.share, entries: new Map() };
      this.elsewhere.set(batch, held);
    }
    held.entries.set(share, (held.entries.get(share) ?? 0) + 1);
  }

  private letGoElsewhere(
    batch: MessageBatch,
    held: HeldElsewhere,
    share: Share,
    isLast: boolean,
  ): void {
    const { charged, entries } = held;
    share.hold(-COSTS.place);
    const left = (entries.get(share) ?? 0) - 1;
    if (left > 0) entries.set(share, left);
    else entries.delete(share);
    if (isLast) {
      this.elsewhere.delete(batch);
      charged.hold(-batch.cost);
      return;
    }
    // What the Ksocks of an access point have read counts in the share of one that still holds it.
    let others = 0;
    for (const count of entries.values()) others += count;
    const own = this.state.share;
    const isCharged = charged === own ? batch.holders > others : entries.has(charged);
    if (isCharged) return;
    const [other = own] = entries.keys();
    charged.hold(-batch.cost);
    other.hold(batch.cost);
    held.charged = other;
  }
}

/** Who holds a batch, of which an entry is in the queue of a Ksock of another access point than the bus's own. */
interface HeldElsewhere {
  /** The share that the batch counts in. */
  charged: Share;
  /** How many entries hold it, by share; but for the bus's own share. */
  readonly entries: Map<Share, number>;
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

import { readU32 } from '../base/u32.ts';
import {
  Field,
  fieldsAt,
  flagsAt,
  HEAD_AT,
  isSameAt,
  recordEnd,
  WORDS_AT,
} from '../message/codec/records.ts';
import { Flag } from '../message/flags.ts';
import type { Admission } from './admission.ts';
import type { BusState } from './bus-state.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import { COSTS, SMALL_REPLY_BYTES } from './settings.ts';

const NO_LISTENERS: readonly KsockBinding[] = [];

/** Each observer looks at each name: of messages of different names, so many observers times messages go together. */
const MAX_SEEN = 512;

/** Finds out how many messages of a batch go the same way and have room, so that one delivery takes them all. */
export class Sendable {
  private readonly state: BusState;
  private readonly admission: Admission;

  constructor(state: BusState, admission: Admission) {
    this.state = state;
    this.admission = admission;
  }

  /** 1 when the first must be looked at by itself, because of what it is, or because there is no room. */
  count(sender: KsockState, batch: MessageBatch): number {
    const { state } = this;
    const { count } = batch;
    if (count === 1 || sender.mode === 'r' || !sender.isOpen || sender.sending !== null) return 1;
    if ((batch.flags & Flag.URGENT) !== 0) return 1;
    if (batch.idNetwork !== 0 && (batch.isRequest || batch.isReply)) return 1;
    if (this.admission.check(sender, batch) !== 0 || !state.hasSerials(count)) return 1;
    // Each name must be checked, and only those of a run are alike.
    if (sender.access !== null && !batch.span?.isRun) return 1;
    const bytes = batch.cost;
    const forReplies = batch.isRequest ? count * COSTS.request : 0;
    if (bytes + forReplies > state.memory.free) return 1;
    const { replier, listeners } = state.routes.find(batch.name);
    if (batch.isReply) return listeners.length === 0 ? this.answerable(sender, batch) : 1;

    const delivery = state.newDelivery();
    let places = count;
    if (batch.isRequest) {
      // Each Request takes a place in the sender's queue for its Reply, so `placesFor` must give 0 for the sender.
      if (sender.isFull || !sender.hasRoomFor(forReplies)) return 1;
      sender.delivery = delivery;
      places = Math.min(places, sender.limit - sender.occupied);
      if (replier === null || (batch.to !== 0 && batch.to !== replier.ksock.id)) return 1;
      const mayAnswer = state.settings.maxUnansweredPerKsock - replier.ksock.unreplied.size;
      places = Math.min(places, mayAnswer, this.placesFor(bytes, replier.ksock, delivery));
    }
    state.work.done += listeners.length;
    const allOrNothing = (batch.flags & (Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL)) !== 0;
    for (let at = 0; at < listeners.length; at++) {
      const { ksock } = listeners[at] as KsockBinding;
      if (ksock === sender && !sender.hearsOwn) continue;
      // A listener that is full misses them all.
      if (!allOrNothing && ksock.isFull && ksock.delivery !== delivery) continue;
      places = Math.min(places, this.placesFor(bytes, ksock, delivery));
    }
    return places < 2 ? 1 : this.goingTo(batch, listeners, places);
  }

  /** How many messages a Ksock has room for, if this is its only copy of each; 0 if it isn't. */
  private placesFor(bytes: number, ksock: KsockState, delivery: number): number {
    // Copies of one message for one Ksock come one after the other.
    if (ksock.delivery === delivery) return 0;
    ksock.delivery = delivery;
    if (ksock.queue.weight + bytes > this.state.settings.maxQueuedBytesPerKsock) return 0;
    if (!ksock.hasRoomFor(bytes)) return 0;
    return ksock.limit - ksock.occupied;
  }

  /** How many of the first `most` messages go to these listeners. Requests and Replies must be of one name too. */
  private goingTo(batch: MessageBatch, listeners: readonly KsockBinding[], most: number): number {
    if (batch.span?.isRun) return most;
    const first = batch.cursor();
    const { bytes } = first;
    const fields = fieldsAt(bytes, first.headAt) & ~Field.KNOWN;
    // A Limpet's messages, too, go together if their ids rise by one.
    const hasIds = (fields & Field.ID) !== 0 && (fields & (Field.TO | Field.REPLY)) === 0;
    const mayDiffer = !batch.isRequest && (fields === 0 || hasIds);
    const flags = flagsAt(bytes, first.headAt);
    const { observers, routes, work } = this.state;
    const allowed = observers === 0 ? most : Math.min(most, Math.ceil(MAX_SEEN / observers));
    let { end } = first;
    for (let count = 1; count < allowed; count++) {
      const at = end;
      end = recordEnd(bytes, at);
      if (isSameAt(bytes, at)) continue;
      const headAt = at + HEAD_AT;
      work.done++;
      const isAlike =
        (fieldsAt(bytes, headAt) & ~Field.KNOWN) === fields && flagsAt(bytes, headAt) === flags;
      if (!mayDiffer || !isAlike) return count;
      if (hasIds && !hasId(bytes, headAt, batch.idNetwork, batch.idSerial + count)) return count;
      if (routes.findIn(bytes, headAt)?.listeners !== listeners || work.isTurnOver) return count;
    }
    return allowed;
  }

  /** How many of the first Replies are to one Ksock that gets them by tokens that rise by one. */
  private answerable(sender: KsockState, batch: MessageBatch): number {
    const requester = this.state.ksocks.get(batch.to);
    if (requester === undefined) return 1;
    // The room that each Reply makes may be for somebody else who waits for it.
    if (requester.blocking.size > 0 || sender.blocking.size > 0) return 1;
    const { outstanding } = requester;
    const { replyNetwork, replySerial } = batch;
    const first = replyNetwork === 0 ? outstanding.find(0, replySerial, sender) : null;
    if (first === null || first.token < 0) return 1;
    if (batch.largest > SMALL_REPLY_BYTES && !this.admission.mayAnswer(requester, batch.size))
      return 1;
    const most = this.goingTo(batch, NO_LISTENERS, batch.count);
    let count = 1;
    while (count < most) {
      const record = outstanding.find(0, replySerial + count, sender);
      if (record?.token !== first.token + count) break;
      count++;
    }
    return count;
  }
}

/** Whether a head without TO and REPLY has this id. */
function hasId(bytes: Uint8Array, headAt: number, network: number, serial: number): boolean {
  return (
    readU32(bytes, headAt + WORDS_AT) === network &&
    readU32(bytes, headAt + WORDS_AT + 4) === serial
  );
}

import { Errno } from '../message/errno.ts';
import type { BindReports } from './bind-reports.ts';
import type { Bindings } from './bindings.ts';
import type { BusState } from './bus-state.ts';
import { whoIs } from './identity.ts';
import type { KsockState } from './ksock-state.ts';
import { RequestEvent } from './ledger.ts';
import type { Queueing } from './queueing.ts';
import type { RoomWaits } from './room-waits.ts';
import { COSTS } from './settings.ts';
import type { Steps } from './work.ts';

/**
 * To drop so many entries of a queue costs about as much as one delivery. Each step leaves garbage: with one for each entry, a
 * long queue took 1.7 times as long to clear away.
 */
const ENTRIES_PER_STEP = 4;

/**
 * A Ksock leaves the bus, by its own call or because its program died (spec 1 §8.1). It has left at once, for everybody;
 * if it had much, the bus clears that away in pieces (spec 1 §14.2).
 */
export class Departure {
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly queueing: Queueing;
  private readonly bindings: Bindings;
  private readonly bindReports: BindReports;
  /** Ksocks that have left, and of which something is left. */
  private leaving = 0;

  constructor(
    state: BusState,
    room: RoomWaits,
    queueing: Queueing,
    bindings: Bindings,
    bindReports: BindReports,
  ) {
    this.state = state;
    this.room = room;
    this.queueing = queueing;
    this.bindings = bindings;
    this.bindReports = bindReports;
  }

  /** Ends a Ksock for another one, and tells its owner who did it. EADDRNOTAVAIL. */
  kick(by: KsockState, id: number): number {
    const ksock = this.state.ksocks.get(id);
    if (ksock === undefined) return -Errno.EADDRNOTAVAIL;
    this.close(ksock);
    ksock.owner.kicked?.(`${whoIs(by)} ended Ksock ${id} of bus ${this.state.number}`);
    return 0;
  }

  close(ksock: KsockState): void {
    if (!ksock.isOpen) return;
    const { state, room } = this;
    ksock.isOpen = false;
    state.ksocks.delete(ksock.id);
    state.openKsocks.remove(ksock);
    const wasReplier = ksock.replying.size > 0;
    state.routes.ignore(ksock.newestBinding, ksock.bindings);
    for (const full of ksock.awaiting) room.stopAwaiting(ksock, full);
    this.leaving++;
    state.work.run(this.clearAway(ksock));
    room.tellConcerned(ksock, wasReplier);
    room.tellOfRoom();
  }

  /** In the order of the specification: each step ends one Request, or removes one binding or some queue entries. */
  private *clearAway(ksock: KsockState): Steps {
    yield* this.endRequestsOf(ksock);
    yield* this.dropUnread(ksock);
    yield* this.bindings.removeAll(ksock);
    for (let record = ksock.unreplied.newest; record !== null; record = ksock.unreplied.newest) {
      this.queueing.ledger.apply(record, RequestEvent.REPLIER_GONE, ksock.id);
      yield;
    }
    this.bindReports.forget(ksock);
    ksock.hold(-COSTS.ksock);
    this.state.memory.keepFor(-1);
    this.state.memory.tell();
    this.state.observer?.closed?.(ksock);
    this.leaving--;
    if (this.state.ksocks.size === 0 && this.leaving === 0) this.checkNothingLeft();
  }

  /** Nobody waits for the answers to its Requests any more. */
  private *endRequestsOf(ksock: KsockState): Steps {
    const { ledger } = this.queueing;
    const waiting = ksock.waitingRequest;
    if (ksock.sending !== null) this.room.endSending(ksock);
    if (waiting !== null) ledger.apply(waiting, RequestEvent.REQUESTER_GONE, 0);
    // One by one: to list them all at once would hold up everybody.
    const { outstanding } = ksock;
    for (let record = outstanding.any(); record !== null; record = outstanding.any()) {
      ledger.apply(record, RequestEvent.REQUESTER_GONE, 0);
      this.state.observer?.abandoned?.(record);
      this.room.noteAnswered(record);
      yield;
    }
  }

  /** Drops its unread messages; the Requests among them end with a Status. */
  private *dropUnread(ksock: KsockState): Steps {
    const { queue } = ksock;
    for (let dropped = 1; queue.entries > 0; dropped++) {
      const batch = queue.batch(0);
      const isReplier = queue.binding(0)?.replier === true;
      const read = queue.readOf(0);
      queue.drop(0, batch.count - read);
      if (ksock.pastLimit !== null) this.bindReports.release(ksock, batch);
      for (let index = read; isReplier && index < batch.count; index++) {
        const request = batch.requestOf(index);
        if (request !== null) {
          this.queueing.ledger.apply(request, RequestEvent.REPLIER_GONE, ksock.id);
        }
        yield;
      }
      this.queueing.letGo(batch, ksock.share);
      if (dropped % ENTRIES_PER_STEP === 0) yield;
    }
    queue.clear();
  }

  /** Throws when something outlived the Ksock that it belonged to: that is a bug of the engine. */
  private checkNothingLeft(): void {
    const left = {
      requests: this.queueing.ledger.open,
      events: this.bindReports.heldEvents,
      sends: this.room.sending,
      entries: this.queueing.entries,
      bindings: this.bindings.count,
    };
    if (Object.values(left).every((count) => count === 0)) return;
    throw new Error(`bus ${this.state.number} has no Ksock, but holds ${JSON.stringify(left)}`);
  }
}

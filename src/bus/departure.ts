import type { BindReports } from './bind-reports.ts';
import { type Bindings, unreadRequests } from './bindings.ts';
import type { BusState } from './bus-state.ts';
import type { KsockState } from './ksock-state.ts';
import { RequestEvent } from './ledger.ts';
import type { Queueing } from './queueing.ts';
import type { RoomWaits } from './room-waits.ts';

/** A Ksock leaves the bus, by its own call or because its program died (spec 1 §8.1). */
export class Departure {
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly queueing: Queueing;
  private readonly bindings: Bindings;
  private readonly bindReports: BindReports;

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

  close(ksock: KsockState): void {
    if (!ksock.isOpen) return;
    ksock.isOpen = false;
    this.state.ksocks.delete(ksock.id);
    this.endRequestsOf(ksock);
    this.dropUnread(ksock);
    const wasReplier = this.bindings.removeAll(ksock);
    for (const record of ksock.unreplied.newestFirst()) {
      this.queueing.ledger.apply(record, RequestEvent.REPLIER_GONE, ksock.id);
    }
    this.bindReports.forget(ksock);
    this.state.observer?.closed?.(ksock);
    if (this.state.ksocks.size === 0) this.checkNothingLeft();
    this.room.tellConcerned(ksock, wasReplier);
    this.room.tellOfRoom();
  }

  /** Nobody waits for the answers to its Requests any more. */
  private endRequestsOf(ksock: KsockState): void {
    const { ledger } = this.queueing;
    for (const full of ksock.awaiting) this.room.stopAwaiting(ksock, full);
    const waiting = ksock.waitingRequest;
    if (ksock.sending !== null) this.room.endSending(ksock);
    if (waiting !== null) ledger.apply(waiting, RequestEvent.REQUESTER_GONE, 0);
    for (const record of ksock.outstanding.all()) {
      ledger.apply(record, RequestEvent.REQUESTER_GONE, 0);
      this.room.noteAnswered(record);
    }
  }

  /** Drops its unread messages; the Requests among them end with a Status. */
  private dropUnread(ksock: KsockState): void {
    const { queue } = ksock;
    for (let at = 0; at < queue.entries; at++) {
      if (!queue.binding(at)?.replier) continue;
      for (const request of unreadRequests(queue.batch(at), queue.readOf(at))) {
        this.queueing.ledger.apply(request, RequestEvent.REPLIER_GONE, ksock.id);
      }
    }
    for (let at = 0; at < queue.entries; at++) {
      if (ksock.held !== null) this.bindReports.release(ksock, queue.batch(at));
      this.queueing.letGo(queue.batch(at));
    }
    queue.clear();
  }

  /** Throws when something outlived the Ksock that it belonged to: that is a bug of the engine. */
  private checkNothingLeft(): void {
    const left = {
      requests: this.queueing.ledger.open,
      events: this.bindReports.heldEvents,
      sends: this.room.sending,
      bytes: this.queueing.queuedBytes,
      bindings: this.bindings.count,
    };
    if (Object.values(left).every((count) => count === 0)) return;
    throw new Error(`bus ${this.state.number} has no Ksock, but holds ${JSON.stringify(left)}`);
  }
}

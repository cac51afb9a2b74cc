import type { BindReports } from './bind-reports.ts';
import type { BusState } from './bus-state.ts';
import type { KsockState } from './ksock-state.ts';
import { RequestEvent } from './ledger.ts';
import type { MessageBatch } from './message-batch.ts';
import type { Queueing } from './queueing.ts';
import type { RoomWaits } from './room-waits.ts';

/** Takes messages out of queues (spec 1 §5). */
export class Reading {
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly queueing: Queueing;
  private readonly bindReports: BindReports;

  constructor(state: BusState, room: RoomWaits, queueing: Queueing, bindReports: BindReports) {
    this.state = state;
    this.room = room;
    this.queueing = queueing;
    this.bindReports = bindReports;
  }

  /** The next message, or that behind `at` others; null when there is none. */
  take(ksock: KsockState, at: number): MessageBatch | null {
    if (ksock.queue.entries <= at) return null;
    const batch = this.read(ksock, at);
    this.room.noteRoom(ksock);
    this.room.tellOfRoom();
    return batch;
  }

  /** Takes `count` messages, which must be there, and gives none: their reader has them already. */
  takeMany(ksock: KsockState, count: number, at: number): void {
    const { queue } = ksock;
    const { observer, work } = this.state;
    let entry = at;
    let steps = at;
    for (let left = count; left > 0; ) {
      const batch = queue.batch(entry);
      const binding = queue.binding(entry);
      const read = queue.readOf(entry);
      const some = Math.min(left, batch.count - read);
      if (binding !== null) binding.queued -= some;
      const isAsked = binding?.replier === true;
      steps += isAsked ? some : 1;
      if (isAsked) {
        for (let index = read; index < read + some; index++) this.readRequest(ksock, batch, index);
      }
      const isEmpty = queue.advance(entry, some);
      observer?.read?.(ksock, batch, read, some, isAsked, at);
      if (isEmpty) {
        if (ksock.pastLimit !== null) this.bindReports.release(ksock, batch);
        this.queueing.letGo(batch, ksock.share);
        entry++;
      }
      left -= some;
    }
    work.done += steps;
    ksock.messagesRead += count;
    queue.dropRead(at, entry - at);
    this.room.noteRoom(ksock);
    this.room.tellOfRoom();
  }

  private read(ksock: KsockState, at: number): MessageBatch {
    const { queue } = ksock;
    if (at > 0) this.state.work.done += at;
    const entry = queue.batch(at);
    const index = queue.readOf(at);
    const batch = entry.count > 1 ? entry.one(index) : entry;
    const binding = queue.binding(at);
    if (queue.drop(at)) this.queueing.letGo(entry, ksock.share);
    batch.memory?.giveAway();
    ksock.messagesRead++;
    ksock.tookRequest = false;
    if (binding !== null) {
      binding.queued--;
      if (binding.replier) {
        ksock.tookRequest = true;
        this.readRequest(ksock, batch, 0);
      }
    }
    if (ksock.pastLimit !== null) this.bindReports.release(ksock, batch);
    this.state.observer?.read?.(ksock, entry, index, 1, ksock.tookRequest, at);
    return batch;
  }

  /** The Replier has read the Request at `index` of a batch. */
  private readRequest(ksock: KsockState, batch: MessageBatch, index: number): void {
    const request = batch.requestOf(index);
    if (request !== null) {
      request.readAt = this.state.work.now;
      this.queueing.ledger.apply(request, RequestEvent.READ, 0);
    }
    if (ksock.unreplied.size > ksock.maxUnreplied) ksock.maxUnreplied = ksock.unreplied.size;
  }
}

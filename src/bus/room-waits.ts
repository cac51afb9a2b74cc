import type { BusState } from './bus-state.ts';
import { type KsockState, ksockOf } from './ksock-state.ts';
import type { WaitsForRoom } from './memory.ts';
import type { MessageBatch } from './message-batch.ts';
import type { RequestRecord } from './requests.ts';
import type { Steps } from './work.ts';

/**
 * Who waits for room, and in whose queue: senders whose message waits (ALL_OR_WAIT), and Ksocks whose drivers keep
 * Requests until there is room for them. A call notes where it made room, and tells the waiting ones at its end.
 */
export class RoomWaits implements WaitsForRoom {
  private readonly state: BusState;
  /** Ksocks whose message waits to be sent, first come first. */
  private readonly sendingKsocks = new Set<KsockState>();
  /** Ksocks that await room for Requests. */
  private readonly askingKsocks = new Set<KsockState>();
  /** Ksocks that have gained room, and whose waiting senders are still to be told. */
  private readonly gainedRoom = new Set<KsockState>();
  private isTelling = false;
  /** Ksocks whose message waits for memory, which anybody may let go of; first come first. */
  private readonly lacking = new Set<KsockState>();
  /** Repliers to which Requests wait for memory likewise. */
  private readonly lackingRepliers = new Set<KsockState>();
  private isTellingOfMemory = false;
  /** Since it began to tell them. */
  private hasMoreMemory = false;

  constructor(state: BusState) {
    this.state = state;
  }

  /** How many Ksocks have a message that waits. */
  get sending(): number {
    return this.sendingKsocks.size;
  }

  beginSending(sender: KsockState, batch: MessageBatch, request: RequestRecord | null): void {
    sender.sending = batch;
    sender.waitingRequest = request;
    sender.keep(batch);
    this.sendingKsocks.add(sender);
  }

  /** The sender has no message that waits any more, and the place that it held for a Reply, if any, is free. */
  endSending(sender: KsockState): void {
    sender.release(sender.sending as MessageBatch);
    sender.sending = null;
    sender.waitingRequest = null;
    this.sendingKsocks.delete(sender);
    this.noteLack(sender, false);
    this.block(sender, null);
    this.noteRoom(sender);
  }

  /** Notes whose full queue keeps a sender waiting. The sender keeps its turn while that stays the same. */
  block(sender: KsockState, on: KsockState | null): void {
    if (sender.blockedOn === on) return;
    sender.blockedOn?.blocking.delete(sender);
    sender.blockedOn = on;
    on?.blocking.add(sender);
  }

  /** Notes whether the sender waits for memory: the queue that keeps it waiting would have a place. */
  noteLack(sender: KsockState, lacks: boolean): void {
    if (lacks) this.lacking.add(sender);
    else if (!this.lacking.delete(sender)) return;
    this.awaitMemory();
  }

  /** Drivers keep Requests to this Replier until there is memory for them. */
  noteLackOf(replier: KsockState): void {
    if (!replier.lacksMemory) return;
    this.lackingRepliers.add(replier);
    this.awaitMemory();
  }

  private awaitMemory(): void {
    const { memory } = this.state;
    if (this.lacking.size + this.lackingRepliers.size > 0) memory.await(this);
    else memory.stopAwaiting(this);
  }

  /** Tells those whose message has room now. */
  tellOfMemory(): void {
    this.hasMoreMemory = true;
    if (this.isTellingOfMemory) return;
    this.isTellingOfMemory = true;
    // However often memory is let go of in a turn, all of them are looked at once.
    this.state.work.defer(this.tellingOfMemory());
  }

  private *tellingOfMemory(): Steps {
    while (this.hasMoreMemory) {
      this.hasMoreMemory = false;
      for (const sender of [...this.lacking]) {
        const { blockedOn, sending } = sender;
        if (sending === null || blockedOn === null || !this.lacking.has(sender)) continue;
        if (blockedOn.takes(sending.size, sender.waitingBytes)) sender.owner.roomMade();
        yield;
      }
      for (const replier of [...this.lackingRepliers]) {
        this.lackingRepliers.delete(replier);
        this.tellAskers(replier);
        yield;
      }
    }
    this.awaitMemory();
    this.isTellingOfMemory = false;
  }

  /** The driver of `asker` keeps Requests until `full` has room, and wants to be told. */
  await(asker: KsockState, full: KsockState): void {
    full.askers.add(asker);
    asker.awaiting.add(full);
    this.askingKsocks.add(asker);
  }

  stopAwaiting(asker: KsockState, full: KsockState): void {
    full.askers.delete(asker);
    asker.awaiting.delete(full);
    if (asker.awaiting.size === 0) this.askingKsocks.delete(asker);
  }

  noteRoom(ksock: KsockState): void {
    if (ksock.blocking.size > 0 || ksock.askers.size > 0) this.gainedRoom.add(ksock);
  }

  /** A Replier that had as many Requests to answer as it may have has one less. */
  noteAnswered({ replier }: RequestRecord): void {
    if (replier?.unreplied.size === this.state.settings.maxUnansweredPerKsock - 1) {
      this.noteRoom(ksockOf(replier));
    }
  }

  /**
   * Tells the waiting ones that there may be room, in the order in which they came, for as long as there is. What
   * they do may make more room.
   */
  tellOfRoom(): void {
    this.state.memory.tell();
    if (this.isTelling || this.gainedRoom.size === 0) return;
    this.isTelling = true;
    this.state.work.run(this.telling());
  }

  private *telling(): Steps {
    for (const ksock of this.gainedRoom) {
      this.gainedRoom.delete(ksock);
      for (const sender of ksock.blocking) {
        if (ksock.isFull) break;
        sender.owner.roomMade();
        yield;
      }
      this.tellAskers(ksock);
    }
    this.isTelling = false;
  }

  /** Tells those whose Requests await room in this queue, for as long as there is some. */
  tellAskers(ksock: KsockState): void {
    for (const asker of ksock.askers) {
      if (ksock.isFull) return;
      asker.owner.roomForRequests?.(ksock);
    }
  }

  /** A send may succeed although no place became free: the binding that it waited for may be gone. */
  tellAll(senders: Iterable<KsockState>): void {
    for (const sender of [...senders]) {
      if (sender.sending !== null) sender.owner.roomMade();
    }
  }

  /**
   * Tells those whose message may go to somebody else now, or can never be sent, because this Ksock bound or unbound
   * as Replier, or left: whoever's queue they wait for, their wait may be over.
   */
  tellConcerned(ksock: KsockState, asReplier: boolean): void {
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
}

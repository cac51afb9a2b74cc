import type { BusKsock } from '../ksock.ts';
import type { KsockState } from '../ksock-state.ts';
import type { MessageBatch } from '../message-batch.ts';
import type { Steps } from '../work.ts';

/** How many Requests of one Ksock may wait for room, and the bytes of their data together. */
const MAX_WAITING_REQUESTS = 65_536;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** Requests by token, in the order of the calls. */
type Line = Map<number, MessageBatch>;

/**
 * Requests of one Ksock that wait for room, for a driver whose callers may wait: for a place in their own queue, for the
 * Reply, or for a place in the Replier's. They get an id when there is room. Requests for one Replier keep the order of
 * the calls; a full Replier keeps back only its own.
 */
export class WaitingRequests {
  private readonly ksock: BusKsock;
  private readonly send: (batch: MessageBatch) => void;
  /** By the Ksock in whose queue they await room: their own, or a Replier. */
  private readonly lines = new Map<KsockState, Line>();
  private count = 0;
  private bytes = 0;
  private isRetrying = false;
  /** A Replier came or went, or a queue has room, since the retry began. */
  private mustSort = false;
  private mustRetry = false;

  /** `send` sends one of them; the bus may refuse it. */
  constructor(ksock: BusKsock, send: (batch: MessageBatch) => void) {
    this.ksock = ksock;
    this.send = send;
  }

  /** Whether the Request waits now, instead of being sent. If too many wait, it does not: the bus refuses it then. */
  take(batch: MessageBatch): boolean {
    const on = this.roomFor(batch);
    if (on === null) return false;
    const { dataLength } = batch;
    if (this.count >= MAX_WAITING_REQUESTS || this.bytes + dataLength > MAX_WAITING_BYTES) {
      return false;
    }
    if (!this.ksock.hasRoomFor(batch.cost)) return false;
    this.lineUp(on, batch);
    return true;
  }

  private lineUp(on: KsockState, batch: MessageBatch): void {
    this.count++;
    this.bytes += batch.dataLength;
    this.ksock.keep(batch);
    if (on !== this.ksock) this.ksock.awaitMemory(on);
    const line = this.lines.get(on);
    if (line !== undefined) {
      line.set(batch.token, batch);
      return;
    }
    this.lines.set(on, new Map([[batch.token, batch]]));
    this.ksock.await(on);
    // Requests that wait for a Replier need a place of their own, too.
    this.ksock.await(this.ksock);
  }

  /** The Ksock in whose queue the Request must await room: its own, or the Replier; null when it can be sent. */
  private roomFor(batch: MessageBatch): KsockState | null {
    const { ksock, lines } = this;
    return ksock.isFull || lines.has(ksock) ? ksock : this.replierToAwait(batch);
  }

  /** The Replier, if it has no room, or other Requests wait for it already. A Ksock that asks itself has one queue for both. */
  private replierToAwait(batch: MessageBatch): KsockState | null {
    const replier = this.ksock.replierFor(batch);
    if (replier === null || replier === this.ksock) return null;
    return replier.mayBeAsked(batch.size) && !this.lines.has(replier) ? null : replier;
  }

  /** This queue has room; or (null) a Replier came or went. */
  retry(of: KsockState | null): void {
    if (this.count === 0) return;
    if (this.isRetrying) {
      // One retry at a time: it continues with what has happened meanwhile.
      if (of === null) this.mustSort = true;
      else this.mustRetry = true;
      return;
    }
    this.isRetrying = true;
    this.ksock.run(this.retryAll(of));
  }

  private *retryAll(of: KsockState | null): Steps {
    yield* this.retrying(of);
    while (this.mustSort || this.mustRetry) {
      const { mustSort } = this;
      this.mustSort = false;
      this.mustRetry = false;
      if (mustSort) yield* this.retrying(null);
      yield* this.retrying(this.ksock);
    }
    this.isRetrying = false;
  }

  private *retrying(of: KsockState | null): Steps {
    const { ksock, lines } = this;
    if (of === null) {
      for (const [on, line] of [...lines]) if (on !== ksock) yield* this.sort(on, line);
    }
    for (const [on, line] of [...lines]) {
      if (on !== ksock && (of === null || of === ksock || of === on)) yield* this.goOn(on, line);
    }
    const own = lines.get(ksock);
    if (own !== undefined && of !== null) yield* this.goOn(ksock, own);
    if (this.count === 0) ksock.stopAwaiting(ksock);
  }

  /** Requests whose Replier is another one now go to that; those that have none are refused. */
  private *sort(on: KsockState, line: Line): Steps {
    // No copy: a line may be long, and a Replier that comes concerns every Ksock that has one.
    for (const batch of line.values()) {
      yield;
      // A Request sent meanwhile may have made room, and so let others go on.
      const isThere = line.get(batch.token) === batch;
      if (!isThere || this.ksock.replierFor(batch) === on) continue;
      this.leave(on, line, batch);
      this.submit(batch);
    }
  }

  private *goOn(on: KsockState, line: Line): Steps {
    const { ksock } = this;
    for (const batch of line.values()) {
      // While a message waits to be sent (ALL_OR_WAIT), as one of these may do now, the bus would refuse the others.
      if (ksock.isSending || ksock.isFull) return;
      if (on !== ksock && !on.mayBeAsked(batch.size, batch.waitingCost)) {
        ksock.awaitMemory(on);
        return;
      }
      this.leave(on, line, batch);
      // A Request that waited for a place of its own may have to wait for its Replier now.
      if (on === ksock) this.submit(batch);
      else this.send(batch);
      yield;
    }
  }

  /** The Ksock is closed: forgets all. */
  close(): void {
    for (const line of this.lines.values()) {
      for (const batch of line.values()) this.ksock.release(batch);
      line.clear();
    }
    this.lines.clear();
    this.count = 0;
    this.bytes = 0;
  }

  private submit(batch: MessageBatch): void {
    const replier = this.replierToAwait(batch);
    if (replier === null) this.send(batch);
    else this.lineUp(replier, batch);
  }

  private leave(on: KsockState, line: Line, batch: MessageBatch): void {
    line.delete(batch.token);
    this.count--;
    this.bytes -= batch.dataLength;
    this.ksock.release(batch);
    if (line.size > 0) return;
    this.lines.delete(on);
    if (on !== this.ksock) this.ksock.stopAwaiting(on);
  }

  /** Gives up the Request of this token, and gives it; null when none waited. */
  cancel(token: number): MessageBatch | null {
    this.ksock.tookSteps(this.lines.size);
    for (const [on, line] of this.lines) {
      const batch = line.get(token);
      if (batch === undefined) continue;
      this.leave(on, line, batch);
      if (this.count === 0) this.ksock.stopAwaiting(this.ksock);
      return batch;
    }
    return null;
  }
}

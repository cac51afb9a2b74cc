import { replierBindEventData } from '../message/bind-event.ts';
import { Flag } from '../message/flags.ts';
import { REPLIER_BIND_EVENT } from '../message/message.ts';
import type { BusState } from './bus-state.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import { type MessageBatch, syntheticMessage } from './message-batch.ts';
import { isLastQueued, type Queueing } from './queueing.ts';
import type { Steps } from './work.ts';

/** To make a bind event costs about as much as so many deliveries. */
const EVENT_STEPS = 4;

/** How many bind events may be in queues past their limits (spec 1 §9.2). */
const MAX_HELD_EVENTS = 1000;

const UNBIND_EVENTS_LOST = '$.KBUS.UnbindEventsLost';

/** Tells listeners of `$.KBUS.ReplierBindEvent` who binds and unbinds as Replier (spec 1 §9). */
export class BindReports {
  isOn = false;
  /** Bind events in queues past their limits. */
  heldEvents = 0;
  private readonly state: BusState;
  private readonly queueing: Queueing;
  /** Ksocks that know that events were lost. */
  private readonly toldOfLoss = new Set<KsockState>();

  constructor(state: BusState, queueing: Queueing) {
    this.state = state;
    this.queueing = queueing;
  }

  /** Reports what is about to happen; false when a listener's queue is full, and then it reports nothing. */
  reportBind(isBind: boolean, binder: KsockState, name: string): boolean {
    if (!this.isOn) return true;
    const event = this.bindEvent(isBind, binder, name);
    const { listeners } = this.state.routes.find(REPLIER_BIND_EVENT);
    this.state.work.done += listeners.length;
    if (listeners.some(({ ksock }) => ksock.isFull)) return false;
    for (const listener of listeners) this.enqueueOnce(listener, event);
    return true;
  }

  /** Nothing can refuse a Replier that goes away: its events pass the limits of queues, up to a number. */
  reportLoss(binder: KsockState, name: string): void {
    if (!this.isOn) return;
    const event = this.bindEvent(false, binder, name);
    const listeners = this.state.routes
      .find(REPLIER_BIND_EVENT)
      .listeners.filter(({ ksock }) => ksock.isOpen);
    const full = listeners.map(({ ksock }) => ksock.isFull);
    let lost: MessageBatch | null = null;
    for (const [at, listener] of listeners.entries()) {
      const { ksock } = listener;
      if (!full[at]) {
        this.enqueueOnce(listener, event);
      } else if (!ksock.toldOfLoss && this.heldEvents < MAX_HELD_EVENTS) {
        if (this.enqueueOnce(listener, event)) this.holdEvent(ksock, event);
      } else {
        ksock.missed++;
        this.state.observer?.missed?.(ksock, event);
        ksock.owner.missed?.(event);
        if (ksock.toldOfLoss) continue;
        if (lost === null) {
          lost = syntheticMessage(UNBIND_EVENTS_LOST);
          lost.idSerial = this.state.takeSerials(1);
        }
        ksock.toldOfLoss = true;
        this.toldOfLoss.add(ksock);
        this.queueing.enqueue(ksock, lost, listener, false);
      }
    }
  }

  /**
   * Reports all Replier bindings that there are to one Ksock; false when its queue has no room for them all. If there are
   * so many that it takes more than a turn, the Ksock misses those for which there is no room later.
   */
  reportAll(ksock: KsockState): boolean {
    const places = Math.max(0, ksock.limit - ksock.occupied);
    const outcome = { isRefused: this.state.routes.repliers > places };
    this.state.work.run(this.reporting(ksock, outcome));
    return !outcome.isRefused;
  }

  private *reporting(ksock: KsockState, outcome: { isRefused: boolean }): Steps {
    const { routes } = this.state;
    let binding = routes.olderReplierThan(null);
    for (; binding !== null && ksock.isOpen; binding = routes.olderReplierThan(binding)) {
      const event = this.bindEvent(true, binding.ksock, binding.name);
      if (ksock.isFull) {
        outcome.isRefused = true;
        return;
      }
      this.queueing.enqueue(ksock, event, null, false);
      this.state.work.done += EVENT_STEPS;
      yield;
    }
  }

  /** An event that came past the limit of a queue is read, or gone with its Ksock. */
  release(ksock: KsockState, event: MessageBatch): void {
    const count = ksock.pastLimit?.get(event);
    if (ksock.pastLimit === null || count === undefined) return;
    if (count > 1) ksock.pastLimit.set(event, count - 1);
    else ksock.pastLimit.delete(event);
    if (ksock.pastLimit.size === 0) ksock.pastLimit = null;
    if (--this.heldEvents > 0) return;
    for (const told of this.toldOfLoss) told.toldOfLoss = false;
    this.toldOfLoss.clear();
  }

  forget(ksock: KsockState): void {
    this.toldOfLoss.delete(ksock);
  }

  private bindEvent(isBind: boolean, binder: KsockState, name: string): MessageBatch {
    const data = replierBindEventData({ isBind, binder: binder.id, name });
    const event = syntheticMessage(REPLIER_BIND_EVENT, Flag.ALL_OR_FAIL, data);
    event.idSerial = this.state.takeSerials(1);
    return event;
  }

  private enqueueOnce(listener: KsockBinding, batch: MessageBatch): boolean {
    if (listener.ksock.onlyOnce && isLastQueued(listener.ksock, batch)) return false;
    this.queueing.enqueue(listener.ksock, batch, listener, false);
    return true;
  }

  private holdEvent(ksock: KsockState, event: MessageBatch): void {
    ksock.pastLimit ??= new Map();
    ksock.pastLimit.set(event, (ksock.pastLimit.get(event) ?? 0) + 1);
    this.heldEvents++;
  }
}

import { put } from '../base/wide-map.ts';
import { Errno } from '../message/errno.ts';
import { REPLIER_BIND_EVENT } from '../message/message.ts';
import { checkBindingName, checkMessageName, isWildcard, MAX_NAME } from '../message/name.ts';
import type { BindReports } from './bind-reports.ts';
import { Binding } from './binding-tree.ts';
import type { BusState } from './bus-state.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import { RequestEvent } from './ledger.ts';
import type { MessageBatch } from './message-batch.ts';
import type { Queueing } from './queueing.ts';
import type { RequestRecord } from './requests.ts';
import type { RoomWaits } from './room-waits.ts';
import { costOfBinding, MAX_SAME_LISTENERS, MAX_WILDCARDS } from './settings.ts';
import type { Steps } from './work.ts';

/** Binds Ksocks to names, and unbinds them (spec 1 §7). */
export class Bindings {
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly queueing: Queueing;
  private readonly bindReports: BindReports;
  /** How many bindings there are on the bus. */
  count = 0;
  /** How many of them are wildcards. */
  private wildcards = 0;
  private nextOrder = 1;

  constructor(state: BusState, room: RoomWaits, queueing: Queueing, bindReports: BindReports) {
    this.state = state;
    this.room = room;
    this.queueing = queueing;
    this.bindReports = bindReports;
  }

  bind(ksock: KsockState, name: string, replier: boolean): number {
    const result = this.tryBind(ksock, name, replier);
    if (result < 0) this.state.observer?.bindRefused?.(ksock, name, replier, true, -result);
    else if (replier) this.room.tellConcerned(ksock, true);
    return result;
  }

  private tryBind(ksock: KsockState, name: string, replier: boolean): number {
    const { routes, settings } = this.state;
    if (!ksock.isOpen) return -Errno.EBADF;
    const wrong = checkBindingName(name);
    if (wrong !== 0) return -wrong;
    if (ksock.access !== null && !ksock.access.mayBind(name, replier)) return -Errno.EACCES;
    if (replier) {
      if (name === REPLIER_BIND_EVENT) return -Errno.EBADMSG;
      if (!ksock.mayReply) return -Errno.EBADF;
      if (routes.replierOf(name) !== null) return -Errno.EADDRINUSE;
    }
    if (this.count >= settings.maxBindings) return -Errno.ENOMEM;
    if (ksock.bindings >= settings.maxBindingsPerKsock) return -Errno.ENOLCK;
    if (!replier && this.hasManyTimes(ksock, name)) return -Errno.ENOLCK;
    const isWild = isWildcard(name);
    if (isWild && !this.mayHaveWildcard(ksock)) return -Errno.ENOLCK;
    const cost = costOfBinding(name);
    if (!ksock.hasRoomFor(cost)) return -Errno.ENOMEM;
    if (replier && !this.bindReports.reportBind(true, ksock, name)) return -Errno.EAGAIN;
    const binding = new Binding(ksock, name, replier, this.nextOrder++);
    if (replier) {
      ksock.replying = put(ksock.replying, name, binding);
    } else {
      binding.older = ksock.listening.get(name) ?? null;
      ksock.listening = put(ksock.listening, name, binding);
    }
    routes.add(binding);
    binding.olderOfKsock = ksock.newestBinding;
    if (ksock.newestBinding !== null) ksock.newestBinding.newerOfKsock = binding;
    ksock.newestBinding = binding;
    this.count++;
    ksock.bindings++;
    if (isWild) {
      this.wildcards++;
      ksock.wildcards++;
    }
    ksock.hold(cost);
    this.state.observer?.bound?.(binding);
    return 0;
  }

  /** spec 1 §14.3: each copy of a message for a Ksock costs as much as a message for another. */
  private hasManyTimes(ksock: KsockState, name: string): boolean {
    let times = 0;
    let binding = ksock.listening.get(name) ?? null;
    for (; binding !== null; binding = binding.older) times++;
    return times >= MAX_SAME_LISTENERS;
  }

  /** spec 1 §14.3: of wildcards, as of memory, a Ksock may have as many as are still free. */
  mayHaveWildcard({ wildcards }: KsockState): boolean {
    return wildcards < MAX_WILDCARDS - this.wildcards;
  }

  unbind(ksock: KsockState, name: string, replier: boolean): number {
    const result = this.tryUnbind(ksock, name, replier);
    if (result < 0) {
      this.state.observer?.bindRefused?.(ksock, name, replier, false, -result);
      return result;
    }
    if (replier) this.room.tellConcerned(ksock, true);
    else this.room.tellAll(ksock.blocking);
    this.room.tellAskers(ksock);
    this.room.tellOfRoom();
    return result;
  }

  private tryUnbind(ksock: KsockState, name: string, replier: boolean): number {
    if (!ksock.isOpen) return -Errno.EBADF;
    const wrong = checkBindingName(name);
    if (wrong !== 0) return -wrong;
    const binding = (replier ? ksock.replying : ksock.listening).get(name);
    if (binding === undefined) return -Errno.EINVAL;
    if (replier && !this.bindReports.reportBind(false, ksock, name)) return -Errno.EAGAIN;
    this.remove(binding);
    const { queued } = binding;
    if (queued > 0) {
      this.state.work.done += ksock.queue.entries >> 3;
      this.dropQueued(ksock, binding);
    }
    this.state.observer?.unbound?.(binding, queued);
    return 0;
  }

  private remove(binding: KsockBinding): void {
    const { ksock, name, older } = binding;
    if (binding.replier) ksock.replying.delete(name);
    else if (older === null) ksock.listening.delete(name);
    else ksock.listening.set(name, older);
    this.state.routes.remove(binding);
    const { newerOfKsock, olderOfKsock } = binding;
    if (newerOfKsock === null) ksock.newestBinding = olderOfKsock;
    else newerOfKsock.olderOfKsock = olderOfKsock;
    if (olderOfKsock !== null) olderOfKsock.newerOfKsock = newerOfKsock;
    binding.newerOfKsock = null;
    binding.olderOfKsock = null;
    this.count--;
    ksock.bindings--;
    if (isWildcard(name)) {
      this.wildcards--;
      ksock.wildcards--;
    }
    ksock.hold(-costOfBinding(name));
  }

  /** Drops the unread messages that came by a binding; its Requests end with a Status. */
  private dropQueued(ksock: KsockState, binding: KsockBinding): void {
    const requests: RequestRecord[] = [];
    ksock.queue.remove(binding, (batch, read) => {
      for (let index = read; binding.replier && index < batch.count; index++) {
        const request = batch.requestOf(index);
        if (request !== null) requests.push(request);
      }
      if (ksock.pastLimit !== null) this.bindReports.release(ksock, batch);
      this.queueing.letGo(batch, ksock.share);
    });
    binding.queued = 0;
    for (const request of requests) request.isOwed = true;
    this.state.work.run(this.endUnbound(ksock, requests));
  }

  private *endUnbound(ksock: KsockState, requests: readonly RequestRecord[]): Steps {
    for (const request of requests) {
      this.queueing.ledger.apply(request, RequestEvent.UNBIND, ksock.id);
      yield;
    }
  }

  /** Removes all bindings of a Ksock that has closed, newest first. */
  *removeAll(ksock: KsockState): Steps {
    while (ksock.newestBinding !== null) {
      const binding = ksock.newestBinding;
      if (binding.replier) this.bindReports.reportLoss(ksock, binding.name);
      this.remove(binding);
      yield;
    }
  }

  /** Id of the Ksock bound as Replier to exactly this name, or 0. ENAMETOOLONG. */
  findReplier(name: string): number {
    if (name.length === 0 || name.length > MAX_NAME) return -Errno.ENAMETOOLONG;
    return this.state.routes.replierOf(name)?.ksock.id ?? 0;
  }

  /** The Ksock that would get this Request of a sender now; null when none would, or the bus would refuse it. */
  replierFor({ access }: KsockState, { name, to }: MessageBatch): KsockState | null {
    const { routes } = this.state;
    if (routes.known(name) === undefined && checkMessageName(name) !== 0) return null;
    if (access !== null && !access.maySend(name, false)) return null;
    const ksock = routes.find(name).replier?.ksock ?? null;
    return ksock !== null && (to === 0 || to === ksock.id) ? ksock : null;
  }
}

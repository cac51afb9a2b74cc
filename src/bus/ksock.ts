import { ASK, type OpCode } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import type { Right } from './access.ts';
import type { Engine } from './engine.ts';
import { type KsockOwner, KsockState, type KsockTraits } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import { whyCallRefused, whyRefused } from './refusal-reasons.ts';
import type { Steps } from './work.ts';

/**
 * One connection to a bus, as a driver sees it. Each call is done when it returns: 0 or more is its result, and a
 * negative number is an error number with its sign changed, as of a system call.
 */
export class BusKsock extends KsockState {
  private readonly engine: Engine;

  /** @internal */
  constructor(engine: Engine, id: number, owner: KsockOwner, traits: KsockTraits) {
    super(id, owner, engine.settings, traits);
    this.engine = engine;
  }

  /** Whether its access point gives this right (spec 1 §13.2). */
  has(right: Right): boolean {
    return this.access === null || this.access.has(right);
  }

  /** Whether it may see reports of the bus. */
  get mayReport(): boolean {
    return this.access === null || this.access.mayReport;
  }

  /**
   * Binds this Ksock to a name or wildcard (spec 1 §7.1). EADDRINUSE, EBADMSG, ENAMETOOLONG, EAGAIN, ENOMEM, ENOLCK, EBADF,
   * EACCES.
   */
  bind(name: string, replier: boolean): number {
    return this.engine.bindings.bind(this, name, replier);
  }

  /** Undoes the newest bind with these very arguments. EINVAL, EBADMSG, ENAMETOOLONG, EAGAIN. */
  unbind(name: string, replier: boolean): number {
    return this.engine.bindings.unbind(this, name, replier);
  }

  /** Id of the Ksock bound as Replier to exactly this name, or 0. ENAMETOOLONG, EACCES. */
  findReplier(name: string): number {
    if (this.access !== null && !this.access.mayFind(name)) return -Errno.EACCES;
    return this.engine.bindings.findReplier(name);
  }

  /**
   * Sends messages: all of spec 1 §6. A batch of more than one must have as many as `sendable` allows. The Reply to a
   * Request that `answersByToken` goes to `owner.answered`, with its token, instead of the queue. After -EAGAIN the
   * message waits, and `resend`, `poll` or `discard` go on with it.
   */
  send(batch: MessageBatch): number {
    return this.engine.delivery.send(this, batch);
  }

  /** How many of a batch's first messages `send` takes at once: 1, which it may refuse, or more. */
  sendable(batch: MessageBatch): number {
    return this.engine.sendable.count(this, batch);
  }

  /** Sends the waiting message again. ENOMSG when none waits. */
  resend(): number {
    return this.engine.delivery.resend(this);
  }

  /**
   * Whether a message may be written, after another try to send the one that waits; a Request that can never be sent
   * any more ends with a Status. False for a read-only Ksock.
   */
  poll(): boolean {
    return this.engine.delivery.poll(this);
  }

  /** Throws away the message that waits to be sent, if any. */
  discard(): number {
    return this.engine.delivery.discard(this);
  }

  /** The Ksock that would get this Request now; null when none would, or the bus would refuse it. */
  replierFor(request: MessageBatch): KsockState | null {
    return this.engine.bindings.replierFor(this, request);
  }

  /** The bus calls `owner.roomForRequests` when that queue has room, until `stopAwaiting`. */
  await(full: KsockState): void {
    this.engine.room.await(this, full);
  }

  /** A Request to this Replier waits, perhaps for memory: the bus calls `owner.roomForRequests` when there is some. */
  awaitMemory(replier: KsockState): void {
    this.engine.room.noteLackOf(replier);
  }

  stopAwaiting(full: KsockState): void {
    this.engine.room.stopAwaiting(this, full);
  }

  /**
   * Forgets a Request that was sent with this token (spec 1 §8.2): its place is free, and the bus refuses its Reply.
   * True when its Replier had not read it: it is out of the Replier's queue, and nobody carries it out. False for one
   * that was read or has ended.
   */
  forget(token: number): boolean {
    return this.engine.givingUp.forget(this, token);
  }

  /**
   * Takes the next message out of the queue; null when there is none. See `tookRequest`. `at` passes over that many
   * messages: urgent ones that overtook the message that the reader has been shown.
   */
  take(at = 0): MessageBatch | null {
    return this.engine.reading.take(this, at);
  }

  /** Takes `count` messages, which must be there, and gives none: their reader has them already. */
  takeMany(count: number, at = 0): void {
    this.engine.reading.takeMany(this, count, at);
  }

  /** How large in bytes the Reply of this Ksock to a Request may be; as any message, if it may not answer that. */
  maxReplySize(requester: number, network: number, serial: number): number {
    return this.engine.admission.maxReplySize(this, requester, network, serial);
  }

  /**
   * Why the bus has just refused a message of this Ksock: one sentence with the values that stood in the way, or ''.
   * It takes longer than the refusal did.
   */
  whyRefused(batch: MessageBatch, errno: number): string {
    return whyRefused(this.engine, this, batch, errno);
  }

  /** The same of a call, with its argument and text. */
  whyCallRefused(op: OpCode, argument: number, text: string, errno: number): string {
    return whyCallRefused(this.engine, this, op, argument, text, errno);
  }

  /** Sets how many messages the queue may hold, and returns it; 0 asks. */
  maxMessages(limit: number): number {
    return this.engine.switches.maxMessages(this, limit);
  }

  /** Sets (0, 1) or asks (0xFFFFFFFF) the once-only switch; returns what it was. EINVAL. */
  wantMessagesOnce(value: number): number {
    return this.engine.switches.wantMessagesOnce(this, value);
  }

  /** Whether it gets, as Listener, what it sends itself, likewise. At first it does. */
  hearOwn(value: number): number {
    return this.engine.switches.hearOwn(this, value);
  }

  /** The bus's switch for reports of Replier binds, likewise. EINVAL, EBUSY; EACCES, of a call that sets it. */
  reportReplierBinds(value: number): number {
    if (value !== ASK && !this.has('manage')) return -Errno.EACCES;
    return this.engine.switches.reportReplierBinds(this, value);
  }

  /** The bus's switch for its debug log, likewise. EINVAL; EACCES, of a call that sets it. */
  verbose(value: number): number {
    if (value !== ASK && !this.has('manage')) return -Errno.EACCES;
    return this.engine.switches.verbose(value);
  }

  /**
   * Sets the size in bytes of the largest message that may be sent, counted as in spec 1 §4.4, and returns it; 0 asks,
   * and 1 asks for the largest value that may be set. EINVAL; EACCES, of a call that sets it.
   */
  maxMessageSize(size: number): number {
    if (size > 1 && !this.has('manage')) return -Errno.EACCES;
    return this.engine.switches.maxMessageSize(size);
  }

  /** Work must be put off until the next turn (spec 1 §14.2): see `Work`. */
  get isTurnOver(): boolean {
    return this.engine.work.isTurnOver;
  }

  /** An event of the driver begins: see `Work.tick`. */
  tick(): void {
    this.engine.work.tick();
  }

  /** Counts steps that a driver has taken for this Ksock. */
  tookSteps(count: number): void {
    this.engine.work.done += count;
  }

  /** Takes the driver's steps: in this turn, or in later ones. */
  run(steps: Steps): void {
    this.engine.work.run(steps);
  }

  /**
   * Ends another Ksock, as if its program had died: 0. EACCES without the right to *manage*, EINVAL for this Ksock itself,
   * EADDRNOTAVAIL for one that is not open.
   */
  kick(id: number): number {
    if (!this.has('manage')) return -Errno.EACCES;
    if (id === this.id) return -Errno.EINVAL;
    return this.engine.departure.kick(this, id);
  }

  /** Leaves the bus (spec 1 §8.1). */
  close(): void {
    this.engine.departure.close(this);
  }
}

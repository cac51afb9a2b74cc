import { endianness } from 'node:os';

// A bus, written a second time from spec 1 and spec 2 alone: arrays, linear scans, and no state that
// can be computed. It shares no code with the engine. Where the specification leaves something open, the
// comment says Open.

/** spec 1 §4.2 */
export const WANT_A_REPLY = 1 << 0;
export const WANT_YOU_TO_REPLY = 1 << 1;
export const SYNTHETIC = 1 << 2;
export const URGENT = 1 << 3;
export const ALL_OR_WAIT = 1 << 8;
export const ALL_OR_FAIL = 1 << 9;

/** spec 1 §12.1: Linux's numbers. */
export const EBADF = 9;
export const EAGAIN = 11;
export const EBUSY = 16;
export const EINVAL = 22;
export const EPIPE = 32;
export const ENAMETOOLONG = 36;
export const ENOLCK = 37;
export const ENOMSG = 42;
export const EBADMSG = 74;
export const EMSGSIZE = 90;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ECONNREFUSED = 111;
export const EALREADY = 114;

export const ASK = 0xffff_ffff;
export const REPLIER_BIND_EVENT = '$.KBUS.ReplierBindEvent';
export const UNBIND_EVENTS_LOST = '$.KBUS.UnbindEventsLost';

/** The fields of spec 1 §4.1. An id is network and serial. */
export interface NaiveMessage {
  readonly network: number;
  readonly serial: number;
  readonly replyNetwork: number;
  readonly replySerial: number;
  readonly to: number;
  readonly from: number;
  readonly origFrom: readonly [network: number, local: number];
  readonly finalTo: readonly [network: number, local: number];
  readonly flags: number;
  readonly name: string;
  /** One character per byte. */
  readonly data: string;
}

export interface NaiveBinding {
  readonly ksock: NaiveKsock;
  readonly name: string;
  readonly replier: boolean;
  /** 1 for the first binding of the bus, 2 for the second, ... */
  readonly order: number;
}

/** A Request that was sent, or waits to be sent, and has no Reply or Status yet. */
export interface NaiveRequest {
  readonly message: NaiveMessage;
  readonly requester: NaiveKsock;
  /** 0 or more: the answer goes to the requester with this token, not through its queue. */
  readonly token: number;
  /** The Ksock it was given to; null while it waits to be sent. */
  readonly replier: NaiveKsock | null;
  state: 'waiting' | 'unread' | 'read';
  /** When it was read: 1 for the first Request that was read on this bus, ... */
  readAs: number;
  /** The maximum size when it was accepted. */
  readonly maxReplySize: number;
}

/** A message in a queue (spec 1 §5.2). */
export interface NaiveCopy {
  readonly message: NaiveMessage;
  /** spec 1 §5.2: "A Reply to its requester, and a Status, are tied to no binding." */
  readonly binding: NaiveBinding | null;
  /** The Request, when this is the one copy given to its Replier. */
  readonly toAnswer: NaiveRequest | null;
  /** A bind event that was queued past the limit (spec 1 §9.2). */
  readonly held: boolean;
}

export class NaiveKsock {
  readonly id: number;
  readonly mode: 'r' | 'rw';
  /** spec 1 §13.3: whether it may bind as Replier. */
  readonly mayReply: boolean;
  limit: number;
  open = true;
  queue: NaiveCopy[] = [];
  onlyOnce = false;
  hearsOwn = true;
  lastSent: readonly [network: number, serial: number] = [0, 0];
  lastQueued: readonly [network: number, serial: number] = [0, 0];
  /** The message that waits to be sent. */
  sending: NaiveMessage | null = null;
  sendingToken = -1;
  /** Copies that its full queue missed. */
  missed = 0;
  /** It got `$.KBUS.UnbindEventsLost`, and the held events before that are not all read (spec 1 §9.2). */
  toldOfLoss = false;
  /** An event for its program: a message was put at the front, or at the back, of its queue. */
  toldFront = 0;
  toldBack = 0;

  constructor(id: number, mode: 'r' | 'rw', mayReply: boolean, limit: number) {
    this.id = id;
    this.mode = mode;
    this.mayReply = mayReply;
    this.limit = limit;
  }
}

/** An answer with a token. */
export interface NaiveAnswer {
  readonly ksock: NaiveKsock;
  readonly token: number;
  readonly message: NaiveMessage;
}

export interface NaiveSettings {
  readonly maxMessages: number;
  readonly maxMessageSize: number;
  readonly absoluteMaxMessageSize: number;
  readonly nextSerial: number;
}

/** The recipients of a message, or the error. */
interface Verdict {
  readonly errno: number;
  readonly replier: NaiveBinding | null;
  readonly answers: NaiveRequest | null;
  readonly hear: readonly NaiveBinding[];
  readonly miss: readonly NaiveBinding[];
}

export class NaiveBus {
  /** The open ones, oldest first. */
  ksocks: NaiveKsock[] = [];
  /** Oldest first. */
  bindings: NaiveBinding[] = [];
  /** Oldest first. */
  requests: NaiveRequest[] = [];
  reporting = false;
  readonly answers: NaiveAnswer[] = [];
  nextId = 1;
  nextSerial: number;
  maxSize: number;
  private nextOrder = 1;
  private nextRead = 1;
  private readonly settings: NaiveSettings;

  constructor(settings: NaiveSettings) {
    this.settings = settings;
    this.nextSerial = settings.nextSerial;
    this.maxSize = settings.maxMessageSize;
  }

  // spec 1 §1: "an id, a u32 that counts from 1 upwards on each bus. A bus never reuses an id".
  open(mode: 'r' | 'rw', mayReply = true): NaiveKsock {
    const ksock = new NaiveKsock(this.nextId++, mode, mayReply, this.settings.maxMessages);
    this.ksocks.push(ksock);
    return ksock;
  }

  // Computed state.

  // spec 1 §5.1: "its unread messages, and the Requests it sent that are still unanswered".
  // spec 1 §6.10: "a Request that waits holds the place for its Reply".
  occupied(ksock: NaiveKsock): number {
    return ksock.queue.length + this.requests.filter((r) => r.requester === ksock).length;
  }

  // spec 1 §5.1: "A queue is full when occupied ≥ limit".
  isFull(ksock: NaiveKsock): boolean {
    return this.occupied(ksock) >= ksock.limit;
  }

  // spec 1 §10.3: "the number of Requests that were read and not yet answered".
  numUnrepliedTo(ksock: NaiveKsock): number {
    return this.requests.filter((r) => r.replier === ksock && r.state === 'read').length;
  }

  outstanding(ksock: NaiveKsock): number {
    return this.requests.filter((r) => r.requester === ksock && r.state !== 'waiting').length;
  }

  held(): number {
    return this.ksocks.flatMap((k) => k.queue).filter((copy) => copy.held).length;
  }

  // spec 1 §7.2: "The Replier with the most specific binding name gets the Request".
  replierFor(name: string): NaiveBinding | null {
    const all = this.bindings.filter((b) => b.replier && matches(b.name, name));
    return all.sort(mostSpecificFirst)[0] ?? null;
  }

  // spec 1 §5.3: "Of several matching bindings the newest keeps its copy". Open: in which order
  // listeners are served otherwise; it can't be seen.
  listenersFor(name: string): NaiveBinding[] {
    return this.bindings.filter((b) => !b.replier && matches(b.name, name)).reverse();
  }

  /** Whether a retry of the waiting message would succeed, or fail for good. */
  couldGoOn(ksock: NaiveKsock): boolean {
    return ksock.sending !== null && this.judge(ksock, ksock.sending).errno !== EAGAIN;
  }

  // Sending (spec 1 §6)

  send(sender: NaiveKsock, message: NaiveMessage, token: number): number {
    // As at the device, where write gives these two errors before there is a message.
    if (sender.mode === 'r' || !sender.open) return -EBADF;
    if (sender.sending !== null) return -EALREADY;
    // spec 1 §6.1, in the order of spec 2 §4.2: name length, ALL_ flags, size, name. Guards and
    // pointers are the device's.
    const { name, flags } = message;
    if (name.length === 0) return -EINVAL;
    if (name.length > 1000) return -ENAMETOOLONG;
    if (has(flags, ALL_OR_WAIT) && has(flags, ALL_OR_FAIL)) return -EINVAL;
    // spec 1 §4.3: "WANT_A_REPLY together with in_reply_to gets EINVAL".
    if (has(flags, WANT_A_REPLY) && isReply(message)) return -EINVAL;
    // spec 1 §13.4: "A lowered maximum message size holds for new messages only. Replies to Requests
    // that were already accepted, and Statuses, always pass": what was allowed when the Request was
    // accepted.
    const answered = this.answeredBy(sender, message);
    if (sizeOf(message) > Math.max(this.maxSize, answered?.maxReplySize ?? 0)) return -EMSGSIZE;
    if (!isSendable(name)) return -EBADMSG;
    // spec 1 §6.2: "A Request gets ENOLCK when the *sender's* queue is full. The send uses no id."
    if (isRequest(message) && this.isFull(sender)) return -ENOLCK;
    // spec 1 §14.4: "At most 16 unanswered Requests of one Ksock may have the same id".
    const same = this.requests.filter(
      (r) =>
        r.requester === sender &&
        r.state !== 'waiting' &&
        r.message.network === message.network &&
        r.message.serial === message.serial,
    );
    if (isRequest(message) && message.network !== 0 && same.length >= 16) return -ENOLCK;
    // spec 1 §6.3, with spec 1 §3 for the id, and spec 1 §4.2 for the flags that a user can't set.
    const sent: NaiveMessage = {
      ...message,
      from: sender.id,
      serial: message.network === 0 ? this.newSerial() : message.serial,
      flags: without(without(flags, WANT_YOU_TO_REPLY), SYNTHETIC),
    };
    sender.lastSent = [sent.network, sent.serial];

    const verdict = this.judge(sender, sent);
    if (verdict.errno === 0) this.serve(sender, sent, token, verdict);
    // spec 1 §6.10: "EAGAIN leaves the Ksock *sending*: it keeps the message and its id".
    if (verdict.errno === EAGAIN) {
      sender.sending = sent;
      sender.sendingToken = token;
      if (isRequest(sent)) {
        this.requests.push({
          message: sent,
          requester: sender,
          token,
          replier: null,
          state: 'waiting',
          readAs: 0,
          maxReplySize: 0,
        });
      }
    }
    return verdict.errno === 0 ? 0 : -verdict.errno;
  }

  /** `send` again (spec 1 §6.10). */
  resend(sender: NaiveKsock): number {
    if (sender.sending === null) return -ENOMSG;
    const { errno } = this.retry(sender);
    return errno === 0 ? 0 : -errno;
  }

  /** Becoming writable: the retry behind the user's back (spec 1 §6.11). */
  poll(sender: NaiveKsock): boolean {
    // spec 2 §6.4: "A read-only descriptor is never writable".
    if (sender.mode === 'r' || !sender.open) return false;
    if (sender.sending === null) return true;
    const { errno, request } = this.retry(sender);
    if (errno === EAGAIN) return false;
    // spec 1 §6.11: "a Request that can never succeed, the requester gets a Status, with `from` 0".
    if (errno !== 0 && request !== null) {
      const gone = this.replierFor(request.message.name) === null;
      const name = gone ? '$.KBUS.Replier.Disappeared' : '$.KBUS.ErrorSending';
      this.giveStatus(request, name, 0);
    }
    return true;
  }

  // spec 1 §8.2: "A requester may *forget* a Request that it sent. [...] A forgotten Request that the
  // Replier has not read leaves the Replier's queue". Open: what of one that is on its way to the
  // Replier's program. It counts as read: `shown` says how many messages at the front of a queue are.
  forget(
    requester: NaiveKsock,
    token: number,
    shown: (replier: NaiveKsock) => number = () => 0,
  ): boolean {
    const request = this.requests.find(
      (r) => r.requester === requester && r.token === token && r.state !== 'waiting',
    );
    if (request === undefined) return false;
    this.requests = this.requests.filter((r) => r !== request);
    if (request.state === 'read') return false;
    const replier = request.replier as NaiveKsock;
    const at = replier.queue.findIndex((copy) => copy.toAnswer === request);
    if (at < shown(replier)) return false;
    replier.queue.splice(at, 1);
    return true;
  }

  discard(sender: NaiveKsock): number {
    this.stopSending(sender);
    return 0;
  }

  private retry(sender: NaiveKsock): { errno: number; request: NaiveRequest | null } {
    const message = sender.sending as NaiveMessage;
    const token = sender.sendingToken;
    // spec 1 §6.10: "KBUS finds the recipients anew at each try."
    const verdict = this.judge(sender, message);
    if (verdict.errno === EAGAIN) return { errno: EAGAIN, request: null };
    const request = this.stopSending(sender);
    if (verdict.errno === 0) this.serve(sender, message, token, verdict);
    return { errno: verdict.errno, request };
  }

  private stopSending(sender: NaiveKsock): NaiveRequest | null {
    const waits = (r: NaiveRequest): boolean => r.requester === sender && r.state === 'waiting';
    const request = this.requests.find(waits) ?? null;
    sender.sending = null;
    sender.sendingToken = -1;
    this.requests = this.requests.filter((r) => !waits(r));
    return request;
  }

  // From spec 1 §6.4 to spec 1 §6.8: finds the recipients, and changes no state.
  private judge(sender: NaiveKsock, message: NaiveMessage): Verdict {
    const full = has(message.flags, ALL_OR_WAIT) ? EAGAIN : EBUSY;
    // docs/protocol.md, HEAR_OWN: a Ksock may not want as Listener what it sends itself.
    const listeners = this.listenersFor(message.name).filter(
      (b) => b.ksock !== sender || sender.hearsOwn,
    );
    const nobody: Verdict = { errno: 0, replier: null, answers: null, hear: [], miss: [] };
    let replier: NaiveBinding | null = null;
    let answers: NaiveRequest | null = null;

    if (isRequest(message)) {
      // spec 1 §6.4
      replier = this.replierFor(message.name);
      if (replier === null) return { ...nobody, errno: EADDRNOTAVAIL };
      // spec 1 §6.6
      if (message.to !== 0 && message.to !== replier.ksock.id) return { ...nobody, errno: EPIPE };
      // spec 1 §6.7
      if (this.isFull(replier.ksock)) return { ...nobody, errno: full };
    }
    if (isReply(message)) {
      // spec 1 §6.5
      const requester = this.ksocks.find((k) => k.id === message.to);
      if (requester === undefined) return { ...nobody, errno: EADDRNOTAVAIL };
      answers = this.answeredBy(sender, message);
      if (answers === null) return { ...nobody, errno: ECONNREFUSED };
    }
    // spec 1 §6.8: "KBUS checks once per binding, before it queues anything".
    const miss = listeners.filter((b) => this.isFull(b.ksock));
    const all = has(message.flags, ALL_OR_WAIT) || has(message.flags, ALL_OR_FAIL);
    if (all && miss.length > 0) return { ...nobody, errno: full };
    const hear = listeners.filter((b) => !miss.includes(b));
    return { errno: 0, replier, answers, hear, miss };
  }

  // The Request that a Reply answers (spec 1 §6.5); null for a Reply that is not wanted, and for a message
  // that is no Reply.
  private answeredBy(sender: NaiveKsock, message: NaiveMessage): NaiveRequest | null {
    if (!isReply(message)) return null;
    const wanted = this.requests.filter(
      (r) =>
        r.requester.id === message.to &&
        r.message.network === message.replyNetwork &&
        r.message.serial === message.replySerial &&
        r.replier === sender,
    );
    // Open: which one of several with the same id (spec 1 §3 lets Limpets' ids come twice).
    // One that was read: a Replier answers a Request that it has read rather than one that it has not.
    return wanted.find((r) => r.state === 'read') ?? wanted[0] ?? null;
  }

  // spec 1 §6.9: "KBUS queues the copy for the requester or the Replier first, then the copies for the
  // listeners. [...] A Request is now outstanding. [...] A Reply ends its Request."
  private serve(
    sender: NaiveKsock,
    message: NaiveMessage,
    token: number,
    { replier, answers, hear, miss }: Verdict,
  ): void {
    if (replier !== null) {
      const request: NaiveRequest = {
        message,
        requester: sender,
        token,
        replier: replier.ksock,
        state: 'unread',
        readAs: 0,
        // spec 1 §13.4: "A Reply of at most 256 bytes always passes".
        maxReplySize: Math.max(this.maxSize, 256),
      };
      this.requests.push(request);
      this.put(replier.ksock, { message, binding: replier, toAnswer: request, held: false });
    }
    if (answers !== null) {
      this.requests = this.requests.filter((r) => r !== answers);
      this.give(answers, message);
    }
    for (const { ksock } of miss) ksock.missed++;
    for (const binding of hear) this.putOnce(binding, message, false);
  }

  // spec 1 §5.1: "The place that is held for a Reply is free for that Reply": it goes in without asking.
  private give(request: NaiveRequest, message: NaiveMessage): void {
    const { requester, token } = request;
    if (token < 0) {
      this.put(requester, { message, binding: null, toAnswer: null, held: false });
    } else {
      // Open: for "once only" an answer with a token counts as queued.
      requester.lastQueued = [message.network, message.serial];
      this.answers.push({ ksock: requester, token, message });
    }
  }

  // spec 1 §4.3: "A Status is a Reply made by KBUS". It goes to its requester only.
  private giveStatus(request: NaiveRequest, name: string, from: number): void {
    this.requests = this.requests.filter((r) => r !== request);
    const status = this.synthetic(name, 0, '');
    this.give(request, {
      ...status,
      from,
      to: request.requester.id,
      replyNetwork: request.message.network,
      replySerial: request.message.serial,
    });
  }

  private synthetic(name: string, flags: number, data: string): NaiveMessage {
    return {
      network: 0,
      serial: this.newSerial(),
      replyNetwork: 0,
      replySerial: 0,
      to: 0,
      from: 0,
      origFrom: [0, 0],
      finalTo: [0, 0],
      flags: flags | SYNTHETIC,
      name,
      data,
    };
  }

  // spec 1 §3: "Serials start at 1, rise by one and skip 0 when they wrap".
  private newSerial(): number {
    const serial = this.nextSerial;
    this.nextSerial = serial + 1 === 2 ** 32 ? 1 : serial + 1;
    return serial;
  }

  // spec 1 §5.2: "KBUS puts an URGENT message at the front, and every other message at the back. [...]
  // the Ksock reads the copy for the requester (of a Reply) or for the Replier (of a Request) before any
  // listener's copy. [...] that order holds for URGENT messages too": a listener's copy goes behind it.
  private put(ksock: NaiveKsock, copy: NaiveCopy): void {
    const { message } = copy;
    const urgent = has(message.flags, URGENT);
    const front = ksock.queue[0];
    const isListeners = copy.binding !== null && !copy.binding.replier;
    const frontIsFirst =
      front !== undefined &&
      front.message === message &&
      (front.binding === null || front.binding.replier);
    if (!urgent) ksock.queue.push(copy);
    else if (isListeners && frontIsFirst) ksock.queue.splice(1, 0, copy);
    else ksock.queue.unshift(copy);
    ksock.lastQueued = [message.network, message.serial];
    if (urgent) ksock.toldFront++;
    else ksock.toldBack++;
  }

  // spec 1 §5.3: "KBUS drops a *listener* copy if the last thing queued to that Ksock was the same
  // message id".
  private putOnce(binding: NaiveBinding, message: NaiveMessage, held: boolean): void {
    const { ksock } = binding;
    const [network, serial] = ksock.lastQueued;
    if (ksock.onlyOnce && network === message.network && serial === message.serial) return;
    this.put(ksock, { message, binding, toAnswer: null, held });
  }

  // spec 1 §5.2: "`next` takes the message at the front"; or the one that was there when its reader was
  // shown it, before urgent ones overtook it.
  take(ksock: NaiveKsock, over: number): NaiveCopy | null {
    const [copy] = ksock.queue.splice(over, 1);
    if (copy === undefined) return null;
    const request = copy.toAnswer;
    if (request !== null && this.requests.includes(request)) {
      request.state = 'read';
      request.readAs = this.nextRead++;
    }
    return copy;
  }

  // Binding (spec 1 §7)

  bind(ksock: NaiveKsock, name: string, replier: boolean): number {
    if (!ksock.open) return -EBADF;
    if (name.length > 1000) return -ENAMETOOLONG;
    if (!isBindable(name)) return -EBADMSG;
    if (replier) {
      if (name === REPLIER_BIND_EVENT) return -EBADMSG;
      if (!ksock.mayReply) return -EBADF;
      // spec 1 §7.1: "There is at most one Replier binding per *binding name*. A second one gets
      // EADDRINUSE, even from the same Ksock".
      if (this.bindings.some((b) => b.replier && b.name === name)) return -EADDRINUSE;
    }
    // spec 1 §14.3: "at most 16 times".
    const same = this.bindings.filter((b) => b.ksock === ksock && b.name === name && !b.replier);
    if (!replier && same.length >= 16) return -ENOLCK;
    if (replier) {
      // spec 1 §9.1: "*before* the bind or unbind takes effect".
      if (!this.report(true, ksock, name)) return -EAGAIN;
    }
    this.bindings.push({ ksock, name, replier, order: this.nextOrder++ });
    return 0;
  }

  unbind(ksock: NaiveKsock, name: string, replier: boolean): number {
    if (!ksock.open) return -EBADF;
    if (name.length > 1000) return -ENAMETOOLONG;
    if (!isBindable(name)) return -EBADMSG;
    // spec 1 §7.3: "The arguments must match a binding of this Ksock exactly; otherwise the call gets
    // EINVAL. [...] With duplicates, one binding goes: the newest".
    const binding = this.bindings
      .filter((b) => b.ksock === ksock && b.name === name && b.replier === replier)
      .at(-1);
    if (binding === undefined) return -EINVAL;
    if (replier && !this.report(false, ksock, name)) return -EAGAIN;
    this.bindings = this.bindings.filter((b) => b !== binding);
    // spec 1 §7.3: "Unread messages tied to that binding leave the queue."
    const leave = ksock.queue.filter((copy) => copy.binding === binding);
    ksock.queue = ksock.queue.filter((copy) => copy.binding !== binding);
    // spec 1 §7.3: "Each Request among them gets the Status `$.KBUS.Replier.Unbound`, with `from` the
    // Replier". Open: in which order; that of the queue.
    for (const { toAnswer } of leave) {
      if (toAnswer !== null && this.requests.includes(toAnswer)) {
        this.giveStatus(toAnswer, '$.KBUS.Replier.Unbound', ksock.id);
      }
    }
    return 0;
  }

  // spec 1 §7.4, and spec 1 §2.3 for the errors.
  findReplier(name: string): number {
    if (name.length === 0 || name.length > 1000) return -ENAMETOOLONG;
    return this.bindings.find((b) => b.replier && b.name === name)?.ksock.id ?? 0;
  }

  // spec 1 §8.1: "Every unread Request given to this Ksock gets the Status `$.KBUS.Replier.GoneAway`.
  // [...] The bindings of the Ksock go. [...] Every Request that it read and did not answer gets the
  // Status `$.KBUS.Replier.Ignored`, the last read first."
  close(ksock: NaiveKsock): void {
    if (!ksock.open) return;
    ksock.open = false;
    this.ksocks = this.ksocks.filter((k) => k !== ksock);
    // spec 1 §6.10: "Closing the Ksock while it is sending drops the message."
    this.stopSending(ksock);
    // spec 1 §8.1: "KBUS forgets the outstanding Requests that the Ksock itself sent". First of all, or
    // it would feed Statuses to the closing Ksock itself.
    this.requests = this.requests.filter((r) => r.requester !== ksock);

    const unread = ksock.queue;
    ksock.queue = [];
    for (const { toAnswer } of unread) {
      if (toAnswer !== null && this.requests.includes(toAnswer)) {
        this.giveStatus(toAnswer, '$.KBUS.Replier.GoneAway', ksock.id);
      }
    }
    // spec 1 §9.2: "Closing a Ksock reports its bindings newest first."
    const bindings = this.bindings.filter((b) => b.ksock === ksock).reverse();
    for (const binding of bindings) {
      if (binding.replier) this.reportLoss(ksock, binding.name);
      this.bindings = this.bindings.filter((b) => b !== binding);
    }
    const read = this.requests.filter((r) => r.replier === ksock && r.state === 'read');
    for (const request of read.sort((a, b) => b.readAs - a.readAs)) {
      this.giveStatus(request, '$.KBUS.Replier.Ignored', ksock.id);
    }
  }

  // Reporting Replier binds (spec 1 §9)

  // spec 1 §9.1: "SYNTHETIC and ALL_OR_FAIL are set, and `from` is 0. [...] Each event uses a serial,
  // whether anybody hears it or not. A refused one uses a serial too."
  private bindEvent(isBind: boolean, binder: NaiveKsock, name: string): NaiveMessage {
    const zeros = 4 - (name.length % 4);
    const data = [word(isBind ? 1 : 0), word(binder.id), word(name.length), name];
    return this.synthetic(REPLIER_BIND_EVENT, ALL_OR_FAIL, data.join('') + '\0'.repeat(zeros));
  }

  // spec 1 §9.1: "If the queue of any of those listeners is full, the bind or unbind fails with EAGAIN,
  // and nothing changes."
  private report(isBind: boolean, binder: NaiveKsock, name: string): boolean {
    if (!this.reporting) return true;
    const event = this.bindEvent(isBind, binder, name);
    const listeners = this.listenersFor(REPLIER_BIND_EVENT);
    if (listeners.some((b) => this.isFull(b.ksock))) return false;
    for (const listener of listeners) this.putOnce(listener, event, false);
    return true;
  }

  // spec 1 §9.2: "KBUS cannot refuse the unbinds of a Replier that goes away. [...] KBUS queues those
  // events past the limit. [...] At most 1000 such events are held past limits per bus. [...] Beyond
  // that, a listener gets one `$.KBUS.UnbindEventsLost` (SYNTHETIC, `from` 0) instead. It gets no further
  // held event, and no further notice, until all held events have been read."
  private reportLoss(binder: NaiveKsock, name: string): void {
    if (!this.reporting) return;
    if (this.held() === 0) for (const ksock of this.ksocks) ksock.toldOfLoss = false;
    const event = this.bindEvent(false, binder, name);
    const listeners = this.listenersFor(REPLIER_BIND_EVENT).filter((b) => b.ksock.open);
    const full = listeners.filter((b) => this.isFull(b.ksock));
    // Open: whether each listener's is a message of its own. One event lost is one message.
    let lost: NaiveMessage | null = null;
    for (const listener of listeners) {
      const { ksock } = listener;
      if (!full.includes(listener)) {
        this.putOnce(listener, event, false);
      } else if (ksock.toldOfLoss) {
        ksock.missed++;
      } else if (this.held() < 1000) {
        this.putOnce(listener, event, true);
      } else {
        ksock.missed++;
        ksock.toldOfLoss = true;
        lost ??= this.synthetic(UNBIND_EVENTS_LOST, 0, '');
        this.put(ksock, { message: lost, binding: listener, toAnswer: null, held: false });
      }
    }
  }

  // spec 1 §9.3: "Turning the switch on queues, to the Ksock that did it, an event for every existing
  // Replier binding, newest first. [...] That happens also when the switch is on already [...] The call
  // gets EBUSY when the queue of the Ksock fills up. The switch stays on."
  reportReplierBinds(ksock: NaiveKsock, value: number): number {
    if (!ksock.open) return -EBADF;
    const before = this.reporting;
    if (value === ASK) return before ? 1 : 0;
    if (value !== 0 && value !== 1) return -EINVAL;
    this.reporting = value === 1;
    if (value === 1) {
      for (const binding of this.bindings.filter((b) => b.replier).reverse()) {
        const event = this.bindEvent(true, binding.ksock, binding.name);
        if (this.isFull(ksock)) return -EBUSY;
        this.put(ksock, { message: event, binding: null, toAnswer: null, held: false });
      }
    }
    return before ? 1 : 0;
  }

  // Settings (spec 1 §10)

  maxMessages(ksock: NaiveKsock, limit: number): number {
    if (limit !== 0) ksock.limit = limit;
    return ksock.limit;
  }

  wantMessagesOnce(ksock: NaiveKsock, value: number): number {
    const before = ksock.onlyOnce;
    if (value !== 0 && value !== 1 && value !== ASK) return -EINVAL;
    if (value !== ASK) ksock.onlyOnce = value === 1;
    return before ? 1 : 0;
  }

  hearOwn(ksock: NaiveKsock, value: number): number {
    const before = ksock.hearsOwn;
    if (value !== 0 && value !== 1 && value !== ASK) return -EINVAL;
    if (value !== ASK) ksock.hearsOwn = value === 1;
    return before ? 1 : 0;
  }

  maxMessageSize(size: number): number {
    const { absoluteMaxMessageSize } = this.settings;
    if (size === 0) return this.maxSize;
    if (size === 1) return absoluteMaxMessageSize;
    if (size < 100 || size > absoluteMaxMessageSize) return -EINVAL;
    this.maxSize = size;
    return this.maxSize;
  }
}

function has(flags: number, flag: number): boolean {
  return (flags & flag) !== 0;
}

function without(flags: number, flag: number): number {
  return (flags & ~flag) >>> 0;
}

function isRequest(message: NaiveMessage): boolean {
  return has(message.flags, WANT_A_REPLY);
}

// spec 1 §4.3: "A message is a Reply if either word of in_reply_to is non-zero."
function isReply(message: NaiveMessage): boolean {
  return message.replyNetwork !== 0 || message.replySerial !== 0;
}

// spec 1 §4.4: "88 + 4·⌈(name_len+1)/4⌉ + 4·⌈data_len/4⌉ + 4".
export function sizeOf({ name, data }: NaiveMessage): number {
  return 88 + 4 * Math.ceil((name.length + 1) / 4) + 4 * Math.ceil(data.length / 4) + 4;
}

// spec 1 §2.1: "name := '$' ( '.' word )+".
export function isSendable(name: string): boolean {
  const [dollar, ...words] = name.split('.');
  return dollar === '$' && words.length > 0 && words.every(isWord);
}

// spec 1 §2.1: "pattern := '$' ( '.' ( word | '%' ) )* ( '.' '*' )? [...] at least one part after the `$`".
export function isBindable(name: string): boolean {
  const [dollar, ...parts] = name.split('.');
  if (dollar !== '$' || parts.length === 0) return false;
  if (parts.at(-1) === '*') parts.pop();
  return parts.every((part) => part === '%' || isWord(part));
}

// spec 1 §2.1: "word := [A-Za-z0-9_-]+".
function isWord(text: string): boolean {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-';
  return text.length > 0 && [...text].every((letter) => letters.includes(letter));
}

// spec 1 §2.2: "`prefix.*` matches every name that begins with `prefix.`, at any depth below. [...] `%`
// matches exactly one word."
export function matches(bindingName: string, name: string): boolean {
  const [wanted, ...others] = bindingName.split('.');
  const [word, ...words] = name.split('.');
  if (wanted === undefined || word === undefined) return wanted === word;
  if (wanted === '*') return true;
  if (wanted !== '%' && wanted !== word) return false;
  if (others.length === 0 || words.length === 0) return others.length === words.length;
  return matches(others.join('.'), words.join('.'));
}

// spec 1 §7.2: "KBUS compares binding names word by word from the left: a word beats `%`, and `%` beats
// `*`". For bindings that match the same name, whose words are then the same where neither has a wildcard.
export function mostSpecificFirst(a: NaiveBinding, b: NaiveBinding): number {
  const ranks = ({ name }: NaiveBinding): number[] =>
    name.split('.').map((word) => (word === '*' ? 2 : word === '%' ? 1 : 0));
  const [ours, theirs] = [ranks(a), ranks(b)];
  const at = ours.findIndex((rank, index) => rank !== theirs[index]);
  return at < 0 ? 0 : (ours[at] as number) - (theirs[at] as number);
}

// spec 2 §7: "On the bus, the three words are in native byte order".
function word(value: number): string {
  const bytes = [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
  if (endianness() === 'BE') bytes.reverse();
  return String.fromCharCode(...bytes);
}

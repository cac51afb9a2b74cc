import type { Message } from '../../message/message.ts';
import { ProtocolError, SendDetail } from '../../wire/protocol.ts';
import type { Refused } from './port.ts';
import type { Tokens } from './tokens.ts';

/** A send in flight, or several of them, whose tokens lie between its own and that of the next one. */
export interface PendingSend {
  /** The number of sends. */
  count: number;
  /** The message; of several, the first. */
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  done(network: number, serial: number): void;
  /** `message` is the refused one, or what the daemon's REFUSED says of it. */
  failed(errno: number, message: Message): void;
}

/** Consecutive posts: the program waits for none of them alone, so one object counts them all. */
class PostedSends implements PendingSend {
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  readonly refused: Refused;
  count = 1;

  constructor(message: Message, detail: number, token: number, refused: Refused) {
    this.message = message;
    this.detail = detail;
    this.token = token;
    this.refused = refused;
  }

  done(): void {}

  failed(errno: number, message: Message): void {
    this.refused(errno, message);
  }
}

/** What InFlightSends needs of its port. */
export interface InFlightSendsHost {
  readonly isOpen: boolean;
  /** The backlog of the connection is so large that posts must wait. */
  readonly isCrowded: boolean;
  /** Writes a SEND. */
  put(message: Message, detail: number, token: number): void;
  /** Refuses a message that doesn't fit into a frame. */
  tooLarge(message: Message, failed: (errno: number) => void): void;
  /** Makes the call SYNC: after it, the daemon acknowledges without delay. Resolves with its RESULT. */
  sync(): Promise<unknown>;
}

/**
 * The sends of a port that are in flight, and the unsent ones that wait because the daemon limits the number and bytes of
 * pending sends.
 */
export class InFlightSends {
  private readonly host: InFlightSendsHost;
  private readonly tokens: Tokens;
  private maxCount = 0;
  private maxBytes = 0;
  private maxFrame = 0;

  /** The sends in flight, oldest first, from `first` on. */
  private started: PendingSend[] = [];
  private first = 0;
  private count = 0;
  private bytes = 0;
  /** The number of sends in flight with WAIT. */
  private waiting = 0;
  /** The number of sends that the last `take` has taken. */
  private taken = 0;
  private lastPosted: PostedSends | null = null;
  private unsent: PendingSend[] = [];

  /** Callers of `flushed`. */
  private idle: (() => void)[] = [];
  /** Callers of `ready`. */
  private roomy: (() => void)[] = [];
  private isSyncing = false;
  /** No message was sent since the last SYNC. */
  private isSynced = false;

  constructor(host: InFlightSendsHost, tokens: Tokens) {
    this.host = host;
    this.tokens = tokens;
  }

  /** Sets the limits of pending sends and their bytes of data (a single send may have more), and the longest frame. */
  limit(maxCount: number, maxBytes: number, maxFrame: number): void {
    this.maxCount = maxCount;
    this.maxBytes = maxBytes;
    this.maxFrame = maxFrame;
  }

  /** A send is in flight. */
  get isBusy(): boolean {
    return this.first < this.started.length;
  }

  /** A message sent now may queue behind others. */
  get mayWait(): boolean {
    return this.waiting > 0 || this.unsent.length > 0;
  }

  /** The program may post more messages. */
  get isReady(): boolean {
    return !this.host.isCrowded && this.unsent.length === 0 && this.mayPend(0);
  }

  fits(message: Message): boolean {
    return message.totalLength() <= this.maxFrame;
  }

  submit(pending: PendingSend): void {
    const { message } = pending;
    if (!this.fits(message)) this.host.tooLarge(message, (errno) => pending.failed(errno, message));
    else if (this.unsent.length > 0 || !this.mayPend(pending.message.dataLength)) {
      this.unsent.push(pending);
      // It waits for outcomes, which the daemon may delay (LAZY).
      this.syncIfWaited();
    } else {
      this.start(pending);
    }
  }

  /** Sends without a promise; calls `refused` for a refused message. */
  post(message: Message, detail: number, refused: Refused): void {
    const last = this.lastPosted;
    if (last !== null && last.count > 0 && this.mayPostMore(last, message, detail)) {
      last.count++;
      this.add(message, detail);
      this.host.put(message, detail, this.tokens.take());
    } else {
      const posts = new PostedSends(message, detail, this.tokens.take(), refused);
      this.submit(posts);
      this.lastPosted = posts;
    }
  }

  /**
   * Counts `count` more posts, whose data has `bytes` bytes, with the last one: the caller writes them. False if it must post
   * them one by one.
   */
  addPosts(count: number, bytes: number, detail: number): boolean {
    const last = this.lastPosted;
    const isLast = last !== null && last.count > 0 && this.started.at(-1) === last;
    if (!isLast || last.detail !== detail || this.unsent.length > 0) return false;
    if (this.count + count > this.maxCount || this.bytes + bytes > this.maxBytes) return false;
    last.count += count;
    this.addMany(count, bytes, detail);
    return true;
  }

  /** Whether the last PostedSends can count this message as well. */
  private mayPostMore(last: PostedSends, message: Message, detail: number): boolean {
    return (
      this.unsent.length === 0 &&
      this.started[this.started.length - 1] === last &&
      last.detail === detail &&
      this.fits(message) &&
      this.mayPend(message.dataLength)
    );
  }

  /** Withdraws the unsent send of this token; false if there is none. */
  withdraw(token: number): boolean {
    const at = this.unsent.findIndex((pending) => pending.token === token);
    if (at < 0) return false;
    this.unsent.splice(at, 1);
    return true;
  }

  private mayPend(bytes: number): boolean {
    return this.count === 0 || (this.count < this.maxCount && this.bytes + bytes <= this.maxBytes);
  }

  /** Counts a send in flight. */
  private add({ dataLength }: Message, detail: number): void {
    this.addMany(1, dataLength, detail);
  }

  private addMany(count: number, bytes: number, detail: number): void {
    this.count += count;
    this.isSynced = false;
    this.bytes += bytes;
    if ((detail & SendDetail.WAIT) !== 0) this.waiting += count;
  }

  /** Subtracts sends that had their outcome; the daemon's frame gives their bytes. */
  private subtract(count: number, detail: number): void {
    this.count -= count;
    if ((detail & SendDetail.WAIT) !== 0) this.waiting -= count;
  }

  private start(pending: PendingSend): void {
    this.started.push(pending);
    this.add(pending.message, pending.detail);
    this.host.put(pending.message, pending.detail, pending.token);
  }

  /** Handles SENT: the `count` oldest sends are done; their ids rise by one, and their data had `bytes` bytes. */
  done(count: number, network: number, serial: number, bytes: number): void {
    this.bytes -= bytes;
    // Only a Request that waits for ROOM has no id yet.
    const mayWaitForRoom = ((this.started[this.first]?.detail ?? 0) & SendDetail.ROOM) !== 0;
    if ((network | serial) === 0 && (count !== 1 || !mayWaitForRoom)) {
      throw new ProtocolError('SENT without an id');
    }
    for (let done = 0; done < count; done += this.taken) {
      this.takeAt(this.first, count - done).done(network, serial + done);
    }
    this.sendMore();
  }

  /**
   * Handles REFUSED of the send with this token, which may come before the outcomes of older ones: it was cancelled, or
   * there was no memory to let it wait behind them. Gives the message: `described`, made of the REFUSED, if the port did
   * not keep it.
   */
  refused(errno: number, token: number, described: Message, bytes: number): Message {
    this.bytes -= bytes;
    const pending = this.takeAt(this.placeOf(token), 1);
    const message = pending instanceof PostedSends ? described : pending.message;
    pending.failed(errno, message);
    this.sendMore();
    return message;
  }

  /** Where the send with this token is: mostly it is the oldest. */
  private placeOf(token: number): number {
    const { started } = this;
    const since = (at: number): number => (token - (started[at]?.token ?? 0)) >>> 0;
    let at = this.first;
    while (at + 1 < started.length && since(at + 1) < since(at)) at++;
    return at;
  }

  /** Takes at most `count` sends at `at`, oldest first, that had their outcome; sets `taken` to their number. */
  private takeAt(at: number, count: number): PendingSend {
    const pending = this.started[at];
    if (pending === undefined) throw new ProtocolError('an outcome without a send in flight');
    const taken = Math.min(count, pending.count);
    this.subtract(taken, pending.detail);
    pending.count -= taken;
    this.taken = taken;
    if (pending.count > 0) return pending;
    if (at > this.first) {
      this.started.splice(at, 1);
      return pending;
    }
    this.first++;
    if (this.first >= 1024 && this.first * 2 >= this.started.length) {
      this.started = this.started.slice(this.first);
      this.first = 0;
    }
    return pending;
  }

  private sendMore(): void {
    let at = 0;
    for (; at < this.unsent.length; at++) {
      const pending = this.unsent[at] as PendingSend;
      if (!this.mayPend(pending.message.dataLength)) break;
      this.start(pending);
    }
    if (at > 0) this.unsent = this.unsent.slice(at);
    this.noteRoom();
  }

  /** Resolves when no send is in flight. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.idle.push(resolve);
      this.noteRoom();
      if (this.idle.length > 0) this.sync();
    });
  }

  /** Resolves when the program may post more messages. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.roomy.push(resolve);
      this.noteRoom();
    });
  }

  /** Resolves the promises that the sends in flight no longer hold up. */
  noteRoom(): void {
    const { host } = this;
    if (this.unsent.length > 0) {
      this.syncIfWaited();
      return;
    }
    if (
      this.roomy.length > 0 &&
      // The backlog of a closed channel never shrinks.
      (!host.isOpen || !host.isCrowded) &&
      this.count * 2 <= this.maxCount &&
      this.bytes * 2 <= this.maxBytes
    ) {
      const { roomy } = this;
      this.roomy = [];
      for (const resolve of roomy) resolve();
    }
    if (this.idle.length > 0 && this.count === 0) {
      const { idle } = this;
      this.idle = [];
      for (const resolve of idle) resolve();
    }
    this.syncIfWaited();
  }

  /** Sends SYNC, and repeats it while more messages were sent in the meantime. */
  private sync(): void {
    if (this.isSyncing) return;
    this.isSyncing = true;
    this.isSynced = true;
    this.host.sync().then(
      () => {
        this.isSyncing = false;
        this.syncIfWaited();
      },
      () => {},
    );
  }

  /** Sends SYNC if a caller or an unsent message waits for outcomes that the daemon may delay. */
  private syncIfWaited(): void {
    if ((this.idle.length > 0 || this.unsent.length > 0) && !this.isSynced) this.sync();
  }

  /** The connection has ended: fails all sends. */
  end(errno: number): void {
    const unfinished = [...this.started.slice(this.first), ...this.unsent];
    this.started = [];
    this.first = 0;
    this.count = 0;
    this.bytes = 0;
    this.unsent = [];
    for (const pending of unfinished) pending.failed(errno, pending.message);
    this.noteRoom();
  }
}

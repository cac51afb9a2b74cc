import { Errno } from '../../message/errno.ts';
import type { Message } from '../../message/message.ts';
import { ProtocolError, SendDetail } from '../../wire/protocol.ts';
import type { Refused } from './port.ts';
import type { Tokens } from './tokens.ts';

/** A send whose outcome is to come; they come in the order of the sends. */
export interface PendingSend {
  /** How many sends this stands for. */
  count: number;
  /** Of several, the first. */
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  done(network: number, serial: number): void;
  /** `message` is what was refused, or what was told of it. */
  failed(errno: number, message: Message): void;
}

/** Very many sends, one behind the other: nobody waits for one alone. */
class PostedSends implements PendingSend {
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  readonly refused: Refused;
  /** How many have no outcome yet. */
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

/** What the sends of a port need of it. */
export interface InFlightSendsHost {
  readonly isOpen: boolean;
  /** So much went out and is still in this process that more must wait. */
  readonly isCrowded: boolean;
  /** Writes a SEND. */
  put(message: Message, detail: number, token: number): void;
  /** Fails for a message that doesn't fit into a frame, and says so. */
  tooLarge(message: Message, failed: (errno: number) => void): void;
  /** Asks for all outcomes; resolves when the daemon has begun to tell them. */
  sync(): Promise<unknown>;
}

/**
 * The sends of a port that are under way, until their outcomes come; and, behind them, those that must wait until
 * fewer are, for the daemon lets only so many be pending.
 */
export class InFlightSends {
  private readonly host: InFlightSendsHost;
  private readonly tokens: Tokens;
  private maxCount = 0;
  private maxBytes = 0;
  private maxFrame = 0;

  /** Those under way, oldest first, from `first` on. */
  private started: PendingSend[] = [];
  private first = 0;
  private count = 0;
  private bytes = 0;
  /** How many of them may wait for room. */
  private waiting = 0;
  /** How many had their outcome, of those that had it last. */
  private taken = 0;
  private lastPosted: PostedSends | null = null;
  private unsent: PendingSend[] = [];

  // Who waits until nothing is under way, and who until more may be posted.
  private idle: (() => void)[] = [];
  private roomy: (() => void)[] = [];
  private isSyncing = false;
  /** Nothing was sent since the last SYNC. */
  private isSynced = false;

  constructor(host: InFlightSendsHost, tokens: Tokens) {
    this.host = host;
    this.tokens = tokens;
  }

  /** So many sends may be pending, with so many bytes of data (one may have more), in frames up to this length. */
  limit(maxCount: number, maxBytes: number, maxFrame: number): void {
    this.maxCount = maxCount;
    this.maxBytes = maxBytes;
    this.maxFrame = maxFrame;
  }

  /** Something is under way. */
  get isBusy(): boolean {
    return this.first < this.started.length;
  }

  /** What is sent now may have to wait behind others. */
  get mayWait(): boolean {
    return this.waiting > 0 || this.unsent.length > 0;
  }

  /** More may be posted. */
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
      // It waits for outcomes, some of which would not be told yet.
      this.syncIfWaited();
    } else {
      this.start(pending);
    }
  }

  /** Sends what nobody waits for alone: `refused` is told of a message that is. */
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

  /** Whether a message can be counted as one more of the posts that were sent last. */
  private mayPostMore(last: PostedSends, message: Message, detail: number): boolean {
    return (
      this.unsent.length === 0 &&
      this.started[this.started.length - 1] === last &&
      last.detail === detail &&
      this.fits(message) &&
      this.mayPend(message.dataLength)
    );
  }

  /** Takes back a send that is not under way yet; false when it is. */
  withdraw(pending: PendingSend): boolean {
    const at = this.unsent.indexOf(pending);
    if (at < 0) return false;
    this.unsent.splice(at, 1);
    return true;
  }

  /** The same by its token. */
  withdrawToken(token: number): boolean {
    const pending = this.unsent.find((unsent) => unsent.token === token);
    return pending !== undefined && this.withdraw(pending);
  }

  private mayPend(bytes: number): boolean {
    return this.count === 0 || (this.count < this.maxCount && this.bytes + bytes <= this.maxBytes);
  }

  /** Counts a send that is under way. */
  private add({ dataLength }: Message, detail: number): void {
    this.count++;
    this.isSynced = false;
    this.bytes += dataLength;
    if ((detail & SendDetail.WAIT) !== 0) this.waiting++;
  }

  /** So many had their outcome; their bytes are told by the daemon. */
  private subtract(count: number, detail: number): void {
    this.count -= count;
    if ((detail & SendDetail.WAIT) !== 0) this.waiting -= count;
  }

  private start(pending: PendingSend): void {
    this.started.push(pending);
    this.add(pending.message, pending.detail);
    this.host.put(pending.message, pending.detail, pending.token);
  }

  /** So many sends, oldest first, are done; their ids rise by one, and their data had so many bytes. */
  done(count: number, network: number, serial: number, bytes: number): void {
    this.bytes -= bytes;
    // Only a Request that waits for room has had its turn, and no id yet.
    const isAside = ((this.started[this.first]?.detail ?? 0) & SendDetail.ROOM) !== 0;
    if ((network | serial) === 0 && (count !== 1 || !isAside)) {
      throw new ProtocolError('a send was done, and has no id');
    }
    for (let done = 0; done < count; done += this.taken) {
      this.take(count - done).done(network, serial + done);
    }
    this.sendMore();
  }

  /**
   * A send was refused: the oldest, unless it was cancelled, for then its outcome comes at once. The message
   * that was to be sent, or `told`, if that is all there is.
   */
  refused(errno: number, token: number, told: Message, bytes: number): Message {
    this.bytes -= bytes;
    const pending = errno === Errno.ECANCELED ? this.takeCancelled(token) : this.take(1);
    const message = pending instanceof PostedSends ? told : pending.message;
    pending.failed(errno, message);
    this.sendMore();
    return message;
  }

  private takeCancelled(token: number): PendingSend {
    const at = this.started.findIndex(
      (pending, index) => index > this.first && pending.token === token,
    );
    if (at < 0) return this.take(1);
    const [cancelled] = this.started.splice(at, 1) as [PendingSend];
    this.subtract(1, cancelled.detail);
    return cancelled;
  }

  /** Takes up to `count` sends, oldest first, whose outcome has come; `taken` is how many that were. */
  private take(count: number): PendingSend {
    const pending = this.started[this.first];
    if (pending === undefined) throw new ProtocolError('the outcome of a send that was not made');
    const taken = Math.min(count, pending.count);
    this.subtract(taken, pending.detail);
    pending.count -= taken;
    this.taken = taken;
    if (pending.count > 0) return pending;
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

  /** Resolves when all that was sent so far has had its outcome. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.idle.push(resolve);
      this.noteRoom();
      if (this.idle.length > 0) this.sync();
    });
  }

  /** Resolves when more may be posted. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.roomy.push(resolve);
      this.noteRoom();
    });
  }

  /** Less may be under way than before: who waits for that is told. */
  noteRoom(): void {
    const { host } = this;
    if (this.unsent.length > 0) {
      this.syncIfWaited();
      return;
    }
    if (
      this.roomy.length > 0 &&
      // What a closed channel holds will never go.
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

  /** Asks for all outcomes; and again for as long as more was sent in the meantime. */
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

  /** What was sent since the last SYNC is not told of by itself, and somebody may wait for it. */
  private syncIfWaited(): void {
    if ((this.idle.length > 0 || this.unsent.length > 0) && !this.isSynced) this.sync();
  }

  /** There will be no more outcomes. */
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

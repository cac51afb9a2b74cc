import { offAbort, onAbort } from '../../base/abort.ts';
import { NumberMap } from '../../base/number-map.ts';
import { SendQueue } from '../../bus/driver/send-queue.ts';
import type { BusKsock } from '../../bus/ksock.ts';
import type { MessageBatch } from '../../bus/message-batch.ts';
import { Flag } from '../../message/flags.ts';
import { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';
import { copyOf, messageOf } from './local-messages.ts';
import {
  type Explain,
  type PendingRequest,
  type PortError,
  portErrorFor,
  type Refused,
  refusedSend,
} from './port.ts';

type Settle = (result: number) => void;

/** The messages of batches have no tokens by which they could be cancelled: theirs are beyond all. */
const BATCH_TOKENS = 2 ** 33;

const NONE = -1;

/** The result of a send that waits: its outcome follows. */
const PENDING = 1;

/** The messages, Requests and Replies that a port sends to a bus in this process, and their outcomes. */
export class LocalSends {
  readonly queue: SendQueue;
  private readonly ksock: BusKsock;
  /** Called after a send was cancelled: callers of `writable` may go on. */
  private readonly cancelled: () => void;
  /** Why the Ksock is closed. */
  private readonly closedBy: () => PortError;
  /** Token of the message that is being submitted, or NONE; and its outcome so far. */
  private submitted = NONE;
  private outcome = PENDING;
  /** The refused message, while its outcome is reported. */
  private refused: { readonly batch: MessageBatch; readonly errno: number } | null = null;
  private nextToken = 0;
  private readonly settles = new Map<number, Settle>();
  private readonly requests = new NumberMap<PendingRequest>();
  private idle: (() => void)[] = [];
  /** Hears of each message of a batch that is refused. */
  private batchRefused: Refused = () => {};

  constructor(
    ksock: BusKsock,
    cancelled: () => void,
    paced: () => void,
    closedBy: () => PortError,
  ) {
    this.ksock = ksock;
    this.cancelled = cancelled;
    this.closedBy = closedBy;
    const done = (batch: MessageBatch, result: number): void => {
      if (batch.token >= BATCH_TOKENS) {
        if (result < 0) this.tellBatchRefused(batch, result);
        this.noteIdle();
        return;
      }
      if (batch.token === this.submitted) {
        this.outcome = result;
        return;
      }
      const settle = this.settles.get(batch.token);
      this.settles.delete(batch.token);
      this.tellOutcome(batch, result, settle);
      this.noteIdle();
    };
    this.queue = new SendQueue(ksock, done, paced);
  }

  /** While a refusal is reported: the bus's reason. */
  get why(): string {
    if (!this.ksock.isOpen) return this.closedBy().meaning ?? '';
    if (this.refused === null) return '';
    const { batch, errno } = this.refused;
    return this.ksock.whyRefused(batch, errno);
  }

  private tellOutcome(batch: MessageBatch, result: number, settle: Settle | undefined): void {
    this.refused = result < 0 ? { batch, errno: -result } : null;
    settle?.(result);
    this.refused = null;
  }

  send(
    message: Message,
    wait: boolean,
    signal: AbortSignal | undefined,
    explain: Explain,
  ): Promise<MessageId> {
    return new Promise((resolve) => {
      const batch = copyOf(message);
      const cancel = (): void => {
        this.queue.cancel(batch.token);
        this.cancelled();
      };
      const settle = (result: number): void => {
        if (result >= 0) resolve(new MessageId(batch.idNetwork, batch.idSerial));
        else resolve(refusedSend(-result, this.refusal(result), message, explain, signal));
      };
      const result = this.submit(batch, wait);
      if (result !== PENDING) {
        this.tellOutcome(batch, result, settle);
        return;
      }
      onAbort(signal, cancel);
      this.settles.set(batch.token, (late) => {
        offAbort(signal, cancel);
        settle(late);
      });
    });
  }

  post(message: Message, wait: boolean, refused: Refused): boolean {
    this.tell(message, copyOf(message), wait, refused);
    return this.queue.pending === 0;
  }

  /** Posts a batch of messages; all calls must give the same `refused`. */
  postBatch(batch: MessageBatch, wait: boolean, refused: Refused): boolean {
    this.batchRefused = refused;
    batch.token = BATCH_TOKENS;
    batch.waits = wait;
    this.ksock.tick();
    this.queue.submit(batch);
    return this.queue.pending === 0;
  }

  private tellBatchRefused(batch: MessageBatch, result: number): void {
    this.tellOutcome(batch, result, () => {
      for (let at = 0; at < batch.count; at++) {
        const one = batch.count === 1 ? batch : batch.one(at);
        this.batchRefused(-result, messageOf(one, false));
      }
    });
  }

  reply(message: Message, refused: Refused): void {
    // This Reply is refused, and sent again later; meanwhile its handler may change the memory of its data.
    if (this.ksock.isSending) message.data = new Uint8Array(message.data);
    this.tell(message, copyOf(message), false, refused);
  }

  request(message: Message, pending: PendingRequest, wait: boolean): void {
    const token = this.freeToken();
    pending.token = token;
    this.requests.set(token, pending);
    const batch = copyOf(message);
    batch.answersByToken = true;
    batch.awaitsRoom = wait;
    const waits = (message.flags & Flag.ALL_OR_WAIT) !== 0;
    this.tell(message, batch, waits, (errno) => {
      if (this.requests.take(token) !== undefined) pending.refused(this.refusal(-errno));
    });
  }

  /** Handles the Replies or Statuses to Requests from this token on. */
  answered(token: number, batch: MessageBatch): void {
    for (let at = 0; at < batch.count; at++) {
      const one = batch.count === 1 ? batch : batch.one(at);
      this.requests.take(token + at)?.answered(messageOf(one, false));
    }
  }

  forget({ token }: PendingRequest): boolean {
    if (this.requests.take(token) === undefined || !this.ksock.isOpen) return false;
    if (!this.queue.cancel(token)) return this.ksock.forget(token);
    this.cancelled();
    return true;
  }

  /** Sends without a promise, and without a function for each message that is done at once. */
  private tell(message: Message, batch: MessageBatch, wait: boolean, refused: Refused): void {
    const result = this.submit(batch, wait);
    if (result < 0) {
      this.tellOutcome(batch, result, () => refused(-result, message));
    } else if (result === PENDING) {
      this.settles.set(batch.token, (late) => {
        if (late < 0) refused(-late, message);
      });
    }
  }

  /** The next free token: after 2^32 tokens, an old one may still be in use. */
  private freeToken(): number {
    const { requests, settles } = this;
    let token = this.nextToken;
    if (requests.size > 0 || settles.size > 0) {
      while (requests.get(token) !== undefined || settles.has(token)) token = (token + 1) >>> 0;
    }
    this.nextToken = token;
    return token;
  }

  /** Gives the outcome, or PENDING. */
  private submit(batch: MessageBatch, wait: boolean): number {
    const token = batch.answersByToken ? this.nextToken : this.freeToken();
    this.nextToken = (token + 1) >>> 0;
    if (!this.ksock.isOpen) return -this.closedBy().errno;
    this.ksock.tick();
    batch.token = token;
    batch.waits = wait;
    if (wait) batch.flags = (batch.flags | Flag.ALL_OR_WAIT) >>> 0;
    this.submitted = token;
    this.outcome = PENDING;
    this.queue.submit(batch);
    this.submitted = NONE;
    return this.outcome;
  }

  /** Resolves when no send waits. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.idle.push(resolve);
      this.noteIdle();
    });
  }

  private noteIdle(): void {
    if ((this.ksock.isOpen && this.queue.pending > 0) || this.idle.length === 0) return;
    const { idle } = this;
    this.idle = [];
    for (const resolve of idle) resolve();
  }

  private refusal(result: number): PortError {
    return this.ksock.isOpen ? portErrorFor(-result, this.why) : this.closedBy();
  }

  /** The Ksock is closed: rejects all Requests. */
  endRequests(refusal: PortError): void {
    const requests = this.requests.oldestFirst(this.nextToken);
    this.requests.clear();
    for (const [, request] of requests) request.refused(refusal);
  }

  /** The Ksock is closed: fails all waiting sends. */
  endSends(): void {
    this.queue.close();
    for (const settle of this.settles.values()) settle(-this.closedBy().errno);
    this.settles.clear();
    this.noteIdle();
  }
}

import type { BusKsock } from '../bus/ksock.ts';
import type { MessageBatch } from '../bus/message-batch.ts';
import { wordsFrame } from '../wire/frame.ts';
import { FrameKind, SendDetail } from '../wire/protocol.ts';
import type { ExplanationBudget } from './explanation-budget.ts';
import type { Outbox } from './outbox.ts';

/**
 * The most sends of one connection that may be pending, and the most bytes of their data (a single send may exceed it). With twice as
 * many, mixed traffic is no faster, and the daemon takes a third more memory.
 */
export const MAX_PENDING_SENDS = 8192;
export const MAX_PENDING_BYTES = 1024 * 1024;

/** To report a refusal costs about as much as so many deliveries. */
export const REFUSAL_STEPS = 16;

/**
 * Acknowledges a client's sends, in their order. One SENT acknowledges consecutive sends; it may be delayed if all of
 * them are LAZY. A REFUSED is written at once.
 */
export class Acknowledgements {
  private readonly outbox: Outbox;
  private readonly ksock: BusKsock;
  private readonly explanationBudget: ExplanationBudget;
  // The sends that are done and not acknowledged: `count` of them, with consecutive tokens and serial numbers.
  private token = 0;
  private count = 0;
  private network = 0;
  private serial = 0;
  /** Bytes of their data. */
  private bytes = 0;
  /** All of them are LAZY. */
  private isLazy = false;
  /** The client has called SYNC, and sends from before that are still pending. */
  private isSyncing = false;

  constructor(outbox: Outbox, ksock: BusKsock, explanationBudget: ExplanationBudget) {
    this.outbox = outbox;
    this.ksock = ksock;
    this.explanationBudget = explanationBudget;
  }

  /** The sends of a batch are done: `result` is 0 or -errno. */
  done(batch: MessageBatch, result: number): void {
    if (result < 0) this.refused(batch, -result);
    else if ((batch.detail & SendDetail.QUIET) === 0) this.sent(batch);
  }

  private sent(batch: MessageBatch): void {
    const { token, detail, idNetwork, idSerial } = batch;
    const { count } = this;
    if (
      count > 0 &&
      token === this.token + count &&
      idSerial === this.serial + count &&
      idNetwork === this.network
    ) {
      this.count += batch.count;
    } else {
      this.flush();
      this.token = token;
      this.count = batch.count;
      this.network = idNetwork;
      this.serial = idSerial;
      this.isLazy = true;
    }
    this.bytes += batch.dataBytes;
    if ((detail & SendDetail.LAZY) === 0) this.isLazy = false;
  }

  private refused(batch: MessageBatch, errno: number): void {
    this.flush();
    this.ksock.tookSteps(REFUSAL_STEPS);
    const { token, detail, idNetwork, idSerial, replyNetwork, replySerial } = batch;
    const { to, flags, dataLength, name } = batch;
    const ids = [idNetwork, idSerial, replyNetwork, replySerial];
    const words = [errno, ...ids, to, flags, dataLength, name.length];
    const explain = (): string => this.ksock.whyRefused(batch, errno);
    const text = name + this.explanationBudget.why('send', errno, explain);
    const isQuiet = (detail & SendDetail.QUIET) !== 0;
    this.outbox.frame(wordsFrame(FrameKind.REFUSED, isQuiet ? 2 : 1, 0, token, words, text));
  }

  /**
   * A Request has left the send queue to wait for the Replier to answer others. It is acknowledged now, so that it
   * doesn't count against the client's limit; later only a refusal is reported.
   */
  aside(batch: MessageBatch): void {
    if ((batch.detail & SendDetail.QUIET) !== 0) return;
    batch.detail |= SendDetail.QUIET;
    this.flush();
    this.outbox.words(FrameKind.SENT, batch.token, 4, 1, 0, 0, batch.dataLength);
  }

  /** The client waits until all sends that are pending now are acknowledged. */
  sync(): void {
    this.isSyncing = true;
    this.flush();
  }

  /** Acknowledges what is due, with `pending` sends still pending. LAZY sends are due at a quarter of a limit. */
  flushDue(pending: number): void {
    if (this.isSyncing) this.isSyncing = pending > 0;
    else if (
      this.isLazy &&
      this.count < MAX_PENDING_SENDS / 4 &&
      this.bytes < MAX_PENDING_BYTES / 4
    ) {
      return;
    }
    this.flush();
  }

  /** Acknowledges all sends that are done. A client must learn that its Request was sent before it reads the Reply. */
  flush(): void {
    const { count } = this;
    if (count === 0) return;
    const { token, network, serial, bytes } = this;
    this.outbox.words(FrameKind.SENT, token, 4, count, network, serial, bytes);
    this.bytes = 0;
    this.count = 0;
  }
}

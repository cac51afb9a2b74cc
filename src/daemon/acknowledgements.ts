import type { BusKsock } from '../bus/ksock.ts';
import type { MessageBatch } from '../bus/message-batch.ts';
import { wordsFrame } from '../wire/frame.ts';
import { FrameKind, SendDetail } from '../wire/protocol.ts';
import type { Explanations } from './explanations.ts';
import type { Outbox } from './outbox.ts';

/** How many sends of one connection may be pending, and how many bytes they may have (one send may have more). */
export const MAX_PENDING_SENDS = 16_384;
export const MAX_PENDING_BYTES = 2 * 1024 * 1024;

/**
 * Tells a client the outcomes of its sends, in the order of the sends: of those that are done, one SENT for as many as
 * follow each other, which may be late when nobody waits for it (LAZY); a refusal at once.
 */
export class Acknowledgements {
  private readonly outbox: Outbox;
  private readonly ksock: BusKsock;
  private readonly explanations: Explanations;
  // Sends that are done and that the client doesn't know of: `count` of them, whose tokens and serials follow each other.
  private token = 0;
  private count = 0;
  private network = 0;
  private serial = 0;
  /** Bytes of their data. */
  private bytes = 0;
  /** Nobody waits to be told of them. */
  private isLazy = false;
  /** The client waits for the outcomes of all that is pending. */
  private isSyncing = false;

  constructor(outbox: Outbox, ksock: BusKsock, explanations: Explanations) {
    this.outbox = outbox;
    this.ksock = ksock;
    this.explanations = explanations;
  }

  /** The sends of a batch have had their outcome: 0, or an error number with its sign changed. */
  done(batch: MessageBatch, result: number): void {
    if (result < 0) this.refused(batch, -result);
    else if ((batch.detail & SendDetail.QUIET) === 0) this.sent(batch);
  }

  private sent(batch: MessageBatch): void {
    const { ticket: token, detail, idNetwork, idSerial } = batch;
    const { count } = this;
    if (
      count > 0 &&
      token === this.token + count &&
      idSerial === this.serial + count &&
      idNetwork === this.network
    ) {
      this.count += batch.count;
    } else {
      this.tell();
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
    this.tell();
    const { ticket, detail, idNetwork, idSerial, replyNetwork, replySerial } = batch;
    const { to, flags, dataLength, name } = batch;
    const ids = [idNetwork, idSerial, replyNetwork, replySerial];
    const words = [errno, ...ids, to, flags, dataLength, name.length];
    const text = name + this.explanations.why(() => this.ksock.whyRefused(batch, errno));
    const isQuiet = (detail & SendDetail.QUIET) !== 0;
    this.outbox.frame(wordsFrame(FrameKind.REFUSED, isQuiet ? 2 : 1, 0, ticket, words, text));
  }

  /** A Request waits for room, aside from other sends: the client learns that it had its turn, and later of a refusal only. */
  aside(batch: MessageBatch): void {
    if ((batch.detail & SendDetail.QUIET) !== 0) return;
    batch.detail |= SendDetail.QUIET;
    this.tell();
    this.outbox.words(FrameKind.SENT, 0, batch.ticket, 4, 1, 0, 0, batch.dataLength);
  }

  /** The client waits for the outcomes of all sends that are pending now. */
  sync(): void {
    this.isSyncing = true;
    this.tell();
  }

  /**
   * Tells what is due, with so many sends pending. Outcomes that nobody waits for are due when they are a good part of
   * what may be pending.
   */
  tellDue(pending: number): void {
    if (this.isSyncing) this.isSyncing = pending > 0;
    else if (
      this.isLazy &&
      this.count < MAX_PENDING_SENDS / 4 &&
      this.bytes < MAX_PENDING_BYTES / 4
    ) {
      return;
    }
    this.tell();
  }

  /** Tells all that is done. A client must know that its Request was sent before it reads the Reply. */
  tell(): void {
    const { count } = this;
    if (count === 0) return;
    const { token, network, serial, bytes } = this;
    this.outbox.words(FrameKind.SENT, 0, token, 4, count, network, serial, bytes);
    this.bytes = 0;
    this.count = 0;
  }
}

import { wordsFrame } from '../../wire/frame.ts';
import type { FrameReader } from '../../wire/frame-reader.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';
import { Prefetch } from '../../wire/prefetch.ts';
import { FrameKind, MAX_CONSUMED } from '../../wire/protocol.ts';
import type { PrefetchedBatch } from './prefetched-batch.ts';
import { PrefetchedQueue } from './prefetched-queue.ts';
import type { ReadableWaits } from './readable-waits.ts';

/** The credit that the client grants for a reader of many. */
const CREDIT_MESSAGES = 8192;

/** The client does not report fewer consumed messages than this while the rest of a frame is on its way. */
const MIN_REPORTED_MESSAGES = 16;

/** What Prefetching needs of its port. */
export interface PrefetchingHost {
  /** Calls `flush` after the input that has arrived was handled. */
  deferLonger(flush: () => void): void;
  /** Makes the call RECALL; resolves with its RESULT. */
  recall(): Promise<unknown>;
}

/**
 * The client's side of prefetching: grants credit, reports in each frame how many messages the program has consumed,
 * and returns the others.
 */
export class Prefetching {
  /** The messages that the program has not consumed. */
  readonly queue = new PrefetchedQueue();
  /** The port is handling input: it reports what the program consumes meanwhile at the end of that. */
  isReceiving = false;
  private readonly host: PrefetchingHost;
  private readonly writer: FrameWriter;
  private readonly reader: FrameReader;
  private readonly waits: ReadableWaits;
  private readonly prefetch = new Prefetch();
  /** Messages that are consumed and not reported. */
  private consumed = 0;
  private consumedAtLast = 0;
  private isReportDue = false;
  /** Messages may be prefetched, or on their way. */
  private isActive = false;
  /** Unanswered RECALLs. */
  private recalls = 0;
  // While the program goes on consuming, delay the report: each one wakes the daemon.
  private readonly report = (): void => {
    if (this.consumed > this.consumedAtLast && this.consumed * 8 < CREDIT_MESSAGES) {
      this.consumedAtLast = this.consumed;
      this.host.deferLonger(this.report);
      return;
    }
    this.isReportDue = false;
    if (this.consumed > 0) this.writer.flush();
  };

  constructor(
    host: PrefetchingHost,
    writer: FrameWriter,
    reader: FrameReader,
    waits: ReadableWaits,
  ) {
    this.host = host;
    this.writer = writer;
    this.reader = reader;
    this.waits = waits;
  }

  /** A RECALL is unanswered: the bus has taken back all messages that arrive until then. */
  get isRecalling(): boolean {
    return this.recalls > 0;
  }

  received(batch: PrefetchedBatch): void {
    this.prefetch.prefetch(batch.left);
    this.queue.pushBatch(batch);
  }

  receivedUrgent(batch: PrefetchedBatch): void {
    this.prefetch.prefetchUrgent();
    this.prefetch.acknowledge();
    this.put(FrameKind.URGENT_ACK, 0, 0, []);
    this.queue.pushFirst(batch);
  }

  /** The program gets messages of the queue. */
  noteConsumed(count = 1): void {
    this.prefetch.consume(count);
    this.consumed += count;
    if (this.consumed * 2 >= CREDIT_MESSAGES) this.writer.flushSoon();
    else if (!this.isReceiving) this.reportSoon();
  }

  /** The input was handled: sends the frames made meanwhile; if there are none, reports later. */
  endReceiving(): void {
    if (this.consumed * 2 >= CREDIT_MESSAGES) {
      this.writer.flush();
    } else {
      this.writer.release();
      this.reportSoon();
    }
  }

  private reportSoon(): void {
    if (this.consumed === 0 || this.isReportDue) return;
    // The rest of a frame is on its way: report these together with its messages.
    if (this.consumed < MIN_REPORTED_MESSAGES && this.reader.missing > 0) return;
    this.isReportDue = true;
    this.consumedAtLast = 0;
    this.host.deferLonger(this.report);
  }

  /** Sends a frame of words, which also reports the consumed messages. */
  put(kind: number, detail: number, token: number, words: number[], text = ''): void {
    const consumed = this.takeConsumed();
    if (text !== '' || words.length > 1) {
      this.writer.frame(wordsFrame(kind, detail, consumed, token, words, text));
    } else {
      this.writer.word(kind, detail, consumed, token, words[0]);
    }
  }

  /** The number of consumed messages, for the frame that reports it. */
  takeConsumed(): number {
    while (this.consumed > MAX_CONSUMED) {
      this.consumed -= MAX_CONSUMED;
      this.writer.word(FrameKind.CREDIT, 0, MAX_CONSUMED, 0, 0);
    }
    const { consumed } = this;
    this.consumed = 0;
    return consumed;
  }

  /** A reader waits for messages: grants credit. */
  begin(): void {
    if (this.prefetch.credit > 0 || this.isRecalling) return;
    this.isActive = true;
    this.prefetch.grant(CREDIT_MESSAGES);
    this.put(FrameKind.CREDIT, 0, 0, [CREDIT_MESSAGES]);
  }

  /** Reports the consumed messages, and grants further credit when half of it is spent. */
  topUp(): void {
    const { credit, prefetched } = this.prefetch;
    const grantable = CREDIT_MESSAGES - credit - prefetched;
    const isWanted = credit > 0 || (this.waits.hasSubscriber && !this.isRecalling);
    const more = isWanted && grantable * 2 >= CREDIT_MESSAGES ? grantable : 0;
    if (this.consumed === 0 && more === 0) return;
    this.prefetch.grant(more);
    this.put(FrameKind.CREDIT, 0, 0, [more]);
  }

  /** Returns the prefetched messages, so that the daemon's queue holds all unread ones. */
  recall(): void {
    if (!this.isActive) return;
    this.isActive = false;
    this.recalls++;
    this.host.recall().then(
      () => {
        this.recalls--;
        if (this.waits.hasReader || this.waits.hasSubscriber) this.begin();
      },
      () => {},
    );
    this.queue.clear();
    this.prefetch.recall();
  }
}

import { wordsFrame } from '../../wire/frame.ts';
import type { FrameReader } from '../../wire/frame-reader.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';
import { Prefetch } from '../../wire/prefetch.ts';
import { FrameKind, MAX_CONSUMED } from '../../wire/protocol.ts';
import type { PrefetchedBatch } from './prefetched-batch.ts';
import { PrefetchedQueue } from './prefetched-queue.ts';
import type { ReadableWaits } from './readable-waits.ts';

/** How many messages the daemon may send in advance to a reader of many. */
const CREDIT_MESSAGES = 8192;

/** Fewer consumed messages are not reported while more of the same frame is known to come. */
const MIN_REPORTED_MESSAGES = 16;

/** What prefetching needs of its port. */
export interface PrefetchingHost {
  /** Calls back after what has come in by now was seen to. */
  deferLonger(flush: () => void): void;
  /** Makes the call RECALL; resolves when it is answered. */
  recall(): Promise<unknown>;
}

/**
 * The messages that the daemon sends in advance, as their reader sees it: grants credit, reports with each frame what
 * the program has consumed, and returns what it has not.
 */
export class Prefetching {
  /** What the program has not consumed yet. */
  readonly queue = new PrefetchedQueue();
  /** What comes in is being seen to: what is consumed meanwhile is reported behind it. */
  isReceiving = false;
  private readonly host: PrefetchingHost;
  private readonly writer: FrameWriter;
  private readonly reader: FrameReader;
  private readonly waits: ReadableWaits;
  private readonly prefetch = new Prefetch();
  /** How many messages were consumed and not reported. */
  private consumed = 0;
  private consumedAtLast = 0;
  private isReportDue = false;
  /** Something may be prefetched, or on its way. */
  private isActive = false;
  /** How many RECALLs are not answered. */
  private recalls = 0;
  // While more is being consumed, it is reported less often: each report wakes the daemon.
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

  /** What was on its way when it was recalled has gone back to the queue: nothing that comes now is to be read. */
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

  /** The program is given a message of the queue. */
  noteConsumed(): void {
    this.prefetch.consume(1);
    this.consumed++;
    if (this.consumed * 2 >= CREDIT_MESSAGES) this.writer.flushSoon();
    else if (!this.isReceiving) this.reportSoon();
  }

  /** What came in was seen to: sends what that has made, or, if that is nothing, reports later. */
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
    // A frame is half there: what is consumed of what comes with the rest of it is reported with this.
    if (this.consumed < MIN_REPORTED_MESSAGES && this.reader.missing > 0) return;
    this.isReportDue = true;
    this.consumedAtLast = 0;
    this.host.deferLonger(this.report);
  }

  /** Sends a frame of words, which reports what was consumed too. */
  put(kind: number, detail: number, token: number, words: number[], text = ''): void {
    const consumed = this.takeConsumed();
    if (text !== '' || words.length > 1) {
      this.writer.frame(wordsFrame(kind, detail, consumed, token, words, text));
    } else {
      this.writer.word(kind, detail, consumed, token, words[0]);
    }
  }

  /** How many were consumed, for the frame that reports it. */
  takeConsumed(): number {
    while (this.consumed > MAX_CONSUMED) {
      this.consumed -= MAX_CONSUMED;
      this.writer.word(FrameKind.CREDIT, 0, MAX_CONSUMED, 0, 0);
    }
    const { consumed } = this;
    this.consumed = 0;
    return consumed;
  }

  /** Somebody waits for messages. */
  begin(): void {
    if (this.prefetch.credit > 0 || this.isRecalling) return;
    this.isActive = true;
    this.prefetch.grant(CREDIT_MESSAGES);
    this.put(FrameKind.CREDIT, 0, 0, [CREDIT_MESSAGES]);
  }

  /** Reports what was consumed, and grants credit for as much again, unless it needn't be reported yet. */
  topUp(): void {
    const { credit, prefetched } = this.prefetch;
    const room = CREDIT_MESSAGES - credit - prefetched;
    const isWanted = credit > 0 || (this.waits.hasSubscriber && !this.isRecalling);
    const more = isWanted && room * 2 >= CREDIT_MESSAGES ? room : 0;
    if (this.consumed === 0 && more === 0) return;
    this.prefetch.grant(more);
    this.put(FrameKind.CREDIT, 0, 0, [more]);
  }

  /** Returns what is prefetched, so that the daemon's queue holds all that is unread. */
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

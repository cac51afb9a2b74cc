import { remark } from './output.ts';

/** The interval between two reports: millions of messages may be missed. */
const REPORT_INTERVAL_MS = 1000;

/** Reports missed messages on stderr: the first at once, later ones at intervals. */
export class MissedMessages {
  private readonly maxMessages: number;
  /** Missed messages that are not reported yet. */
  private count = 0;
  private timer: NodeJS.Timeout | null = null;

  /** `maxMessages` is the length of the Ksock's queue. */
  constructor(maxMessages: number) {
    this.maxMessages = maxMessages;
  }

  add(count: number): void {
    this.count += count;
    if (this.timer !== null) return;
    this.report();
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.count > 0) this.add(0);
    }, REPORT_INTERVAL_MS).unref();
  }

  /** Reports what add() has not reported yet. */
  report(): void {
    if (this.count > 0) reportMissed(this.count, this.maxMessages);
    this.count = 0;
  }
}

function reportMissed(count: number, maxMessages: number): void {
  const [missed, limit] = [count, maxMessages].map((number) => number.toLocaleString('en'));
  remark(
    `missed ${missed} ${count === 1 ? 'message' : 'messages'}: they arrived faster than it could print them, and its queue was full (at ${limit} messages, or at the bytes of kbus serve --max-queued-bytes-per-ksock). Listen to fewer names, print to a file, raise --queue, or send with --wait.`,
  );
}

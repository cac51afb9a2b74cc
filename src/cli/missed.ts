import { remark } from './output.ts';

/** Milliseconds between two remarks: messages may be missed by the million. */
const PAUSE = 1000;

/** Says how many messages were missed: the first time at once, and then now and then. */
export class MissedMessages {
  private count = 0;
  private pause: NodeJS.Timeout | null = null;

  /** So many more were missed by a Ksock whose queue holds `queue` messages. */
  add(count: number, queue: number): void {
    this.count += count;
    if (this.pause !== null) return;
    this.tell(queue);
    this.pause = setTimeout(() => {
      this.pause = null;
      if (this.count > 0) this.add(0, queue);
    }, PAUSE).unref();
  }

  /** Says what was not said yet. */
  tell(queue: number): void {
    if (this.count > 0) reportMissed(this.count, queue);
    this.count = 0;
  }
}

/** Says that messages were missed, and what to do. */
export function reportMissed(count: number, queue: number): void {
  const [missed, full] = [count, queue].map((number) => number.toLocaleString('en'));
  remark(
    `missed ${missed} ${count === 1 ? 'message' : 'messages'}: they came faster than it printed them, and its queue was full (${full} messages, or the bytes of kbus serve --max-queued-bytes-per-ksock). Listen to fewer names, print to a file, or send with --wait.`,
  );
}

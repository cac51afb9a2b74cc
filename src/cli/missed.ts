import type { Ksock } from '../client/ksock.ts';
import { remark } from './output.ts';

/** Says how many messages a Ksock missed as a listener, when it is told to look. */
export class Missed {
  private readonly ksock: Ksock;
  private readonly queue: number;
  private told = 0;

  /** The queue of the Ksock holds so many messages. */
  constructor(ksock: Ksock, queue: number) {
    this.ksock = ksock;
    this.queue = queue;
  }

  /** Says how many it missed since it looked last. Rejects when the bus doesn't tell. */
  async look(): Promise<void> {
    const { ksocks } = await this.ksock.stats();
    const missed = ksocks.find(({ ksock }) => ksock === this.ksock.id)?.missed ?? 0;
    if (missed > this.told) reportMissed(missed - this.told, this.queue);
    this.told = missed;
  }
}

/** Says that messages were missed, and what to do. */
export function reportMissed(count: number, queue: number): void {
  const [missed, full] = [count, queue].map((number) => number.toLocaleString('en'));
  remark(
    `missed ${missed} ${count === 1 ? 'message' : 'messages'}: they came faster than it printed them, and its queue was full (${full} messages, or the bytes of kbus serve --max-queued-bytes-per-ksock). Listen to fewer names, print to a file, or send with --wait.`,
  );
}

import type { Timers } from '../../base/timers.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';

/** A client leaves without the answer of a daemon that neither reads nor answers for this time. */
const UNANSWERED_CLOSE_MS = 5000;

/** Resolves when the daemon has answered CLOSE (`closed`), or has not read for {@link UNANSWERED_CLOSE_MS}. */
export function whenLeft(
  closed: Promise<unknown>,
  writer: FrameWriter,
  timers: Timers,
): Promise<void> {
  return new Promise((resolve) => {
    const left = (): void => {
      timers.clearTimeout(timer);
      resolve();
    };
    closed.then(left, left);
    writer.flush();
    let { backlog } = writer;
    const wait = (): void => {
      const isReading = writer.backlog < backlog;
      backlog = writer.backlog;
      if (isReading) timer = timers.setTimeout(wait, UNANSWERED_CLOSE_MS);
      else left();
    };
    let timer = timers.setTimeout(wait, UNANSWERED_CLOSE_MS);
  });
}

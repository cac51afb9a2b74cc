import type { Timers } from '../../base/timers.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';

/** How long a daemon may take nothing and say nothing before a client leaves without its answer. */
const UNANSWERED_CLOSE_MS = 5000;

/** Resolves when the daemon has answered that the Ksock has left (`closed`), or seems to take nothing any more. */
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
      const isTaking = writer.backlog < backlog;
      backlog = writer.backlog;
      if (isTaking) timer = timers.setTimeout(wait, UNANSWERED_CLOSE_MS);
      else left();
    };
    let timer = timers.setTimeout(wait, UNANSWERED_CLOSE_MS);
  });
}

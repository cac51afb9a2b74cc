import type { Missed } from './options.ts';

/** What is told of missed messages when nobody listens to that: one warning, for each Ksock. */
export function warnOfMissed(
  target: string,
  warn: (text: string) => void,
): (missed: Missed) => void {
  let isTold = false;
  return ({ count, name }) => {
    if (isTold) return;
    isTold = true;
    const what = count === 1 ? `a message '${name}'` : `${count} messages, the first '${name}'`;
    warn(
      `kbus: a Ksock of ${target} missed ${what}: they came faster than it read, and its queue was full. Read faster, set a longer queue (setMaxMessages), or let senders wait (wait: true). Ksock.open's onMissed is told each time; this warning comes once.`,
    );
  };
}

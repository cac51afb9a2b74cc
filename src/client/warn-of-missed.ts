import { escaped } from '../base/escape.ts';
import { MAX_NAME } from '../message/name.ts';
import type { Missed } from './options.ts';

/** The default of `onMissed`: one warning for each Ksock. */
export function warnOfMissed(
  target: string,
  warn: (text: string) => void,
): (missed: Missed) => void {
  let hasWarned = false;
  return ({ count, name }) => {
    if (hasWarned) return;
    hasWarned = true;
    const first = `'${escaped(name.slice(0, MAX_NAME))}'`;
    const what = count === 1 ? `a message ${first}` : `${count} messages, the first ${first}`;
    warn(
      `kbus: a Ksock of ${target} missed ${what}, because its queue was full. Read faster, raise the limit of the queue (setMaxMessages), or let senders wait (wait: true). The client warns once; pass onMissed to Ksock.open to learn of each miss.`,
    );
  };
}

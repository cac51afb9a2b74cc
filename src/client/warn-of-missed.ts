import type { Missed } from './ksock.ts';

/** What is told of missed messages when nobody listens to that: one warning, for each Ksock. */
export function warnOfMissed(target: string): (missed: Missed) => void {
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

/** As Node warns; elsewhere, on the console. */
function warn(text: string): void {
  const { process } = globalThis as {
    process?: { emitWarning?: (text: string, name: string) => void };
  };
  if (process?.emitWarning !== undefined) process.emitWarning(text, 'KbusWarning');
  else console.warn(text);
}

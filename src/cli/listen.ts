import type { Command } from 'commander';
import { typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { eachMessage } from './each-message.ts';
import { unlessAborted, untilEnded } from './ending.ts';
import { Missed } from './missed.ts';
import { print, remark } from './output.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';

/** Messages that may wait to be printed: more than programs want to hold, for nobody is to be slowed down by a look. */
const QUEUE = 100_000;
/** After so many messages, it looks whether some were missed. */
const OFTEN = 10_000;
/** Milliseconds that the last look may take. */
const LAST_LOOK = 200;

interface ListenOptions extends BusOptions, ShowOptions {
  count?: number;
  json?: true;
}

export function configure(command: Command): void {
  addShowOptions(addBusOptions(command))
    .argument(
      '<names...>',
      "names to listen to, such as '$.Actor.Speak', or wildcards: '$.Actor.*'",
    )
    .option('-n, --count <number>', 'end after this many messages', wholeNumber(1, 0xffff_ffff))
    .addHelpText(
      'after',
      `
Prints each message when it comes, until Ctrl-C. A name that ends in * takes all names below it, and a %
in a name takes any one word. What matches two of the names comes twice. When messages come faster than
they are printed, and some are missed, it says so on stderr.

Examples:
  kbus listen '$.*'
  kbus listen '$.Actor.Speak' '$.Room.%.Temp' --full
  kbus listen '$.Clock.Tick' --count 1 --json`,
    )
    .action(listen);
}

async function listen(names: string[], options: ListenOptions): Promise<void> {
  const bindings = names.map(typedName);
  await using ksock = await openKsock(options);
  const missed = new Missed(ksock, await untilEnded(ksock.setMaxMessages(QUEUE)));
  for (const name of bindings) await untilEnded(ksock.bind(name));
  remark(`listening to ${bindings.map((name) => `'${name}'`).join(', ')} on bus ${options.bus}`);
  let count = 0;
  try {
    await eachMessage(ksock, options.count, async (message) => {
      await print(showMessage(message, options));
      if (++count % OFTEN === 0) await untilEnded(missed.look());
    });
  } finally {
    // The bus may have gone away, or not answer.
    await unlessAborted(missed.look(), AbortSignal.timeout(LAST_LOOK)).catch(() => {});
  }
}

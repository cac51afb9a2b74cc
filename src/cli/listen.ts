import type { Command } from 'commander';
import { typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { eachMessage } from './each-message.ts';
import { untilEnded } from './ending.ts';
import { MissedMessages } from './missed.ts';
import { print, remark } from './output.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';

/** Messages that may wait to be printed: more than programs want to hold, for nobody is to be slowed down by a look. */
const QUEUE = 100_000;

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
  const missed = new MissedMessages();
  await using ksock = await openKsock(options, 'rw', ({ count }) => missed.add(count, QUEUE));
  await untilEnded(ksock.setMaxMessages(QUEUE));
  for (const name of bindings) await untilEnded(ksock.bind(name));
  remark(`listening to ${bindings.map((name) => `'${name}'`).join(', ')} on bus ${options.bus}`);
  try {
    await eachMessage(ksock, options.count, (message) => print(showMessage(message, options)));
  } finally {
    missed.tell(QUEUE);
  }
}

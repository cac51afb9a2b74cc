import type { Command } from 'commander';
import { typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { eachMessage } from './each-message.ts';
import { MissedMessages } from './missed.ts';
import { print, remark } from './output.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';

/** The queue's length: larger than a program's, so that watching a bus does not slow its senders down. */
const MAX_QUEUED_MESSAGES = 100_000;

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
Prints each message as it arrives, until Ctrl-C. In a name, * at the end matches all names below it, and %
matches any one word. A message that matches two of the names is printed twice. If messages arrive faster
than they can be printed, some are missed: stderr says how many.

Examples:
  kbus listen '$.*'
  kbus listen '$.Actor.Speak' '$.Room.%.Temp' --full
  kbus listen '$.Clock.Tick' --count 1 --json`,
    )
    .action(listen);
}

async function listen(names: string[], options: ListenOptions): Promise<void> {
  const bindings = names.map(typedName);
  const missed = new MissedMessages(MAX_QUEUED_MESSAGES);
  await using ksock = await openKsock(options, 'rw', {
    onMissed: ({ count }) => missed.add(count),
  });
  await answered(ksock.setMaxMessages(MAX_QUEUED_MESSAGES), options);
  for (const name of bindings) await answered(ksock.bind(name), options);
  remark(`listening to ${bindings.map((name) => `'${name}'`).join(', ')} on bus ${options.bus}`);
  try {
    await eachMessage(ksock, options.count, (message) => print(showMessage(message, options)));
  } finally {
    missed.report();
  }
}

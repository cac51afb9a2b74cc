import type { Command } from 'commander';
import { typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { Ending, ended, ending } from './ending.ts';
import { print, remark } from './output.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';

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
in a name takes any one word. What matches two of the names comes twice.

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
  for (const name of bindings) await ksock.bind(name);
  remark(`listening to ${bindings.map((name) => `'${name}'`).join(', ')} on bus ${options.bus}`);
  ended().then(() => ksock.close());
  let left = options.count ?? Number.POSITIVE_INFINITY;
  try {
    for await (const message of ksock) {
      await print(showMessage(message, options));
      if (--left === 0) break;
    }
  } catch (error) {
    if (!(error instanceof Ending)) throw error;
  }
  // Ctrl-C is how one stops listening; but not all that was asked for has come.
  if (left > 0 && options.count !== undefined) ending.throwIfAborted();
}

import process from 'node:process';
import type { Command } from 'commander';
import { KbusError } from '../message/error.ts';
import { Flag } from '../message/flags.ts';
import { Request } from '../message/message.ts';
import { type DataOptions, seconds, typedData, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { ending } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';
import { kbusCommand, quoted } from './self.ts';
import { addShowOptions, forTerminal, type ShowOptions, showMessage } from './show.ts';

interface RequestOptions extends BusOptions, DataOptions, ShowOptions {
  to?: number;
  timeout?: number;
  urgent?: true;
  json?: true;
}

export function configure(command: Command): void {
  addShowOptions(addBusOptions(command))
    .argument('<name>', "name of the Request, such as '$.Actor.Ask'")
    .argument('[data]', 'its data; - reads it from stdin')
    .option('--hex', 'the data is given in hex, such as 00ff41')
    .option('--to <ksock>', 'only this Ksock may answer (stateful)', wholeNumber(1, 0xffff_ffff))
    .option('--timeout <seconds>', 'how long to wait for the Reply (default: for ever)', seconds)
    .option('--urgent', 'goes before the messages that wait to be read')
    .addHelpText(
      'after',
      `
Prints the data of the Reply: as it is, or, when it is no text and stdout is a terminal, escaped.
Somebody must reply; if nobody does yet, start a Replier in another terminal with the first line:

Examples:
  kbus reply '$.Actor.Ask' 'Yes, yes I was'
  kbus request '$.Actor.Ask' 'Were you speaking to me?'
  kbus request '$.Actor.Ask' 'And now?' --timeout 5 --full`,
    )
    .action(request);
}

async function request(
  name: string,
  data: string | undefined,
  options: RequestOptions,
): Promise<void> {
  const { to = 0, timeout, urgent } = options;
  const flags = urgent ? Flag.URGENT : 0;
  const message = new Request(typedName(name), await typedData(data, options), { to, flags });
  await using ksock = await openKsock(options);
  const wait = timeout === undefined ? { signal: ending } : { signal: ending, timeout };
  const reply = await ksock.request(message, null, wait).catch((error: unknown) => {
    if (!(error instanceof KbusError) || error.code !== 'EADDRNOTAVAIL') throw error;
    const text = `${error.message}
Nobody replies to that name now. To try it out, in another terminal:
  ${kbusCommand()} reply ${quoted(name)} 'an answer'`;
    throw new Failure(Exit.REFUSED, text, error);
  });
  if (options.full || options.dump || options.json) await print(showMessage(reply, options));
  else await print(process.stdout.isTTY ? forTerminal(reply.data) : reply.data);
}

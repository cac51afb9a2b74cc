import process from 'node:process';
import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { quoted } from '../base/quoted.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { Flag } from '../message/flags.ts';
import { Request } from '../message/message.ts';
import { type DataOptions, timeSpan, typedData, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { end, ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print, write } from './output.ts';
import { kbusCommand } from './self.ts';
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
    .option('--hex', 'the data is in hex, such as 00ff41')
    .option('--to <ksock>', 'only this Ksock may answer (stateful)', wholeNumber(1, 0xffff_ffff))
    .option(
      '--timeout <time>',
      'time limit from the start of the command to the Reply, such as 5s or 500ms (default: none)',
      timeSpan,
    )
    .option('--urgent', 'put it before all unread messages of the Replier')
    .addHelpText(
      'after',
      `
Prints the data of the Reply: to a file or a pipe byte for byte; to a terminal as text, with control
characters and binary data escaped.
A program must reply to the name. To try it out, start one in another terminal with the first line:

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
  const { bus, to = 0, timeout, urgent } = options;
  typedName(name);
  using limit = new TimeLimit(timeout);
  limit.next('read the data from stdin', 'stdin has not ended');
  const flags = urgent ? Flag.URGENT : 0;
  const message = new Request(name, await typedData(data, options), { to, flags });
  limit.next(`open bus ${bus}`, 'its daemon does not answer: it is suspended, or very busy');
  await using ksock = await openKsock(options);
  limit.next(`send Request '${name}'`);
  // A Replier may take its time, but the daemon answers at once.
  answered(ksock.numMessages(), options).catch(() => {});
  const replied = untilEnded(ksock.request(message, null, { signal: ending }));
  const reply = await replied.catch((error: unknown) => {
    if (!(error instanceof KbusError) || error.code !== 'EADDRNOTAVAIL') throw error;
    const text = `${escaped(error.message)}
To try it out, start a Replier in another terminal:
  ${kbusCommand()} reply ${quoted(name)} 'an answer'`;
    throw new Failure(Exit.REFUSED, text, error);
  });
  limit[Symbol.dispose]();
  if (options.full || options.dump || options.json) await print(showMessage(reply, options));
  else await (process.stdout.isTTY ? print(forTerminal(reply.data)) : write(reply.data));
}

/** Ends the command at its deadline, whichever step it is at. */
class TimeLimit {
  private readonly timer: NodeJS.Timeout | undefined;
  private step = '';
  private meaning: string | undefined;

  /** Starts now; `timeoutMs` is undefined for no limit. */
  constructor(timeoutMs: number | undefined) {
    if (timeoutMs === undefined) return;
    this.timer = setTimeout(() => {
      const what = `${this.step} within ${timeoutMs} ms`;
      const { meaning } = this;
      const options = meaning === undefined ? {} : { meaning };
      end(new KbusError('request', Errno.ETIMEDOUT, what, options));
    }, timeoutMs);
  }

  /** The next step begins. `meaning` explains a timeout in it; by default, the meaning of ETIMEDOUT for a Request. */
  next(step: string, meaning?: string): void {
    this.step = step;
    this.meaning = meaning;
  }

  /** Without it, a command that has failed would wait for its deadline. */
  [Symbol.dispose](): void {
    clearTimeout(this.timer);
  }
}

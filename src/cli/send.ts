import type { Command } from 'commander';
import { Flag } from '../message/flags.ts';
import { Announcement } from '../message/message.ts';
import { type DataOptions, typedData, typedName } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { ending, untilEnded } from './ending.ts';
import { print, printJson } from './output.ts';

interface SendOptions extends BusOptions, DataOptions {
  urgent?: true;
  wait?: true;
  fail?: true;
}

export function configure(command: Command): void {
  addBusOptions(command)
    .argument('<name>', "name of the message, such as '$.Actor.Speak'")
    .argument('[data]', 'its data; - reads it from stdin')
    .option('--hex', 'the data is in hex, such as 00ff41')
    .option('--urgent', 'put it before all unread messages of its listeners')
    .option('--wait', 'wait until no queue of a listener is full (ALL_OR_WAIT)')
    .addOption(
      command
        .createOption('--fail', 'fail if the queue of a listener is full (ALL_OR_FAIL)')
        .conflicts('wait'),
    )
    .addHelpText(
      'after',
      `
Prints the id of the message. To have no listeners is not an error.

Examples:
  kbus send '$.Actor.Speak' 'Hello there'
  date | kbus send '$.Clock.Tick' -
  kbus send '$.Lamp.Set' --hex 01ff --urgent`,
    )
    .action(send);
}

async function send(name: string, data: string | undefined, options: SendOptions): Promise<void> {
  const flags = (options.urgent ? Flag.URGENT : 0) | (options.fail ? Flag.ALL_OR_FAIL : 0);
  const message = new Announcement(typedName(name), await typedData(data, options), { flags });
  await using ksock = await openKsock(options);
  const sent = ksock.sendMsg(message, { wait: options.wait === true, signal: ending });
  const id = await (options.wait ? untilEnded(sent) : answered(sent, options));
  await (options.json ? printJson({ id: { ...id } }) : print(`${id}\n`));
}

import type { Command } from 'commander';
import { wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { printJson, remark } from './output.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .argument('<ksock>', 'id of the Ksock; kbus stats shows the ids', wholeNumber(1, 0xffff_ffff))
    .addHelpText(
      'after',
      `
Ends a Ksock of another program, as if that program had died: its bindings go, and each Request that it has not
answered gets a Status. Its calls fail with ECONNABORTED, which says who ended it, and it does not reconnect by itself.
It needs an access point with the right to manage. It works even if the daemon has as many connections as it may.

Examples:
  kbus kick 17
  kbus kick 17 --bus 1`,
    )
    .action(kick);
}

async function kick(id: number, options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r', { manage: true });
  await answered(ksock.kick(id), options);
  if (options.json) await printJson({ bus: options.bus, kicked: id });
  else remark(`ended Ksock ${id} of bus ${options.bus}`);
}

import process from 'node:process';
import type { Command } from 'commander';
import { quoted } from '../base/quoted.ts';
import { explain } from '../client/explain.ts';
import { Ksock, type KsockOptions } from '../client/ksock.ts';
import { findBus, knock, NoBusError } from '../client/ports/find-bus.ts';
import type { Mode } from '../message/calls.ts';
import { KbusError } from '../message/error.ts';
import { wholeNumber } from './arguments.ts';
import { ended, ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { kbusCommand } from './self.ts';

/** The options of every command that uses a bus. */
export interface BusOptions {
  bus: number;
  directory?: string;
  access?: string;
  json?: true;
}

export function addBusOptions(command: Command): Command {
  return command
    .option('-b, --bus <number>', 'number of the bus', wholeNumber(0, 0xffff_ffff), 0)
    .option(
      '--directory <folder>',
      "folder of the daemon's sockets (default: $KBUS_DIR, the user's, the system's)",
    )
    .option(
      '--access <name>',
      'name of an access point of the bus, with rights of its own (default: the one without a name)',
    )
    .option('--json', 'print JSON: one object per line');
}

/**
 * Opens a Ksock on the bus of the options; `await using` closes it. Throws a Failure that says what to run if there is
 * no such bus. A command that ends by a signal does not wait for the close: the daemon notices the end of its process.
 */
export async function openKsock(
  options: BusOptions,
  mode: Mode = 'rw',
  more: Pick<KsockOptions, 'onMissed' | 'manage'> = {},
): Promise<Ksock> {
  const { bus, directory, access } = options;
  try {
    const opened = Ksock.open(bus, {
      mode,
      directory,
      access,
      // `kbus listen`
      name: `kbus ${process.argv[2] ?? ''}`,
      signal: ending,
      ...more,
    });
    const ksock = await untilEnded(opened);
    const dispose = async (): Promise<void> => {
      await Promise.race([ksock.close(), ended()]);
    };
    return Object.assign(ksock, { [Symbol.asyncDispose]: dispose });
  } catch (error) {
    throw openFailure(error);
  }
}

function openFailure(error: unknown): unknown {
  if (!(error instanceof KbusError) || error.code !== 'ENOENT') return error;
  const { cause } = error;
  if (!(cause instanceof NoBusError)) return error;
  return new Failure(Exit.NO_BUS, cause.lines(kbusCommand()), error);
}

/** The folder of the daemon that serves the bus of the options, for child processes. */
export async function directoryOf({
  bus,
  directory,
  access,
}: Omit<BusOptions, 'json'>): Promise<string> {
  try {
    return (await untilEnded(findBus({ bus, access }, directory, knock))).directory;
  } catch (error) {
    throw openFailure(explain('open', error, `open bus ${bus}`));
  }
}

/** The shell command that starts a daemon in the given folder. */
export function serveCommand(directory: string | undefined): string {
  const command = `${kbusCommand()} serve`;
  return directory === undefined ? command : `${command} --directory ${quoted(directory)}`;
}

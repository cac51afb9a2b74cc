import { existsSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import type { Mode } from '../bus/ksock.ts';
import { socketDirectory, socketPath } from '../client/directory.ts';
import { Ksock } from '../client/ksock.ts';
import { KbusError } from '../message/error.ts';
import { wholeNumber } from './arguments.ts';
import { ended, ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { kbusCommand, quoted } from './self.ts';

/** What every command that speaks to a bus may be told. */
export interface BusOptions {
  bus: number;
  directory?: string;
  json?: true;
}

export function addBusOptions(command: Command): Command {
  return command
    .option('-b, --bus <number>', 'number of the bus', wholeNumber(0, 0xffff_ffff), 0)
    .option('--directory <folder>', "folder of the daemon's sockets (default: as `kbus serve`)")
    .option('--json', 'print JSON: one object a line');
}

/**
 * Opens a Ksock on the bus that the options name. A Failure that says what to run if there is none. With the command it
 * is closed; one that is to end at once leaves that to the end of its process, which the daemon sees when it can.
 */
export async function openKsock(options: BusOptions, mode: Mode = 'rw'): Promise<Ksock> {
  const directory = directoryOf(options);
  try {
    const opened = Ksock.open(options.bus, { mode, directory, signal: ending });
    const ksock = await untilEnded(opened);
    const dispose = async (): Promise<void> => {
      await Promise.race([ksock.close(), ended()]);
    };
    return Object.assign(ksock, { [Symbol.asyncDispose]: dispose });
  } catch (error) {
    if (!(error instanceof KbusError) || error.code !== 'ENOENT') throw error;
    throw new Failure(Exit.NO_BUS, noBus(options, directory), error);
  }
}

/** The folder that was given, or the one of this user. A Failure when there is none. */
export function directoryOf({ directory }: { directory?: string }): string {
  try {
    return socketDirectory(directory);
  } catch (error) {
    throw new Failure(Exit.NO_BUS, (error as Error).message, error);
  }
}

/** What starts a daemon, for the folder that was given. */
export function serveCommand(directory: string | undefined): string {
  const command = `${kbusCommand()} serve`;
  return directory === undefined ? command : `${command} --directory ${quoted(directory)}`;
}

function noBus({ bus, directory }: BusOptions, folder: string): string {
  const serve = serveCommand(directory);
  const path = socketPath(folder, bus);
  const problem = `there is no bus ${bus}: nobody answers at ${path}.`;
  if (bus > 0 && process.platform !== 'win32' && existsSync(socketPath(folder, 0))) {
    return `${problem}
The daemon there has fewer buses. Stop it, and start it with:  ${serve} --buses ${bus + 1}`;
  }
  const more = bus === 0 ? '' : ` --buses ${bus + 1}`;
  return `${problem}
Start it in another terminal with:  ${serve}${more}
If it runs elsewhere, say where with --directory, or with $KBUS_DIR.`;
}

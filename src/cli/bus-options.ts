import process from 'node:process';
import type { Command } from 'commander';
import { quoted } from '../base/quoted.ts';
import { explain } from '../client/explain.ts';
import { Ksock, type KsockOptions } from '../client/ksock.ts';
import { findBus, knock, NoBusError } from '../client/ports/find-bus.ts';
import { timerMs } from '../client/time-limit.ts';
import type { Mode } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { timeSpan, wholeNumber } from './arguments.ts';
import { end, ended, ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { kbusCommand } from './self.ts';

/** Which bus. */
export interface BusPlace {
  bus: number;
  directory?: string;
  access?: string;
}

/** The options of every command that uses a bus. */
export interface BusOptions extends BusPlace {
  json?: true;
  /** Milliseconds. */
  answerTimeout: number;
}

const ANSWER_TIMEOUT_S = 60;

export function addBusOptions(command: Command): Command {
  return command
    .option('-b, --bus <number>', 'number of the bus', wholeNumber(0, 0xffff_ffff), 0)
    .option(
      '--directory <folder>',
      "folder of the daemon's sockets (default: $KBUS_DIR, the user's, the system's)",
    )
    .option(
      '--access <access point>',
      'name of an access point of the bus, with rights of its own (default: the one without a name)',
    )
    .option('--json', 'print JSON: one object per line')
    .addOption(
      command
        .createOption('--answer-timeout <time>', 'time limit for an answer of the daemon itself')
        .argParser(timeSpan)
        .default(ANSWER_TIMEOUT_S * 1000, `${ANSWER_TIMEOUT_S}s`),
    );
}

/**
 * Settles as the promise does, as {@link untilEnded}, for what the daemon answers at once. Ends the command if it does not
 * within the time limit of the options, and `more` milliseconds: the daemon may be suspended, or not be kbus.
 */
export async function answered<T>(
  promise: Promise<T>,
  { bus, answerTimeout }: BusOptions,
  more = 0,
): Promise<T> {
  const timer = setTimeout(
    () => {
      const meaning =
        'it is suspended, very busy, or not kbus; --answer-timeout sets how long to wait';
      const what = `bus ${bus}: no answer of its daemon within ${answerTimeout / 1000} s`;
      end(new KbusError('any', Errno.ETIMEDOUT, what, { meaning }));
    },
    timerMs(answerTimeout + more),
  );
  try {
    return await untilEnded(promise);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Opens a Ksock on the bus of the options; `await using` closes it. Throws a Failure that says what to run if there is
 * no such bus. A command that ends by a signal does not wait for the close: the daemon notices the end of its process.
 */
export async function openKsock(
  options: BusPlace,
  mode: Mode = 'rw',
  more: Pick<KsockOptions, 'onMissed' | 'manage' | 'onHandlerError'> = {},
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

/** What to tell the user when a bus can't be opened; its daemon needs the option `serveOption`, if one is given. */
export function openFailure(error: unknown, serveOption?: string): unknown {
  if (!(error instanceof KbusError) || error.code !== 'ENOENT') return error;
  const { cause } = error;
  if (!(cause instanceof NoBusError)) return error;
  return new Failure(Exit.NO_BUS, cause.lines(kbusCommand(), serveOption), error);
}

/**
 * The folder of the daemon that serves the bus of the options. `serveOption` is the option that the daemon must have been
 * started with.
 */
export async function directoryOf(
  { bus, directory, access }: BusPlace,
  serveOption?: string,
): Promise<string> {
  try {
    return (await untilEnded(findBus({ bus, access }, directory, knock))).directory;
  } catch (error) {
    throw openFailure(explain('open', error, `open bus ${bus}`), serveOption);
  }
}

/** The shell command that starts a daemon in the given folder. */
export function serveCommand(directory: string | undefined): string {
  const command = `${kbusCommand()} serve`;
  return directory === undefined ? command : `${command} --directory ${quoted(directory)}`;
}

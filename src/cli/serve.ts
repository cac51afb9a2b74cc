import process from 'node:process';
import { BUS_DEFAULTS, type BusSettings } from '../bus/settings.ts';
import { takeActivation } from '../daemon/activation.ts';
import { Daemon, type DaemonOptions } from '../daemon/daemon.ts';
import type { Log } from '../daemon/log.ts';
import { type Given, SETTINGS } from '../daemon/settings.ts';
import type { Ownership } from '../daemon/socket-file.ts';
import { absolute, socketDirectory } from '../system/socket-folder.ts';
import { ended } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { startDaemon } from './start-daemon.ts';
import { logged, stderrLog } from './stderr-log.ts';

/** How long a daemon that met a bug may take to say farewell, in milliseconds. */
const FAREWELL = 2000;

/** Runs a daemon until a signal ends it. */
export async function serve(given: Given): Promise<void> {
  const log = stderrLog(given.log ?? SETTINGS.log.default);
  const listening = takeActivation();
  const buses = Math.max(given.buses ?? SETTINGS.buses.default, listening.length);
  const directory = absolute(socketDirectory(given.directory));
  const daemon = new Daemon({
    buses,
    directory,
    socket: await ownershipOf(given),
    bus: busSettingsOf(given),
    maxConnections: given['max-connections'],
    helloTimeout: given['hello-timeout'],
    spin: given.spin,
    device: deviceOf(given),
    verbose: given.verbose ?? SETTINGS.verbose.default,
    log,
    listening,
  });
  process.once('uncaughtException', (error) => dieOf(error, daemon, log));
  await startDaemon(daemon, directory);
  const { device } = daemon;
  log.info(servingText(daemon, buses, directory, listening.length), {
    buses,
    directory,
    ...(device !== null && { device }),
  });
  // Loaded now: nobody waits for it.
  const { keepYoungMemorySmall } = await import('./young-memory.ts');
  keepYoungMemorySmall();
  if (process.stderr.isTTY) await hint(given);
  const { by } = await ended();
  log.info(`${by}: the daemon ends`);
  await daemon.stop(`the daemon was ended by ${by}`);
  await logged();
}

async function ownershipOf({ mode, group }: Given): Promise<Ownership> {
  const bits = mode === undefined ? undefined : Number.parseInt(mode, 8);
  if (group === undefined) return { mode: bits ?? 0o600, group: undefined };
  const { groupId } = await import('../system/group.ts');
  const id = groupId(group);
  if (id === undefined) throw new Failure(Exit.USAGE, `group: there is no group '${group}' here`);
  return { mode: bits ?? 0o660, group: id };
}

/** For the person who has just started it by hand. */
async function hint({ directory }: Given): Promise<void> {
  const { kbusCommand } = await import('./self.ts');
  const { quoted } = await import('../base/quoted.ts');
  const where = directory === undefined ? '' : ` --directory ${quoted(absolute(directory))}`;
  process.stderr.write(
    `Ctrl-C ends it. In another terminal:  ${kbusCommand()} listen '$.*'${where}\n`,
  );
}

/** A larger maximum lifts the absolute one, and a smaller absolute one lowers it. */
function busSettingsOf(given: Given): Partial<BusSettings> {
  const absolute = given['absolute-max-message-size'];
  const max =
    given['max-message-size'] ?? Math.min(BUS_DEFAULTS.maxMessageSize, absolute ?? Infinity);
  return {
    maxMessages: given['max-messages'] ?? BUS_DEFAULTS.maxMessages,
    maxMessageSize: max,
    absoluteMaxMessageSize: absolute ?? Math.max(BUS_DEFAULTS.absoluteMaxMessageSize, max),
    maxQueuedBytes: given['max-queued-bytes'] ?? BUS_DEFAULTS.maxQueuedBytes,
    maxQueuedBytesPerKsock:
      given['max-queued-bytes-per-ksock'] ?? BUS_DEFAULTS.maxQueuedBytesPerKsock,
    maxBindings: given['max-bindings'] ?? BUS_DEFAULTS.maxBindings,
    maxBindingsPerKsock: given['max-bindings-per-ksock'] ?? BUS_DEFAULTS.maxBindingsPerKsock,
    maxUnansweredPerKsock: given['max-unanswered-per-ksock'] ?? BUS_DEFAULTS.maxUnansweredPerKsock,
  };
}

function deviceOf({ device, link }: Given): DaemonOptions['device'] {
  if (device !== undefined) {
    return { directory: absolute(device), links: link && absolute(link) };
  }
  if (link === undefined) return undefined;
  throw new Failure(
    Exit.USAGE,
    'link: there is nothing to link to without a device; say where its files are to be with --device',
  );
}

function servingText(daemon: Daemon, buses: number, directory: string, passed: number): string {
  const { device } = daemon;
  const what = buses === 1 ? 'bus 0' : `buses 0 to ${buses - 1}`;
  const files = device === null ? '' : `, and as files in ${device}`;
  if (passed >= buses) return `serving ${what}, on sockets that systemd made${files}`;
  return `serving ${what} ${buses === 1 ? `at ${daemon.path(0)}` : `in ${directory}`}${files}`;
}

/** The ledger of a daemon that met a bug may be wrong: it doesn't go on. */
function dieOf(error: Error, daemon: Daemon, log: Log): void {
  log.bug(`a bug ends the daemon: ${error.stack}`);
  const exit = (): never => process.exit(Exit.BUG);
  setTimeout(exit, FAREWELL);
  daemon.stop('a bug ended the daemon').then(exit, exit);
}

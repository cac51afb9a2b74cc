import { readFileSync } from 'node:fs';
import process from 'node:process';
import {
  BUS_DEFAULTS,
  type BusSettings,
  type Given as GivenOf,
  MAX_BUSES,
} from '../bus/settings.ts';
import type { AccessPoint } from '../daemon/access-points.ts';
import { descriptorsOf, type PassedSocket, takeActivation } from '../daemon/activation.ts';
import { Daemon, type DaemonOptions } from '../daemon/daemon.ts';
import type { Log } from '../daemon/log.ts';
import { type Given, optionOf, SETTINGS } from '../daemon/settings.ts';
import type { Ownership } from '../daemon/socket-file.ts';
import { absolute, socketDirectory } from '../system/socket-folder.ts';
import { ended } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import type { LimpetTable } from './limpet-tables.ts';
import { startDaemon } from './start-daemon.ts';
import { logged, stderrLog } from './stderr-log.ts';

/** How long a daemon may take to stop after a bug. */
const BUG_STOP_TIMEOUT_MS = 2000;

/** Runs a daemon until a signal ends it. */
export async function runDaemon(given: Given, limpets: readonly LimpetTable[] = []): Promise<void> {
  const log = stderrLog(given.log ?? SETTINGS.log.default);
  const passed = takeActivation();
  const access = await accessOf(given, passed);
  const listening = descriptorsOf(passed, '');
  const buses = Math.max(given.buses ?? SETTINGS.buses.default, listening.length);
  const directory = absolute(socketDirectory(given.directory));
  const daemon = new Daemon({
    buses,
    directory,
    socket: await ownershipOf(given),
    access,
    bus: busSettingsOf(given),
    maxConnections: given['max-connections'],
    helloTimeout: given['hello-timeout'],
    spin: given.spin,
    device: await deviceOf(given),
    web: webOf(given),
    history: given.history,
    verbose: given.verbose ?? SETTINGS.verbose.default,
    log,
    listening,
  });
  process.once('uncaughtException', (error) => stopAfterBug(error, daemon, log));
  await startDaemon(daemon, directory);
  const { device, page } = daemon;
  const serving = servingText(daemon, buses, directory, listening.length, access);
  log.info(serving, {
    buses,
    directory,
    ...(device !== null && { device }),
    ...(page !== null && { page }),
  });
  const { web, insecure } = given;
  if (web !== undefined && insecure) log.warn(`web: insecure is set: ${web} has no TLS`);
  const stopLimpets = await startLimpets(daemon, directory, limpets, log);
  if (process.env['NOTIFY_SOCKET']) {
    (await import('./notify-systemd.ts')).notifySystemd(serving, log);
  }
  // Imported late: it must not delay the start.
  const memory = await import('./v8-memory.ts');
  memory.keepYoungMemorySmall();
  if (limpets.length > 0) memory.expectManyBuffers();
  daemon.collectWith(memory.v8Collector);
  if (process.stderr.isTTY) await hint(given);
  const { by } = await ended();
  log.info(`${by}: the daemon stops`);
  await stopLimpets();
  await daemon.stop(`the daemon was stopped by ${by}`);
  log.reportSuppressed();
  await logged();
}

/** Runs the Limpets of the configuration file in this process; gives the function that stops them. */
async function startLimpets(
  daemon: Daemon,
  directory: string,
  tables: readonly LimpetTable[],
  log: Log,
): Promise<() => Promise<unknown>> {
  if (tables.length === 0) return async () => {};
  const { Limpet } = await import('../limpet/limpet.ts');
  const { withState } = await import('./state-file.ts');
  const limpets = tables.map(({ bus: number, ...options }) => {
    const bus = daemon.buses.get(number);
    if (bus === undefined) {
      throw new Failure(
        Exit.USAGE,
        `limpet ${options.id}: there is no bus ${number}; set buses to more`,
      );
    }
    const links = options.links.map((link) => withState(link, number, directory));
    return new Limpet({ ...options, links, bus, onEvent: ({ level, text }) => log[level](text) });
  });
  const stop = (): Promise<unknown> => Promise.all(limpets.map((limpet) => limpet.stop()));
  try {
    for (const limpet of limpets) await limpet.start();
  } catch (error) {
    await stop();
    await daemon.stop('a Limpet could not start');
    throw new Failure(Exit.REFUSED, (error as Error).message, error);
  }
  return stop;
}

/** The permissions of a socket; `prefix` says in errors of which. */
async function ownershipOf(
  { mode, group }: Pick<Given, 'mode' | 'group'>,
  prefix = '',
): Promise<Ownership> {
  const bits = mode === undefined ? undefined : Number.parseInt(mode, 8);
  if (group === undefined) return { mode: bits ?? 0o600, group: undefined };
  const { groupId } = await import('../system/group.ts');
  const id = groupId(group);
  if (id === undefined) {
    throw new Failure(
      Exit.USAGE,
      `${prefix}group: this machine has no group '${group}'; create it (groupadd), or name another`,
    );
  }
  return { mode: bits ?? 0o660, group: id };
}

/** The further access points, with the sockets that systemd has passed for them. */
async function accessOf(given: Given, passed: readonly PassedSocket[]): Promise<AccessPoint[]> {
  const points = await Promise.all(
    (given.access ?? []).map(async ({ mode, group, ...point }): Promise<AccessPoint> => {
      const socket = await ownershipOf({ mode, group } as Given, `access point '${point.name}': `);
      return { ...point, socket, listening: descriptorsOf(passed, point.name) };
    }),
  );
  const forBuses = descriptorsOf(passed, '').length;
  if (forBuses > MAX_BUSES) {
    throw new Failure(
      Exit.USAGE,
      `systemd passes ${forBuses} sockets, one for each bus, and there can be ${MAX_BUSES} buses; give those of an access point its name (FileDescriptorName)`,
    );
  }
  const names = ['', ...points.map(({ name }) => name)];
  const stray = passed.find(({ name }) => !names.includes(name));
  if (stray === undefined) return points;
  throw new Failure(
    Exit.USAGE,
    `systemd passes a socket named '${stray.name}' (FileDescriptorName), but there is no access point of this name; add a table [[access]] to the configuration file, or remove the FileDescriptorName`,
  );
}

/** Prints the next step for a user who has started the daemon at a terminal. */
async function hint({ directory }: Given): Promise<void> {
  const { kbusCommand } = await import('./self.ts');
  const { quoted } = await import('../base/quoted.ts');
  const where = directory === undefined ? '' : ` --directory ${quoted(absolute(directory))}`;
  process.stderr.write(
    `Ctrl-C stops it. In another terminal:  ${kbusCommand()} listen '$.*'${where}\n`,
  );
}

/**
 * The settings of each bus: those that BUS_DEFAULTS names, from the options of the same names. Of the two maximum sizes,
 * a given one adjusts the default of the other: absolute is never the smaller.
 */
function busSettingsOf(given: Given): GivenOf<BusSettings> {
  // How much memory there is, the daemon finds out.
  const settings = { ...BUS_DEFAULTS, maxMemory: undefined as number | undefined };
  const options: Readonly<Record<string, unknown>> = given;
  for (const name of Object.keys(BUS_DEFAULTS) as (keyof BusSettings)[]) {
    const value = options[optionOf(name)];
    if (typeof value === 'number') settings[name] = value;
  }
  if (given['max-message-size'] === undefined) {
    settings.maxMessageSize = Math.min(settings.maxMessageSize, settings.absoluteMaxMessageSize);
  }
  if (given['absolute-max-message-size'] === undefined) {
    const { absoluteMaxMessageSize, maxMessageSize } = settings;
    settings.absoluteMaxMessageSize = Math.max(absoluteMaxMessageSize, maxMessageSize);
  }
  return settings;
}

async function deviceOf(given: Given): Promise<DaemonOptions['device']> {
  const { device, link, mode, group } = given;
  const { 'device-mode': ownMode, 'device-group': ownGroup, 'device-access': access } = given;
  if (device !== undefined) {
    const points = given.access ?? [];
    if (access !== undefined && !points.some(({ name }) => name === access)) {
      const known = points.map(({ name }) => `'${name}'`).join(', ');
      throw new Failure(
        Exit.USAGE,
        `device-access: there is no access point '${access}'; ${known === '' ? 'add a table [[access]] to the configuration file (--config)' : `the configuration file has ${known}`}`,
      );
    }
    const files = { mode: ownMode ?? mode, group: ownGroup ?? group } as Given;
    return {
      directory: absolute(device),
      links: link && absolute(link),
      files: await ownershipOf(files, 'device-'),
      access,
    };
  }
  for (const name of ['link', 'device-mode', 'device-group', 'device-access'] as const) {
    if (given[name] === undefined) continue;
    const what = name === 'link' ? 'there is nothing to link to' : 'it sets nothing';
    throw new Failure(
      Exit.USAGE,
      `${name}: without device files ${what}; set their folder with --device`,
    );
  }
  return undefined;
}

const WEB_SETTINGS = [
  'web-origins',
  'web-cert',
  'web-key',
  'web-timeout',
  'web-keep-tokens',
  'insecure',
] as const;

function webOf(given: Given): DaemonOptions['web'] {
  const { web, insecure } = given;
  if (web === undefined) {
    const stray = WEB_SETTINGS.find((name) => given[name] !== undefined && given[name] !== false);
    const ofAccess = given.access?.find((point) => point.web);
    const name = stray ?? (ofAccess && `access point '${ofAccess.name}'`);
    if (name === undefined) return undefined;
    const what = stray === undefined ? 'it has a token (web)' : 'it sets nothing';
    throw new Failure(
      Exit.USAGE,
      `${name}: ${what}, but the daemon serves no web; set an address with --web, such as 127.0.0.1:8080`,
    );
  }
  const { 'web-cert': cert, 'web-key': key } = given;
  if ((cert === undefined) !== (key === undefined)) {
    const [has, lacks] = cert === undefined ? ['web-key', 'web-cert'] : ['web-cert', 'web-key'];
    throw new Failure(Exit.USAGE, `${has}: TLS needs ${lacks}, too`);
  }
  const origins = given['web-origins']?.split(',').map((origin) => origin.trim());
  return {
    listen: web,
    origins,
    timeout: given['web-timeout'] ?? SETTINGS['web-timeout'].default,
    keepTokens: given['web-keep-tokens'],
    insecure,
    tls:
      cert === undefined || key === undefined
        ? undefined
        : { cert: readPem('web-cert', cert), key: readPem('web-key', key) },
  };
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure(Exit.USAGE, `${name}: can't read it: ${(error as Error).message}`, error);
  }
}

function servingText(
  daemon: Daemon,
  buses: number,
  directory: string,
  passed: number,
  access: readonly AccessPoint[],
): string {
  const { device, page } = daemon;
  const what = buses === 1 ? 'bus 0' : `buses 0 to ${buses - 1}`;
  const files = device === null ? '' : `, and as files in ${device}`;
  const names = access.map(({ name }) => `'${name}'`).join(', ');
  const web = page === null ? '' : `, with a page at ${page} (see kbus web)`;
  const others = `${names === '' ? files : `${files}, with access points ${names}`}${web}`;
  if (passed >= buses) return `serving ${what}, on sockets of systemd${others}`;
  return `serving ${what} ${buses === 1 ? `at ${daemon.path(0)}` : `in ${directory}`}${others}`;
}

/** After a bug, the state of a bus may be wrong: the daemon must not go on. */
function stopAfterBug(error: Error, daemon: Daemon, log: Log): void {
  log.bug(`the daemon stops because of a bug: ${error.stack}`);
  const exit = (): never => process.exit(Exit.BUG);
  setTimeout(exit, BUG_STOP_TIMEOUT_MS);
  daemon.stop('the daemon stopped because of a bug').then(exit, exit);
}

import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { socketDirectory, socketPath } from '../client/directory.ts';
import { whoAnswers } from '../daemon/socket-file.ts';
import { type Obstacle, obstacles } from '../device/obstacles.ts';
import { serveCommand } from './bus-options.ts';
import { untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print, printJson } from './output.ts';

interface DoctorOptions {
  directory?: string;
  json?: true;
}

/** The folder of the sockets, and whether a daemon could be started there. */
interface Sockets {
  readonly directory: string | null;
  readonly exists: boolean;
  readonly canServe: boolean;
  readonly says: string;
}

/** What was found of one bus. */
interface BusFound {
  readonly bus: number;
  readonly path: string;
  /** Somebody serves it, and this user may use it. */
  readonly answers: boolean;
  readonly says: string;
}

export function configure(command: Command): void {
  command
    .option('--directory <folder>', "folder of the daemon's sockets (default: as `kbus serve`)")
    .option('--json', 'print JSON: one object')
    .addHelpText(
      'after',
      `
Looks, and changes nothing: the folder of the sockets, the daemons that serve there, and what device
files (kbus serve --device) need. Ends with 0 when sockets can be used here, and with 1 otherwise.

Examples:
  kbus doctor
  kbus doctor --json`,
    )
    .action(doctor);
}

async function doctor({ directory, json }: DoctorOptions): Promise<void> {
  const sockets = lookAtFolder(directory);
  const buses = sockets.directory === null ? [] : await untilEnded(lookAtBuses(sockets.directory));
  const lacks = obstacles();
  const canUseSockets = sockets.canServe || buses.some(({ answers }) => answers);
  if (json) {
    await printJson({
      kbus: version(),
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      ok: canUseSockets,
      sockets,
      buses,
      device: { ok: lacks.length === 0, lacks },
    });
  } else {
    const lines = [
      line(null, 'kbus', `${version()}, on Node ${process.versions.node}, ${process.platform}`),
      line(canUseSockets, 'sockets', sockets.says),
      ...buses.map(({ bus, answers, says }) => line(answers, `bus ${bus}`, says)),
      ...(buses.length === 0 ? [line(null, 'buses', nobody(directory))] : []),
      ...ofDevice(lacks),
    ];
    await print(`${lines.join('\n')}\n`);
  }
  if (!canUseSockets) throw new Failure(Exit.REFUSED, '');
}

function line(isGood: boolean | null, what: string, says: string): string {
  const mark = isGood === null ? '  ' : isGood ? 'ok' : 'NO';
  return `${mark}  ${what.padEnd(8)} ${says}`;
}

function nobody(directory: string | undefined): string {
  return `none is served there; start one with:  ${serveCommand(directory)}`;
}

function ofDevice(lacks: readonly Obstacle[]): string[] {
  if (lacks.length === 0) return [line(true, 'device', 'device files can be served (--device)')];
  return lacks.map(({ missing, remedy }) =>
    line(false, 'device', `lacks ${missing}; ${remedy} (sockets don't need it)`),
  );
}

function lookAtFolder(given: string | undefined): Sockets {
  let directory: string;
  try {
    directory = resolve(socketDirectory(given));
  } catch (error) {
    const says = (error as Error).message;
    return { directory: null, exists: false, canServe: false, says };
  }
  // Windows has no folder: its sockets are named pipes.
  if (process.platform === 'win32') {
    return { directory, exists: false, canServe: true, says: 'named pipes' };
  }
  const exists = existsSync(directory);
  let place = directory;
  while (!existsSync(place)) place = dirname(place);
  const wrong = whyNotIn(place);
  const here = exists ? directory : `${directory}, which is not there yet`;
  const says = wrong === '' ? here : `${here}: ${wrong}; set KBUS_DIR to a folder of your own`;
  return { directory, exists, canServe: wrong === '', says };
}

function whyNotIn(place: string): string {
  if (!statSync(place).isDirectory()) return `${place} is not a folder`;
  try {
    accessSync(place, constants.W_OK | constants.X_OK);
    return '';
  } catch {
    return `this user may make nothing in ${place}`;
  }
}

async function lookAtBuses(directory: string): Promise<BusFound[]> {
  return Promise.all(numbersIn(directory).map((bus) => lookAtBus(bus, socketPath(directory, bus))));
}

function numbersIn(directory: string): number[] {
  // A pipe can't be looked for, only tried.
  if (process.platform === 'win32') return [0];
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .map((name) => /^kbus(\d+)\.sock$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

async function lookAtBus(bus: number, path: string): Promise<BusFound> {
  try {
    const who = await whoAnswers(path);
    const says =
      who === null ? `${path} was left behind, and nobody answers there` : `${path}: ${who}`;
    return { bus, path, answers: who?.includes('KBUS') ?? false, says };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isRefused = code === 'EACCES' || code === 'EPERM';
    const why = isRefused
      ? 'this user may not use it; see the --mode and --group of kbus serve'
      : message;
    return { bus, path, answers: false, says: `${path}: ${why}` };
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { whoAnswers } from '../daemon/who-answers.ts';
import { type Obstacle, obstacles } from '../fuse/obstacles.ts';
import { missingOf } from '../system/made-folders.ts';
import {
  absolute,
  busesIn,
  checkSocketPath,
  placesToLook,
  socketDirectory,
  socketPath,
} from '../system/socket-folder.ts';
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

/** One of the folders where clients look for a bus. */
interface Place {
  readonly directory: string;
  /** Numbers of the buses that have a socket there; null where this user can't know. */
  readonly buses: readonly number[] | null;
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
    .option(
      '--directory <folder>',
      "folder of the daemon's sockets (default: $KBUS_DIR, the user's, the system's)",
    )
    .option('--json', 'print JSON: one object')
    .addHelpText(
      'after',
      `
Looks, and changes nothing: the folder where kbus serve makes its sockets, the places where programs look for a
bus, the daemons that serve there, and what device files (kbus serve --device) need. Ends with 0 when sockets
can be used here, and with 1 otherwise.

Examples:
  kbus doctor
  kbus doctor --json`,
    )
    .action(doctor);
}

async function doctor({ directory, json }: DoctorOptions): Promise<void> {
  const sockets = lookAtFolder(directory);
  const places = placesToLook(directory).map(lookAtPlace);
  const buses = (await untilEnded(Promise.all(places.map(lookAtBuses)))).flat();
  const lacks = obstacles();
  const canUseSockets = sockets.canServe || buses.some(({ answers }) => answers);
  if (json) {
    await printJson({
      kbus: version(),
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      ok: canUseSockets,
      sockets,
      places,
      buses,
      device: { ok: lacks.length === 0, lacks },
    });
  } else {
    const lines = [
      line(null, 'kbus', `${version()}, on Node ${process.versions.node}, ${process.platform}`),
      line(canUseSockets, 'sockets', sockets.says),
      ...places.map((place) => line(markOf(place), 'place', place.says)),
      ...buses.map(({ bus, answers, says }) => line(answers, `bus ${bus}`, says)),
      ...(buses.length === 0 ? [line(null, 'buses', nobody(places, directory))] : []),
      ...ofDevice(lacks),
    ];
    await print(`${lines.join('\n')}\n`);
  }
  if (!canUseSockets) throw new Failure(Exit.REFUSED, '');
}

function markOf({ buses }: Place): boolean | null {
  if (buses === null) return false;
  return buses.length > 0 ? true : null;
}

function line(isGood: boolean | null, what: string, says: string): string {
  const mark = isGood === null ? '  ' : isGood ? 'ok' : 'NO';
  return `${mark}  ${what.padEnd(8)} ${says}`;
}

function nobody(places: readonly Place[], directory: string | undefined): string {
  const start = `start one with:  ${serveCommand(directory)}`;
  if (places.every(({ buses }) => buses !== null)) return `none is served there; ${start}`;
  return `none was found where this user may look; ${start}`;
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
    directory = absolute(socketDirectory(given));
  } catch (error) {
    const says = (error as Error).message;
    return { directory: null, exists: false, canServe: false, says };
  }
  // Windows has no folder: its sockets are named pipes.
  if (process.platform === 'win32') {
    return { directory, exists: false, canServe: true, says: 'named pipes' };
  }
  const exists = existsSync(directory);
  const wrong = whyNotIn(directory);
  const here = exists ? directory : `${directory}, which is not there yet`;
  const says = wrong === '' ? here : `${here}: ${wrong}; set KBUS_DIR to a folder of your own`;
  return { directory, exists, canServe: wrong === '', says };
}

function whyNotIn(directory: string): string {
  let place = directory;
  try {
    checkSocketPath(socketPath(directory, 0));
    const [outermost] = missingOf(directory);
    if (outermost !== undefined) place = dirname(outermost);
    accessSync(place, constants.W_OK | constants.X_OK);
    return '';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'EACCES' ? `this user may make nothing in ${place}` : message;
  }
}

function lookAtPlace(given: string): Place {
  let directory = given;
  try {
    directory = absolute(given);
    // A pipe can't be looked for, only tried.
    const buses = process.platform === 'win32' ? [0] : busesIn(directory);
    const many = buses.length === 1 ? '1 socket' : `${buses.length} sockets`;
    return { directory, buses, says: `${directory}: ${many}` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { directory, buses: [], says: `${directory} is not there` };
    const why = code === 'EACCES' ? 'this user may not look into it' : message;
    return { directory, buses: null, says: `${directory}: ${why}` };
  }
}

function lookAtBuses({ directory, buses }: Place): Promise<BusFound[]> {
  return Promise.all((buses ?? []).map((bus) => lookAtBus(bus, socketPath(directory, bus))));
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

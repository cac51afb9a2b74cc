import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { whoAnswers } from '../daemon/who-answers.ts';
import { type Obstacle, obstacles } from '../fuse/obstacles.ts';
import { missingOf } from '../system/made-folders.ts';
import { checkOwnPath, checkPathToSocket } from '../system/path-trust.ts';
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

/** The folder of the sockets, and whether a daemon can serve there. */
interface Sockets {
  readonly directory: string | null;
  readonly exists: boolean;
  readonly canServe: boolean;
  /** For people. */
  readonly detail: string;
}

/** A folder where clients look for a bus. */
interface Place {
  readonly directory: string;
  /** Numbers of the buses that have a socket there; null if this user can't read the folder. */
  readonly buses: readonly number[] | null;
  /** For people. */
  readonly detail: string;
}

/** A bus that has a socket. */
interface BusFound {
  readonly bus: number;
  readonly path: string;
  /** A daemon serves it, and this user may use it. */
  readonly answers: boolean;
  /** For people. */
  readonly detail: string;
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
Checks the folder where kbus serve creates its sockets, the folders where programs look for a bus, the daemons
that serve there, and the prerequisites of device files (kbus serve --device). It changes nothing. Exits with 0
if programs can use sockets here, else with 1.

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
  const missing = obstacles();
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
      device: { ok: missing.length === 0, missing },
    });
  } else {
    const lines = [
      line(null, 'kbus', `${version()}, on Node ${process.versions.node}, ${process.platform}`),
      line(canUseSockets, 'sockets', sockets.detail),
      ...places.map((place) => line(markOf(place), 'folder', place.detail)),
      ...buses.map(({ bus, answers, detail }) => line(answers, `bus ${bus}`, detail)),
      ...(buses.length === 0 ? [line(null, 'buses', noBuses(places, directory))] : []),
      ...deviceLines(missing),
    ];
    await print(`${lines.join('\n')}\n`);
  }
  if (!canUseSockets) throw new Failure(Exit.REFUSED, '');
}

function markOf({ buses }: Place): boolean | null {
  if (buses === null) return false;
  return buses.length > 0 ? true : null;
}

function line(isGood: boolean | null, what: string, detail: string): string {
  const mark = isGood === null ? '  ' : isGood ? 'ok' : 'NO';
  return `${mark}  ${what.padEnd(8)} ${escaped(detail)}`;
}

function noBuses(places: readonly Place[], directory: string | undefined): string {
  const start = `start one with:  ${serveCommand(directory)}`;
  if (places.every(({ buses }) => buses !== null)) return `no daemon serves a bus; ${start}`;
  return `no bus in the folders that this user may read; ${start}`;
}

function deviceLines(obstacles: readonly Obstacle[]): string[] {
  if (obstacles.length === 0) {
    return [line(true, 'device', 'this user can serve device files (--device)')];
  }
  return obstacles.map(({ missing, remedy }) =>
    line(false, 'device', `missing: ${missing}; ${remedy} (sockets don't need it)`),
  );
}

function lookAtFolder(given: string | undefined): Sockets {
  let directory: string;
  try {
    directory = absolute(socketDirectory(given));
  } catch (error) {
    const detail = (error as Error).message;
    return { directory: null, exists: false, canServe: false, detail };
  }
  // On Windows, sockets are named pipes, without a folder.
  if (process.platform === 'win32') {
    return { directory, exists: false, canServe: true, detail: 'named pipes' };
  }
  const exists = existsSync(directory);
  const wrong = whyNotServable(directory);
  const folder = exists ? directory : `${directory}, which does not exist yet`;
  const detail =
    wrong === '' ? folder : `${folder}: ${wrong}; set KBUS_DIR to a folder of your own`;
  return { directory, exists, canServe: wrong === '', detail };
}

/** Why a daemon can't serve in a folder; '' if it can. */
function whyNotServable(directory: string): string {
  let place = directory;
  try {
    checkSocketPath(socketPath(directory, 0));
    const [outermost] = missingOf(directory);
    if (outermost !== undefined) place = dirname(outermost);
    accessSync(place, constants.W_OK | constants.X_OK);
    checkOwnPath(place);
    return '';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'EACCES' ? `this user may not create files in ${place}` : message;
  }
}

function lookAtPlace(given: string): Place {
  let directory = given;
  try {
    directory = absolute(given);
    // Pipes can't be listed; bus 0 is tried.
    const buses = process.platform === 'win32' ? [0] : busesIn(directory);
    const count = buses.length === 1 ? '1 socket' : `${buses.length} sockets`;
    return { directory, buses, detail: `${directory}: ${count}` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { directory, buses: [], detail: `${directory} does not exist` };
    const why = code === 'EACCES' ? 'this user may not read it' : message;
    return { directory, buses: null, detail: `${directory}: ${why}` };
  }
}

function lookAtBuses({ directory, buses }: Place): Promise<BusFound[]> {
  return Promise.all((buses ?? []).map((bus) => lookAtBus(bus, socketPath(directory, bus))));
}

async function lookAtBus(bus: number, path: string): Promise<BusFound> {
  try {
    checkPathToSocket(path);
    const who = await whoAnswers(path);
    const detail = `${path}: ${who ?? 'no process listens (left by a dead daemon)'}`;
    return { bus, path, answers: who?.includes('KBUS') ?? false, detail };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isRefused = code === 'EACCES' || code === 'EPERM';
    const why = isRefused
      ? 'this user may not use it; see the --mode and --group of kbus serve'
      : message;
    return { bus, path, answers: false, detail: `${path}: ${why}` };
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

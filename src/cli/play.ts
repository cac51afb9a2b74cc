import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { quoted } from '../base/quoted.ts';
import { Daemon } from '../daemon/daemon.ts';
import { whoAnswers } from '../daemon/who-answers.ts';
import { perform } from '../playlet/director.ts';
import { PlayError } from '../playlet/player.ts';
import {
  JsonStage,
  type Screen,
  ScreenStage,
  type Stage,
  TranscriptStage,
} from '../playlet/stage.ts';
import { placesToLook, socketDirectory, socketPath } from '../system/socket-folder.ts';
import { wholeNumber } from './arguments.ts';
import { directoryOf, openKsock } from './bus-options.ts';
import { ended, ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';
import { kbusCommand } from './self.ts';
import { startDaemon } from './start-daemon.ts';
import { stderrLog } from './stderr-log.ts';

interface PlayOptions {
  bus?: number;
  directory?: string;
  pace?: number;
  transcript?: string | true;
  stay?: true;
  once?: true;
  json?: true;
  bowls?: true;
  machines?: true;
}

/** The pause after each step at a terminal. */
const PACE_MS = 250;

/** The same in the plays of joined buses, after each scene. */
const SCENE_PACE_MS = 1500;

export function configure(command: Command): void {
  command
    .option(
      '-b, --bus <number>',
      'play on this bus of a running daemon',
      wholeNumber(0, 0xffff_ffff),
    )
    .option('--directory <folder>', "folder of that daemon's sockets (default: as `kbus serve`)")
    .option(
      '--pace <milliseconds>',
      `pause after each step (default: ${PACE_MS} at a terminal, else 0)`,
      wholeNumber(0, 60_000),
    )
    .option('--transcript [file]', 'print only the output of the terminals, or write it to a file')
    .addOption(
      command
        .createOption('--stay', 'play on bus 0 of this machine, and keep serving it afterwards')
        .conflicts(['bus', 'directory']),
    )
    .option('--once', 'with --stay: exit after the playlet')
    .option('--json', 'print JSON: one object per line')
    .addOption(
      command
        .createOption('--bowls', 'play goldfish in three bowls instead: buses joined by Limpets')
        .conflicts(['bus', 'directory', 'transcript', 'stay', 'json', 'machines']),
    )
    .addOption(
      command
        .createOption(
          '--machines',
          'play goldfish on three machines instead: buses joined through a NATS server',
        )
        .conflicts(['bus', 'directory', 'transcript', 'stay', 'json']),
    )
    .addHelpText(
      'after',
      `
Four programs, each with its own terminal, play the introduction to KBUS. By default they play on a bus of
their own. With 120 columns or more, the terminals are shown side by side.

Examples:
  kbus play
  kbus play --pace 1000
  kbus play --transcript
  kbus play --bowls
  kbus play --machines`,
    )
    .action(play);
}

/** The bus of the playlet. */
interface House {
  readonly bus: number;
  readonly directory: string;
  /** Where it is, for the second line of the output. */
  readonly place: string;
  /** The daemon that this command has started for it, or null. */
  readonly daemon: Daemon | null;
  /** The folder to remove at the end, or null. */
  readonly temporary: string | null;
}

async function play(options: PlayOptions): Promise<void> {
  const scenePace = options.pace ?? (process.stdout.isTTY ? SCENE_PACE_MS : 0);
  if (options.bowls) {
    const { playBowls } = await import('./play-bowls.ts');
    return playBowls(scenePace);
  }
  if (options.machines) {
    const { playMachines } = await import('./play-machines.ts');
    return playMachines(scenePace);
  }
  const house = await openHouse(options);
  try {
    await show(house, options).catch((error: unknown) => {
      if (!(error instanceof PlayError)) throw error;
      throw new Failure(Exit.REFUSED, error.message, error);
    });
    if (!options.stay) return;
    // Without a terminal, no user can press Ctrl-C.
    const stays = house.daemon === null || (process.stdout.isTTY && !options.once);
    await print(whatNext(house, stays));
    if (stays && house.daemon !== null) await ended();
  } finally {
    await house.daemon?.stop('the playlet is over');
    if (house.temporary !== null) rmSync(house.temporary, { recursive: true, force: true });
  }
}

async function openHouse(options: PlayOptions): Promise<House> {
  if (options.stay) return openOurs();
  if (options.bus !== undefined || options.directory !== undefined) {
    const { bus = 0 } = options;
    // Fails with a text that says what to run if there is no such bus.
    await openKsock({ ...options, bus }).then((ksock) => ksock[Symbol.asyncDispose]());
    const directory = await directoryOf({ ...options, bus });
    return {
      bus,
      directory,
      place: `On bus ${bus}, in ${directory}.`,
      daemon: null,
      temporary: null,
    };
  }
  return openTemporary('On a bus of their own.');
}

/** Bus 0 of this machine: that of a running daemon, or of a new one. */
async function openOurs(): Promise<House> {
  for (const directory of placesToLook()) {
    const at = socketPath(directory, 0);
    // A socket to which this user may not connect does not count.
    const who = await untilEnded(whoAnswers(at).catch(() => null));
    if (who === null) continue;
    const place = `On bus 0 at ${at}, served by ${who}.`;
    return { bus: 0, directory, place, daemon: null, temporary: null };
  }
  let directory: string;
  try {
    directory = socketDirectory();
  } catch {
    return openTemporary('On a bus in a temporary folder, since KBUS_DIR is not set.');
  }
  const daemon = await newDaemon(directory);
  const place = `On bus 0 at ${daemon.path(0)}.`;
  return { bus: 0, directory, place, daemon, temporary: null };
}

async function openTemporary(place: string): Promise<House> {
  const folder = tmpdir();
  const directory = tryFiles(`create a folder in ${folder}; set TMPDIR to another one`, () =>
    mkdtempSync(join(folder, 'kbus-')),
  );
  const daemon = await newDaemon(directory);
  return { bus: 0, directory, place, daemon, temporary: directory };
}

async function newDaemon(directory: string): Promise<Daemon> {
  const log = stderrLog('human');
  const socket = { mode: 0o600, group: undefined };
  const daemon = new Daemon({ buses: 1, directory, socket, bus: {}, log });
  await startDaemon(daemon, directory);
  return daemon;
}

async function show({ bus, directory, place }: House, options: PlayOptions): Promise<void> {
  const { pace = process.stdout.isTTY ? PACE_MS : 0, transcript } = options;
  const kept = new TranscriptStage();
  const file = typeof transcript === 'string' ? transcript : undefined;
  const keep = (text: string): void => {
    if (file === undefined) return;
    tryFiles(`write the transcript to ${file}`, () => writeFileSync(file, text));
  };
  // Fails before the play if the file can't be written.
  keep('');
  const stages: Stage[] = transcript === undefined ? [] : [kept];
  if (transcript !== true) stages.push(options.json ? new JsonStage(write) : screenStage(place));
  await perform({ bus, directory, stages, pace, signal: ending });
  if (transcript === true) await print(kept.text);
  else keep(kept.text);
  // Stages don't wait for stdout: this does.
  await print('');
}

/** Calls a function of the file system; throws a Failure if that fails. */
function tryFiles<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new Failure(Exit.REFUSED, `can't ${what}: ${(error as Error).message}`, error);
  }
}

const write = (text: string): void => {
  process.stdout.write(text);
};

function screenStage(place: string): Stage {
  const { stdout } = process;
  const screen: Screen = {
    write,
    get columns() {
      // A terminal of unknown width reports 0.
      return (stdout.isTTY && stdout.columns) || Number.POSITIVE_INFINITY;
    },
    hasColours: stdout.isTTY && stdout.hasColors(),
  };
  write(`Rosencrantz and Guildenstern: a playlet for four programs.\n${place}\n`);
  return new ScreenStage(screen);
}

function whatNext({ bus, directory, temporary, daemon }: House, stays: boolean): string {
  const kbus = kbusCommand();
  const path = socketPath(directory, bus);
  const serve = stays ? '' : `  ${kbus} serve\n`;
  // If the folder is removed with the playlet, the setting is of no use.
  const setting = stays && temporary !== null ? `  export KBUS_DIR=${quoted(temporary)}\n` : '';
  return `
Bus ${bus} ${stays ? `is at ${path}.` : `was at ${path}, and stops now.`}
To go on, type each of these in a terminal of its own:

${serve}${setting}  ${kbus} listen '$.*'
${setting}  ${kbus} send '$.Hello.World' 'Hello there'
${daemon !== null && stays ? '\nCtrl-C here stops the bus.\n' : ''}`;
}

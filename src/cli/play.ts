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
}

/** Milliseconds between steps, for people. */
const PACE = 250;

export function configure(command: Command): void {
  command
    .option(
      '-b, --bus <number>',
      'play on this bus of a daemon that runs',
      wholeNumber(0, 0xffff_ffff),
    )
    .option('--directory <folder>', "folder of that daemon's sockets (default: as `kbus serve`)")
    .option(
      '--pace <milliseconds>',
      `rest after each step (default: ${PACE} at a terminal, else 0)`,
      wholeNumber(0, 60_000),
    )
    .option('--transcript [file]', 'print, or write to a file, no more than the terminals printed')
    .addOption(
      command
        .createOption('--stay', 'play on bus 0 of this machine, and leave that serving')
        .conflicts(['bus', 'directory']),
    )
    .option('--once', 'with --stay: end after the playlet')
    .option('--json', 'print JSON: one object a line')
    .addHelpText(
      'after',
      `
Four programs, each with its own terminal, play the introduction to KBUS. They have a bus of their own,
unless told otherwise. With 120 columns or more, the terminals stand side by side.

Examples:
  kbus play
  kbus play --pace 1000
  kbus play --transcript`,
    )
    .action(play);
}

/** Where the playlet is played. */
interface House {
  readonly bus: number;
  readonly directory: string;
  /** What to say before it begins. */
  readonly says: string;
  /** The daemon that was started for it, if one was. */
  readonly daemon: Daemon | null;
  /** Folder to remove at the end, if one was made. */
  readonly temporary: string | null;
}

async function play(options: PlayOptions): Promise<void> {
  const house = await openHouse(options);
  try {
    await show(house, options).catch((error: unknown) => {
      if (!(error instanceof PlayError)) throw error;
      throw new Failure(Exit.REFUSED, error.message, error);
    });
    if (!options.stay) return;
    // Nobody is there to press Ctrl-C when this is not a terminal.
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
    // Says what to run when there is no such bus.
    await openKsock({ ...options, bus }).then((ksock) => ksock[Symbol.asyncDispose]());
    const directory = await directoryOf({ ...options, bus });
    return {
      bus,
      directory,
      says: `On bus ${bus}, in ${directory}.`,
      daemon: null,
      temporary: null,
    };
  }
  return openTemporary('On a bus of their own.');
}

/** Bus 0 of this machine: where it is served already, there. */
async function openOurs(): Promise<House> {
  for (const directory of placesToLook()) {
    const at = socketPath(directory, 0);
    // Where this user may not connect there is no bus of ours.
    const who = await untilEnded(whoAnswers(at).catch(() => null));
    if (who === null) continue;
    const says = `On bus 0 at ${at}, which ${who} serves already.`;
    return { bus: 0, directory, says, daemon: null, temporary: null };
  }
  let directory: string;
  try {
    directory = socketDirectory();
  } catch {
    return openTemporary('On a bus in a folder for this time, since KBUS_DIR is not set.');
  }
  const daemon = await newDaemon(directory);
  const says = `On bus 0 at ${daemon.path(0)}.`;
  return { bus: 0, directory, says, daemon, temporary: null };
}

async function openTemporary(says: string): Promise<House> {
  const folder = tmpdir();
  const directory = inFiles(`make a folder in ${folder}; set TMPDIR to another one`, () =>
    mkdtempSync(join(folder, 'kbus-')),
  );
  const daemon = await newDaemon(directory);
  return { bus: 0, directory, says, daemon, temporary: directory };
}

async function newDaemon(directory: string): Promise<Daemon> {
  const log = stderrLog('human');
  const socket = { mode: 0o600, group: undefined };
  const daemon = new Daemon({ buses: 1, directory, socket, bus: {}, log });
  await startDaemon(daemon, directory);
  return daemon;
}

async function show({ bus, directory, says }: House, options: PlayOptions): Promise<void> {
  const { pace = process.stdout.isTTY ? PACE : 0, transcript } = options;
  const kept = new TranscriptStage();
  const file = typeof transcript === 'string' ? transcript : undefined;
  const keep = (text: string): void => {
    if (file === undefined) return;
    inFiles(`write the transcript to ${file}`, () => writeFileSync(file, text));
  };
  // A file that can't be written is a mistake to be told before the play.
  keep('');
  const stages: Stage[] = transcript === undefined ? [] : [kept];
  if (transcript !== true) stages.push(options.json ? new JsonStage(write) : screenStage(says));
  await perform({ bus, directory, stages, pace, signal: ending });
  if (transcript === true) await print(kept.text);
  else keep(kept.text);
  // Stages don't wait: now all of it is written.
  await print('');
}

/** Does something with files. A Failure when the file system refuses it. */
function inFiles<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new Failure(Exit.REFUSED, `can't ${what}: ${(error as Error).message}`, error);
  }
}

const write = (text: string): void => {
  process.stdout.write(text);
};

function screenStage(says: string): Stage {
  const { stdout } = process;
  const screen: Screen = {
    write,
    get columns() {
      // A terminal that doesn't know its width says 0.
      return (stdout.isTTY && stdout.columns) || Number.POSITIVE_INFINITY;
    },
    hasColours: stdout.isTTY && stdout.hasColors(),
  };
  write(`Rosencrantz and Guildenstern: a playlet for four programs.\n${says}\n`);
  return new ScreenStage(screen);
}

function whatNext({ bus, directory, temporary, daemon }: House, stays: boolean): string {
  const kbus = kbusCommand();
  const path = socketPath(directory, bus);
  const serve = stays ? '' : `  ${kbus} serve\n`;
  // In a folder that goes with the playlet there is nothing to begin with.
  const setting = stays && temporary !== null ? `  export KBUS_DIR=${quoted(temporary)}\n` : '';
  return `
Bus ${bus} ${stays ? `is at ${path}.` : `was at ${path}, and ends now.`}
To go on, type these, each in a terminal of its own:

${serve}${setting}  ${kbus} listen '$.*'
${setting}  ${kbus} send '$.Hello.World' 'Hello there'
${daemon !== null && stays ? '\nCtrl-C here ends it.\n' : ''}`;
}

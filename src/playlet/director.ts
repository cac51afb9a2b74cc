import { setTimeout as pause } from 'node:timers/promises';
import { PlayError, Player } from './player.ts';
import { type Actor, playlet, type Step } from './script.ts';
import type { Stage } from './stage.ts';

export interface Performance {
  /** Number of the bus. */
  readonly bus: number;
  /** Folder of its daemon's sockets. */
  readonly directory: string;
  /** Where it is shown. */
  readonly stages: readonly Stage[];
  /** The pause after each step, in milliseconds, so that a person can follow. */
  readonly pace: number;
  readonly signal: AbortSignal;
}

const STEP_TIMEOUT_MS = 60_000;

/**
 * Plays the playlet, each actor in its own process. Rejects if a process ends too early, if a step fails, and with the
 * signal's reason. No process is left in any case.
 */
export async function perform({
  bus,
  directory,
  stages,
  pace,
  signal,
}: Performance): Promise<void> {
  const everywhere = (show: (stage: Stage) => void): void => {
    for (const stage of stages) show(stage);
  };
  const players = new Map<Actor, Player>();
  const playerOf = (who: Actor): Player => {
    let player = players.get(who);
    if (player === undefined) {
      player = new Player(who, directory, (text) =>
        everywhere((stage) => stage.printed(who, text)),
      );
      players.set(who, player);
    }
    return player;
  };
  try {
    for (const step of playlet(bus)) {
      signal.throwIfAborted();
      await withTimeout(play(step, everywhere, playerOf), step, signal);
      if (pace > 0) await pause(pace, undefined, { signal }).catch(() => {});
    }
  } finally {
    await Promise.all([...players.values()].map((player) => player.kill()));
  }
}

async function play(
  step: Step,
  everywhere: (show: (stage: Stage) => void) => void,
  playerOf: (who: Actor) => Player,
): Promise<void> {
  if ('act' in step) return everywhere((stage) => stage.act(step.act));
  if ('aside' in step) return everywhere((stage) => stage.aside(step.aside));
  const { who } = step;
  const player = playerOf(who);
  const typed = (text: string): void => everywhere((stage) => stage.typed(who, text));
  if ('types' in step) {
    typed(`> ${step.types}`);
    await player.types(step.types);
  } else if ('fails' in step) {
    typed(`> ${step.fails}`);
    await player.fails(step.fails);
  } else if ('starts' in step) {
    typed(`> ${step.starts}`);
    player.starts(step.starts);
  } else if ('prints' in step) {
    await player.prints(step.prints);
  } else if ('interrupts' in step) {
    typed('<Ctrl-C>');
    await player.interrupts();
  } else if ('runs' in step) {
    typed(`$ kbus ${step.runs.join(' ')}`);
    await player.runs(step.runs);
  } else {
    typed('> process.exit()');
    await player.exits();
  }
}

function withTimeout(played: Promise<void>, step: Step, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = (): void =>
      reject(
        new PlayError(`this step was not over in ${STEP_TIMEOUT_MS} ms: ${JSON.stringify(step)}`),
      );
    const timer = setTimeout(late, STEP_TIMEOUT_MS);
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    played.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    });
  });
}

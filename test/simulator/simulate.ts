import process from 'node:process';
import { Random } from '../../harness/random.mjs';
import type { Sabotage } from './seat.ts';
import { drawDeed, drawSwarm, type Setup, type Step } from './steps.ts';
import { type Figures, isExpectedThrow, World } from './world.ts';

/** A recorded run: it can be repeated, whole or in part. */
export interface Run extends Setup {
  readonly steps: readonly Step[];
}

export interface Failed extends Run {
  readonly why: string;
}

export interface Outcome {
  readonly failed: Failed | null;
  readonly figures: Figures;
}

/** A random run, from its seed. */
export async function simulate(seed: number, sabotage?: Sabotage): Promise<Outcome> {
  const random = new Random(seed);
  const swarm = drawSwarm(random);
  const steps: Step[] = [];
  const { limit, turnSteps } = swarm;
  const world = new World(swarm, sabotage);
  const why = await inWorld(world, async () => {
    const take = (step: Step): Promise<boolean> => {
      steps.push(step);
      return world.run(step);
    };
    for (let seat = 0; seat < swarm.crowd; seat++) {
      await take({ step: 'deed', seat, deed: drawDeed(random, swarm, false) });
    }
    await take({ step: 'rest' });
    for (let step = 0; step < swarm.steps; step++) await take(world.draw(random, swarm));
  });
  return { failed: why === null ? null : { limit, turnSteps, steps, why }, figures: world.figures };
}

/** Repeats the steps; null, or the failure. */
export async function replay(run: Run, sabotage?: Sabotage): Promise<string | null> {
  const world = new World(run, sabotage);
  return inWorld(world, async () => {
    for (const step of run.steps) await world.run(step);
  });
}

/** Shrinks a failing run: leaves out halves, quarters, ... for at most `time` milliseconds. */
export async function shorten(
  failed: Failed,
  sabotage?: Sabotage,
  patience = 15_000,
): Promise<Failed> {
  let best = failed;
  const until = performance.now() + patience;
  for (let size = Math.ceil(best.steps.length / 2); size >= 1; ) {
    let helped = false;
    for (let at = 0; at < best.steps.length && performance.now() < until; ) {
      const steps = [...best.steps.slice(0, at), ...best.steps.slice(at + size)];
      const why = await replay({ ...best, steps }, sabotage);
      if (why === null) {
        at += size;
      } else {
        best = { ...best, steps, why };
        helped = true;
      }
    }
    if (performance.now() >= until) break;
    if (size === 1 && !helped) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return best;
}

async function inWorld(world: World, body: () => Promise<void>): Promise<string | null> {
  const stray = (error: unknown): void => {
    if (!isExpectedThrow(error)) world.fail(error);
  };
  process.on('unhandledRejection', stray);
  try {
    await body();
    await world.end();
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    process.off('unhandledRejection', stray);
  }
}

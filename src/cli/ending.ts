import process from 'node:process';

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Why a command ends before it is done: a signal, or nobody reads what it prints (EPIPE). */
export class Ending extends Error {
  override readonly name = 'Ending';
  readonly by: keyof typeof SIGNALS | 'EPIPE';

  constructor(by: keyof typeof SIGNALS | 'EPIPE') {
    super(by);
    this.by = by;
  }

  /** As shells tell it: 128 and the signal's number. Whoever stopped reading has what they wanted. */
  get exitCode(): number {
    return this.by === 'EPIPE' ? 0 : 128 + SIGNALS[this.by];
  }
}

const controller = new AbortController();

/** Aborted, with an {@link Ending}, when the command is to end. */
export const ending: AbortSignal = controller.signal;

/** Ends the command. */
export function end(by: Ending['by']): void {
  controller.abort(new Ending(by));
}

/** From now on the first signal ends the command; a second one ends the process at once. */
export function watchSignals(): void {
  for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
    process.once(signal, () => end(signal));
  }
}

/** Resolves when the command is to end. */
export function ended(): Promise<Ending> {
  return new Promise((resolve) => {
    if (ending.aborted) resolve(ending.reason as Ending);
    else ending.addEventListener('abort', () => resolve(ending.reason as Ending), { once: true });
  });
}

import process from 'node:process';
import { type ObserveOptions, observe } from '../client/observe.ts';
import type { Tap } from '../client/tap.ts';
import { answered, type BusOptions, openFailure } from './bus-options.ts';
import { ending } from './ending.ts';

/** Longer than any daemon runs, in milliseconds. */
export const ALL_PAST = 0xffff_ffff;

/** Observes the bus of the options. Throws a Failure that says what to run if there is no such bus. */
export async function openTap(
  options: BusOptions,
  more: Pick<ObserveOptions, 'names' | 'kinds' | 'data' | 'buffer' | 'signal' | 'past'>,
): Promise<Tap> {
  const { bus, directory, access } = options;
  const name = `kbus ${process.argv[2] ?? ''}`;
  try {
    const opened = observe(bus, { directory, access, name, signal: ending, ...more });
    return await answered(opened, options);
  } catch (error) {
    throw openFailure(error);
  }
}

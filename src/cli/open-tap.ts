import process from 'node:process';
import { type ObserveOptions, observe } from '../client/observe.ts';
import type { Tap } from '../client/tap.ts';
import type { BusPlace } from './bus-options.ts';
import { openFailure } from './bus-options.ts';
import { ending, untilEnded } from './ending.ts';

/** Observes the bus of the options. Throws a Failure that says what to run if there is no such bus. */
export async function openTap(
  { bus, directory, access }: BusPlace,
  options: Pick<ObserveOptions, 'names' | 'kinds' | 'data' | 'buffer'>,
): Promise<Tap> {
  try {
    const name = `kbus ${process.argv[2] ?? ''}`;
    const opened = observe(bus, { directory, access, name, signal: ending, ...options });
    return await untilEnded(opened);
  } catch (error) {
    throw openFailure(error);
  }
}

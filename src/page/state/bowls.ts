import { signal } from '@preact/signals';
import { Ksock } from '../../client/browser.ts';
import { observe } from '../../client/browser-observe.ts';
import { Bowl, linksOf } from '../model/bowl.ts';
import { LIMPET_NAME } from '../model/programs.ts';
import { buses, findBuses } from './buses.ts';
import { touch } from './pulse.ts';
import { token } from './token.ts';

/** All buses that the token lets the page observe. */
export const bowls = signal<readonly Bowl[]>([]);

/** A Limpet may take so many milliseconds to answer. */
const PATIENCE_MS = 2000;

/** A bus that was lost is looked for again after so many milliseconds. */
const RETRY_MS = 2000;

/** Watches all buses until the signal aborts. */
export async function watchBowls(signal: AbortSignal): Promise<void> {
  await findBuses();
  if (signal.aborted) return;
  bowls.value = buses.value.map((bus) => new Bowl(bus));
  for (const bowl of bowls.value) void watch(bowl.bus, signal);
}

async function watch(bus: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // What was known of a bus that is lost does not hold.
    const bowl = new Bowl(bus);
    try {
      const tap = await observe(bus, { token, data: false, kinds: [], signal });
      replace(bowl);
      for await (const events of tap.batches()) {
        for (const event of events) bowl.apply(event);
        if (bowl.view.isComplete) void askNew(bowl);
        touch();
      }
    } catch (error) {
      if (signal.aborted) return;
      bowl.fault = error instanceof Error ? error.message : String(error);
      replace(bowl);
    }
    touch();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function replace(bowl: Bowl): void {
  bowls.value = bowls.value.map((one) => (one.bus === bowl.bus ? bowl : one));
}

/** Asks all Limpets for their links again. */
export function askAgain(): void {
  for (const bowl of bowls.value) {
    bowl.links.clear();
    void askNew(bowl);
  }
}

/** Asks the Limpets that were not asked yet, by a Ksock that lives as long. */
async function askNew(bowl: Bowl): Promise<void> {
  const { bus, limpets, links } = bowl;
  for (const id of links.keys()) if (!limpets.includes(id)) links.delete(id);
  const missing = limpets.filter((id) => !links.has(id));
  if (missing.length === 0) return;
  for (const id of missing) links.set(id, null);
  try {
    await using ksock = await Ksock.open(bus, { token, name: 'inspector' });
    await Promise.all(
      missing.map(async (id) => {
        const asked = ksock.request(`${LIMPET_NAME}${id}`, null, { timeout: PATIENCE_MS });
        links.set(id, linksOf((await asked).json()));
      }),
    );
  } catch {
    // The Limpet is shown without its links: it does not answer, or the token gives no right to ask.
  }
  touch();
}

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../harness/random.mjs';
import { DECODERS } from './decoders.ts';
import { BATCH, Growth } from './growth.ts';
import { mutate } from './mutate.ts';

// KBUS_FUZZ is the number of inputs for all decoders together; KBUS_FUZZ_SEED repeats the inputs of another run.
// With KBUS_FUZZ_GROW, the test adds inputs that reach new code to the corpus, and prints the code that no input
// reaches, in the files that match the pattern.

const { KBUS_FUZZ, KBUS_FUZZ_SEED, KBUS_FUZZ_GROW } = process.env;
const inputs = KBUS_FUZZ === undefined ? 60_000 : Number(KBUS_FUZZ);

/** The longest CPU time for an input, in seconds: not wall-clock time, because other programs may be running. */
const HANGS = 5;

function secondsUsed(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The memory in use after all inputs. */
const KEPT = 320 * 1024 * 1024;

/** Inputs in hex, by their purpose. */
function kept(name: string): Record<string, string> {
  return JSON.parse(readFileSync(new URL(`corpus/${name}.json`, import.meta.url), 'utf8'));
}

function corpusOf(name: string): Uint8Array[] {
  return Object.values(kept(name)).map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
}

function keep(name: string, found: readonly Uint8Array[]): void {
  const all = kept(name);
  for (const one of found)
    all[`found${Object.keys(all).length}`] = Buffer.from(one).toString('hex');
  const path = new URL(`corpus/${name}.json`, import.meta.url);
  writeFileSync(path, `${JSON.stringify(all, null, 2)}\n`);
}

describe('bad bytes do no harm to the decoder of', () => {
  it.for(Object.entries(DECODERS))(
    '%s',
    { timeout: 36_000_000 },
    async ([name, { feed, share }]) => {
      const corpus = corpusOf(name);
      const first =
        KBUS_FUZZ_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(KBUS_FUZZ_SEED);
      const growth = KBUS_FUZZ_GROW === undefined ? null : new Growth();
      await growth?.start();
      const before = process.memoryUsage().arrayBuffers;
      const known = corpus.length;
      const count = known + Math.ceil(inputs * share);
      for (let at = 0; at < count; at++) {
        const random = new Random(first + at);
        const bytes = corpus[at]?.slice() ?? mutate(random, corpus);
        const began = secondsUsed();
        try {
          await feed(bytes, random);
          if (secondsUsed() - began > HANGS) throw new Error('it took too long');
        } catch (error) {
          const hex = Buffer.from(bytes).toString('hex');
          throw new Error(
            `${name} failed. See it again with\n` +
              `  KBUS_FUZZ_SEED=${first + at - corpus.length} KBUS_FUZZ=1 npx vitest run test/fuzz -t ' ${name}$'\n` +
              `and keep it in test/fuzz/corpus/${name}.json: ${hex}`,
            { cause: error },
          );
        }
        const input = bytes.slice();
        const again = () => feed(input.slice(), new Random(first + at));
        const found = await growth?.note(input, again);
        if (found === undefined || found.length === 0) continue;
        // Inputs of the corpus are not new.
        if (at >= known + BATCH) keep(name, found);
        corpus.push(...found);
      }
      if (growth !== null) {
        console.log(await growth.neverRan(new RegExp(KBUS_FUZZ_GROW as string)));
        growth.stop();
      }
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(KEPT);
    },
  );
});

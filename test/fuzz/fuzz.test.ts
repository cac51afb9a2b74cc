import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../simulator/random.ts';
import { DECODERS } from './decoders.ts';
import { mutate } from './mutate.ts';

// KBUS_FUZZ is the number of inputs, over all decoders together; KBUS_FUZZ_SEED begins where another run did.

const { KBUS_FUZZ, KBUS_FUZZ_SEED } = process.env;
const inputs = KBUS_FUZZ === undefined ? 60_000 : Number(KBUS_FUZZ);

/** No input takes as long, whatever the machine does beside. */
const HANGS = 10_000;

/** Memory that is still held when all inputs have gone. */
const KEPT = 320 * 1024 * 1024;

function corpusOf(name: string): Uint8Array[] {
  const path = new URL(`corpus/${name}.json`, import.meta.url);
  const kept = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  return Object.values(kept).map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
}

describe('bad bytes do no harm to', () => {
  it.for(Object.entries(DECODERS))(
    '%s',
    { timeout: 36_000_000 },
    async ([name, { feed, share }]) => {
      const corpus = corpusOf(name);
      const first =
        KBUS_FUZZ_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(KBUS_FUZZ_SEED);
      const before = process.memoryUsage().arrayBuffers;
      const count = corpus.length + Math.ceil(inputs * share);
      for (let at = 0; at < count; at++) {
        const random = new Random(first + at);
        const bytes = corpus[at]?.slice() ?? mutate(random, corpus);
        const began = performance.now();
        try {
          await feed(bytes, random);
        } catch (error) {
          const hex = Buffer.from(bytes).toString('hex');
          throw new Error(
            `${name} failed. See it again with\n` +
              `  KBUS_FUZZ_SEED=${first + at - corpus.length} KBUS_FUZZ=1 npx vitest run test/fuzz -t ${name}\n` +
              `and keep it in test/fuzz/corpus/${name}.json: ${hex}`,
            { cause: error },
          );
        }
        if (performance.now() - began > HANGS) throw new Error(`${name} hangs with input ${at}`);
      }
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(KEPT);
    },
  );
});

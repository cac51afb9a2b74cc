import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { drifted, quarters } from '../../soak/drift.mjs';

const MIB = 1024 * 1024;

/** What a daemon might tell after each of 40 rounds. */
function samples(heap: (round: number) => number): { heap: number; queued: number }[] {
  return Array.from({ length: 40 }, (_, round) => ({ heap: heap(round), queued: 0 }));
}

describe('The growth check', () => {
  it('compares the median of the second quarter with that of the last.', () => {
    expect(quarters([9, 9, 1, 3, 5, 5, 6, 8])).toEqual({ second: 2, last: 7 });
  });

  it('notices a little growth in each round.', () => {
    const [line] = drifted(
      samples((round) => 6 * MIB + round * 60_000),
      ['heap'],
    );
    expect(line).toMatch(/^heap went from 7161456 to /);
  });

  it('ignores fluctuation, and memory that is allocated once and kept.', () => {
    const noisy = (round: number): number => 6 * MIB + ((round * 7919) % 13) * 60_000;
    expect(drifted(samples(noisy), ['heap', 'queued'])).toEqual([]);
    expect(
      drifted(
        samples((round) => Math.min(round, 8) * MIB),
        ['heap'],
      ),
    ).toEqual([]);
  });

  it('tolerates no change of a value that must be constant.', () => {
    const leaking = samples(() => 6 * MIB).map((sample, at) => ({ ...sample, queued: at }));
    expect(drifted(leaking, ['queued'])).toHaveLength(1);
  });

  it('reports that there are too few rounds to judge.', () => {
    expect(drifted(samples(() => 0).slice(0, 7), ['heap'])).toEqual([
      '7 rounds are too few to judge: at least 8',
    ]);
  });
});

/** Runs a piece of the soak, which starts where no other does; what it says. */
async function piece(...words: string[]): Promise<string> {
  const main = fileURLToPath(new URL('../../soak/main.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...words]);
  return stdout;
}

describe('A daemon', { timeout: 180_000 }, () => {
  it('does not grow under the mix of all operations.', async () => {
    expect(await piece('--minutes', '0.2', '--work', '25')).toContain('nothing grew');
  });

  it('does not grow while messages stream through it.', async () => {
    expect(await piece('--messages', '400000', '--work', '20000')).toContain('nothing grew');
  });
});

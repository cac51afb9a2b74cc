import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../greed/held.mjs', import.meta.url));

/** Of what is counted: pieces of large messages, and the lists of all kinds of things, are objects too. */
const MAX_PART = 1.02;
/** What exists once, whatever there is much of. */
const ONCE_BYTES = 256 * 1024;

it('counts at least as much memory as each structure takes (spec 1 §14.1)', {
  timeout: 240_000,
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program]);
  const lines = stdout.trim().split('\n');
  expect(lines.length).toBeGreaterThan(20);
  for (const line of lines) {
    const { name, count, counted, held } = JSON.parse(line) as Record<string, number>;
    expect(Number(counted), `${name}: nothing is held`).toBeGreaterThan(1);
    const most = Number(counted) * MAX_PART + ONCE_BYTES / Number(count);
    expect(Number(held), String(name)).toBeLessThanOrEqual(most);
  }
});

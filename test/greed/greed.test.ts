import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// A few of the greedy programs of greed/attacks.mjs, each for a moment: the daemon must stay within its memory, and a
// program beside it must get all its answers. `npm run greed` does all of it, and measures times.

const main = fileURLToPath(new URL('../../greed/main.mjs', import.meta.url));
const SOME = 'not read$|half-sent|sends that wait|tiny|new buses|five Ksocks|one id|same wildcard';

it('keeps its memory and serves others, whatever a greedy program does', {
  timeout: 240_000,
}, async () => {
  const args = [main, '--only', SOME, '--scale', '0.2', '--requests', '50', '--untimed'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const rows = stdout.trim().split('\n').slice(2);
  expect(rows).toHaveLength(11);
  for (const row of rows) expect(row).toMatch(/\| {2}\|$/);
});

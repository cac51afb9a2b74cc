import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const chaos = fileURLToPath(new URL('../../chaos/limpets.mjs', import.meta.url));

it('Limpets keep every promise while the links between two daemons are cut.', {
  timeout: 300_000,
}, async () => {
  // What fails says its seed, and how to do it again.
  const { stdout } = await promisify(execFile)(process.execPath, [chaos, '--seconds', '8']);
  console.log(stdout.trim());
  expect(stdout).toContain('every promise was kept');
});

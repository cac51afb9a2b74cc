import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { HAS_NATS, NATS_SERVER } from '../limpet/engines.ts';

const chaos = fileURLToPath(new URL('../../chaos/limpets.mjs', import.meta.url));
const machines = fileURLToPath(new URL('../../chaos/machines.mjs', import.meta.url));

it('Limpets keep every promise while the links between two daemons are cut.', {
  timeout: 300_000,
}, async () => {
  // What fails says its seed, and how to do it again.
  const { stdout } = await promisify(execFile)(process.execPath, [chaos, '--seconds', '8']);
  console.log(stdout.trim());
  expect(stdout).toContain('every promise was kept');
});

it.skipIf(!HAS_NATS).each(['server', 'all', 'all --inside'])(
  `Machines joined through ${NATS_SERVER} keep every promise while parts are killed: %s`,
  { timeout: 300_000 },
  async (what) => {
    const args = [machines, '--seconds', '6', '--only', ...what.split(' ')];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    console.log(stdout.trim());
    expect(stdout).toContain('every promise was kept');
  },
);

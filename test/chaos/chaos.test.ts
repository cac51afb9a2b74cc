import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const chaos = fileURLToPath(new URL('../../chaos/main.mjs', import.meta.url));

it('KBUS keeps every promise while programs are killed, stopped and disconnected, at sockets and device files.', {
  timeout: 300_000,
}, async () => {
  // What fails says its seed, and how to do it again.
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [chaos, '--minutes', '0.15', '--round', '9', '--clients', '14'],
    { maxBuffer: 1 << 26 },
  );
  console.log((stderr + stdout).trim());
  expect(stdout).toContain('every promise was kept');
});

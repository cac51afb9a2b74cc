import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(
  new URL('../../examples/comparison/responder-dies.mjs', import.meta.url),
);
const hasServer = spawnSync('nats-server', ['--version']).status === 0;
const why = hasServer ? '' : ' (SKIPPED: there is no nats-server here)';

describe.skipIf(!hasServer)(`what docs/comparison.md says of other buses${why}`, () => {
  it('is so when a responder dies.', () => {
    const { stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['KBUS: $.KBUS.Replier.Ignored\nNATS: timeout\n', '']);
  });
});

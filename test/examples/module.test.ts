import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing, output } from '../device/ground.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';

const examples = fileURLToPath(new URL('../../examples/coming-from/', import.meta.url));
const title = "examples/coming-from, programs of the kernel module's time";
const why = missing === null ? '' : ` (SKIPPED: ${missing})`;

describe.skipIf(missing !== null)(`${title}${why}`, { timeout: 30_000 }, () => {
  let folder: string;
  let local: LocalDaemon;
  let bus: string;

  beforeAll(async () => {
    folder = await newFolder();
    const socket = { mode: 0o600, group: undefined };
    const device = { directory: join(folder, 'dev') };
    local = await LocalDaemon.start({}, { directory: join(folder, 'run'), socket, device });
    bus = join(folder, 'dev', 'kbus0');
  });
  afterAll(() => local.stop());

  it('run as they are: in C.', async () => {
    const program = join(folder, 'speak');
    execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-o', program, join(examples, 'speak.c')]);
    expect(await output(program, bus)).toBe('sent [0:1]\nread $.Actor: Ahem\n');
  });

  it('run as they are: in Python.', async () => {
    expect(await output('python3', join(examples, 'ask.py'), bus)).toBe(
      'Were you speaking to me?\nYes, I was\n',
    );
  });
});

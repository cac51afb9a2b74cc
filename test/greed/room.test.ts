import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../greed/room.mjs', import.meta.url));

it('A Ksock that holds little finds room, however many others hold as much as they may (spec 1 §14.1).', {
  timeout: 240_000,
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  const kinds = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(kinds.length).toBeGreaterThan(20);
  for (const { name, answers, held } of kinds) {
    expect(held, name).toBeGreaterThan(0.6);
    expect(held, name).toBeLessThan(1);
    expect(answers, name).toBe(10);
  }
});

import { fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Child } from '../../src/measure/index.ts';
import { newFolder } from '../support/folder.ts';

type Said = { one: number } | { two: number } | { failed: string };

/** A program that runs this code. */
async function running(code: string): Promise<Child<Said, object>> {
  const file = join(await newFolder(), 'program.mjs');
  await writeFile(file, code);
  const child = fork(file, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  return new Child(child, 'a program');
}

test('the messages of a program are given by key, in order, before or after they arrive', async () => {
  const child = await running(`
    process.on('message', () => {
      for (const said of [{ one: 1 }, { two: 2 }, { one: 3 }]) process.send(said);
    });
    process.on('disconnect', () => process.exit());`);
  const two = child.next('two');
  child.tell({});
  expect(await two).toEqual({ two: 2 });
  expect(await child.next('one')).toEqual({ one: 1 });
  expect(await child.next('one')).toEqual({ one: 3 });
  await child.end();
  expect(await child.ended).toBe(0);
});

test('a failed message rejects pending and later waits', async () => {
  const child = await running(`process.send({ failed: 'no luck' });`);
  await expect(child.next('one')).rejects.toThrow('a program: no luck');
  await expect(child.next('two')).rejects.toMatchObject({ said: { failed: 'no luck' }, how: null });
});

test('a program that exits by itself fails with its exit status and its stderr', async () => {
  const child = await running(`console.error('I quit'); process.exitCode = 3;`);
  await expect(child.next('one')).rejects.toMatchObject({ said: null, how: 'exit status 3' });
  await expect(child.trouble).rejects.toThrow(
    'the program exited by itself (exit status 3). I quit',
  );
});

test('a program that could not be started fails', async () => {
  const child: Child<Said, object> = new Child(
    fork('nothing', { execPath: '/there/is/nothing' }),
    'a program',
  );
  await expect(child.next('one')).rejects.toThrow('ENOENT');
  await child.end();
});

// The program of one actor: a terminal, into which the director types over the IPC channel.
import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as kbus from '../index.ts';
import type { FromActor, ToActor } from './player.ts';
import { Terminal } from './terminal.ts';

const tell = (message: FromActor): void => {
  process.send?.(message);
};

const print = (text: string): void => tell({ printed: text });

const terminal = new Terminal(print, { kbus });

async function runKbus(args: readonly string[]): Promise<true> {
  const main = fileURLToPath(new URL('./main.cjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args]);
  for (const line of stdout.trimEnd().split('\n')) print(line);
  return true;
}

process.on('message', async (message: ToActor) => {
  if ('interrupt' in message) terminal.interrupt();
  else if ('exit' in message) process.exit();
  else {
    const isGood =
      'kbus' in message ? await runKbus(message.kbus) : await terminal.run(message.line);
    tell({ done: message.number, isGood });
  }
});

// The user's terminal sends these to all processes; the director handles them, and ends the actors.
for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.on('disconnect', () => process.exit());

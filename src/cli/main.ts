#!/usr/bin/env node
import process from 'node:process';
import { leave, mustBeWhole, watchSignals } from './ending.ts';
import { report } from './failure.ts';

watchSignals();
run(process.argv.slice(2)).then(mustBeWhole).catch(report).then(leave);

/** A daemon must start fast: if its options need no further check, commander and valibot are not loaded. */
async function run(args: string[]): Promise<void> {
  if (args[0] === 'serve') {
    const { plainSettings } = await import('./plain-settings.ts');
    const given = plainSettings(args.slice(1));
    if (given !== undefined) return (await import('./run-daemon.ts')).runDaemon(given);
  }
  if (args[0] === '__complete')
    return (await import('./complete.ts')).printCompletion(args.slice(1));
  await (await import('./program.ts')).runProgram(args);
}

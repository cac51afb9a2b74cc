import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { COMMANDS } from './commands.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';

/** Runs one command. Throws what went wrong, for `report`. */
export async function runProgram(args: string[]): Promise<void> {
  const program = new Command('kbus')
    .description('A message bus for the programs on one machine.')
    .usage('<command> [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .helpCommand('help [command]', 'print what --help of the command does')
    .exitOverride()
    .showHelpAfterError('(kbus --help lists the commands; their options go behind them)')
    .configureOutput({
      // Whoever stops reading the help has what they wanted.
      writeOut: (text) => void print(text).catch(() => {}),
      outputError: (text, write) => write(text.replace(/^error: /, 'kbus: ')),
    })
    .addHelpText(
      'after',
      `
Each command shows its options, and examples, with --help.

Begin with:
  kbus play

Or in three terminals:
  kbus serve
  kbus listen '$.*'
  kbus send '$.Hello.World' 'Hello there'

Exit codes: 0 done, 1 KBUS refused, 2 the command line is wrong, 3 there is no such bus.`,
    );
  const wanted = args.filter((arg) => !arg.startsWith('-'));
  const names = wanted[0] === 'help' ? wanted.slice(1, 2) : wanted.slice(0, 1);
  for (const { name, summary, load } of COMMANDS) {
    const command = program
      .command(name)
      .description(`${capital(summary)}.`)
      .summary(summary);
    command.showHelpAfterError(`(kbus ${name} --help shows how)`);
    if (names.includes(name)) (await load()).configure(command);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong, or shown the help that was asked for.
    if (error.exitCode !== 0) throw new Failure(Exit.USAGE, '', error);
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

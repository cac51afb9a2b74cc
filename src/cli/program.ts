import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { escapedLines } from '../base/escape.ts';
import { COMMANDS } from './commands.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';

/** Runs one command. Throws what went wrong, for `report`. */
export async function runProgram(args: string[]): Promise<void> {
  let printed: Promise<void> = Promise.resolve();
  const program = new Command('kbus')
    .description('A message bus for the programs on one machine.')
    .usage('<command> [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .helpCommand('help [command]', 'print what --help of the command does')
    .exitOverride()
    .showHelpAfterError('(kbus --help lists the commands; their options go behind them)')
    .configureOutput({
      writeOut: (text) => {
        printed = print(text);
        printed.catch(() => {});
      },
      outputError: (text, write) => write(escapedLines(explained(text))),
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

Exit codes: 0 done, 1 KBUS refused, 2 the command line is wrong, 3 there is no such bus, 74 what it prints
could not be written, 129, 130 and 143 ended by SIGHUP, Ctrl-C and SIGTERM.`,
    );
  // What help is asked of must be a command; else commander shows the help of all.
  const asked = args[0] === 'help' ? args[1] : args[0];
  const isMistyped = asked !== undefined && asked !== 'help' && !isCommand(asked);
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
    await program.parseAsync(isMistyped ? [asked] : args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong, or shown the help that was asked for.
    if (error.exitCode !== 0) throw new Failure(Exit.USAGE, '', error);
  }
  await printed;
}

function isCommand(word: string): boolean {
  return word.startsWith('-') || COMMANDS.some(({ name }) => name === word);
}

/** What commander finds wrong, as we say it. */
function explained(text: string): string {
  return text
    .replace(/^error: /, 'kbus: ')
    .replace(
      /too many arguments .* Expected [1-9].*/,
      "$&\nPut what has spaces in quotes: 'two words'",
    );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

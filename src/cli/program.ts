import { readFileSync } from 'node:fs';
import { Command, CommanderError, type OutputConfiguration } from 'commander';
import { escapedLines } from '../base/escape.ts';
import { COMMANDS, GROUPS } from './commands.ts';
import { Exit, Failure } from './failure.ts';
import { print } from './output.ts';

/** The program; only the commands that `load` chooses have arguments and options. */
export async function makeProgram(
  load: (name: string) => boolean,
  output: OutputConfiguration = {},
): Promise<Command> {
  const program = new Command('kbus')
    .description('A message bus for the programs on one machine.')
    .usage('<command> [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .configureOutput(output)
    .showHelpAfterError('(kbus --help lists the commands; options follow the command)')
    .addHelpText(
      'after',
      `
For options and examples of a command, type kbus <command> --help.

Start with:
  kbus play

Or, in three terminals:
  kbus serve
  kbus listen '$.*'
  kbus send '$.Hello.World' 'Hello there'

Exit codes: 0 success, 1 KBUS refused the call, 2 wrong command line, 3 no such bus, 74 a file or the output
could not be read or written, 129, 130 and 143 ended by SIGHUP, Ctrl-C and SIGTERM.`,
    );
  for (const { heading, commands } of GROUPS) {
    program.commandsGroup(heading);
    for (const { name, summary, load: module } of commands) {
      const command = program
        .command(name)
        .description(`${capital(summary)}.`)
        .summary(summary);
      command.showHelpAfterError(`(see kbus ${name} --help)`);
      if (load(name)) (await module()).configure(command);
      for (const part of command.commands)
        part.showHelpAfterError(`(see kbus ${name} ${part.name()} --help)`);
    }
  }
  return program.helpCommand('help [command]', "print the command's help");
}

/** Runs one command. Throws errors, for `report`. */
export async function runProgram(args: string[]): Promise<void> {
  let printed: Promise<void> = Promise.resolve();
  // For "kbus help UNKNOWN", commander would print the general help.
  const asked = args[0] === 'help' ? args[1] : args[0];
  const isMistyped = asked !== undefined && asked !== 'help' && !isCommand(asked);
  const wanted = args.filter((arg) => !arg.startsWith('-'));
  const names = wanted[0] === 'help' ? wanted.slice(1, 2) : wanted.slice(0, 1);
  const program = await makeProgram((name) => names.includes(name), {
    writeOut: (text) => {
      printed = print(text);
      printed.catch(() => {});
    },
    outputError: (text, write) => write(escapedLines(explained(text))),
  });
  try {
    await program.parseAsync(isMistyped ? [asked] : args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has already printed the error or the help.
    if (error.exitCode !== 0) throw new Failure(Exit.USAGE, '', error);
  }
  await printed;
}

function isCommand(word: string): boolean {
  return word.startsWith('-') || COMMANDS.some(({ name }) => name === word);
}

/** Commander's errors in the format of kbus. */
function explained(text: string): string {
  return text
    .replace(/^error: /, 'kbus: ')
    .replace(
      /^kbus: command-argument value '(.*)' is invalid for argument '(.*)'\./,
      "kbus: argument '$2': '$1' is invalid.",
    )
    .replace(
      /^kbus: unknown option '(?:-[^-]|.* ).*'/,
      "$&\nIf it is data, put -- before it: kbus send '$$.Name' -- '-x'",
    )
    .replace(
      /too many arguments .* Expected [1-9].*/,
      "$&\nPut an argument with spaces in quotes: 'two words'",
    );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

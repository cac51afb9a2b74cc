import { homedir } from 'node:os';
import type { Argument, Command, Option } from 'commander';
import { escaped } from '../base/escape.ts';
import { type Candidate, candidatesOf, type Kind, kindOf } from './candidates.ts';
import { print } from './output.ts';
import { makeProgram } from './program.ts';

/** What stands in the command line before the word that is completed. */
interface Position {
  readonly command: Command;
  /** The option whose value the word is. */
  readonly option?: Option | undefined;
  /** The argument that the word is, unless it begins with a hyphen. */
  readonly argument?: Argument | undefined;
  /** The values of options, by the names that commander gives them. */
  readonly values: Readonly<Record<string, string>>;
  /** No word before it is an argument, so it may be a subcommand. */
  readonly isSubcommandNext: boolean;
  /** No more options: `--` was given. */
  readonly isPlain: boolean;
}

/**
 * `kbus __complete <shell> <words...>`: prints what the last word may become. The first line is `:words`, `:files` or
 * `:folders`; in the last two cases the shell looks by itself. Never fails: a shell has no place for an error.
 */
export async function printCompletion([shell = '', ...words]: string[]): Promise<void> {
  const { kind, candidates } = await complete(shell, words).catch(() => NOTHING);
  const lines = candidates.map(({ word, help }) => (help ? `${word}\t${escaped(help)}` : word));
  await print(`${[`:${kind}`, ...lines].join('\n')}\n`);
}

interface Completion {
  readonly kind: 'words' | 'files' | 'folders';
  readonly candidates: readonly Candidate[];
}

const NOTHING: Completion = { kind: 'words', candidates: [] };

export async function complete(shell: string, raw: readonly string[]): Promise<Completion> {
  const words = joinedAtEquals(raw).map(unquoted);
  const current = words.pop() ?? '';
  const name = words[0] === 'help' ? undefined : words[0];
  const program = await makeProgram((one) => one === name);
  if (words[0] === 'help') {
    return wordsOf(words.length === 1 ? subcommands(program) : [], current);
  }
  const at = positionAfter(program, words);
  const [, before = '', after = ''] = (!at.isPlain && /^(--[\w-]+=)(.*)$/s.exec(current)) || [];
  const option = before === '' ? at.option : optionNamed(at.command, before.slice(0, -1));
  if (option === undefined && before === '' && current.startsWith('-') && !at.isPlain) {
    return wordsOf(optionsOf(at.command), current);
  }
  if (option === undefined && before === '' && at.command.commands.length > 0) {
    return wordsOf(at.isSubcommandNext ? subcommands(at.command) : [], current);
  }
  const value = option ?? (before === '' ? at.argument : undefined);
  const kind: Kind = value === undefined ? 'nothing' : kindOf(value);
  if (kind === 'files' || kind === 'folders') return { kind, candidates: [] };
  const found = await candidatesOf(kind, value, at.command.name(), at.values);
  const wanted = before === '' ? current : after;
  const isNew = shell === 'bash' && !/^['"]/.test(raw.at(-1) ?? '');
  // bash inserts a word as it is; it must not expand the $.
  const quote = isNew && kind === 'names' ? "'" : '';
  // bash completes what follows the '=' as a word of its own.
  const prefix = shell === 'bash' ? '' : before;
  const candidates = found
    .filter(({ word }) => word.startsWith(wanted))
    .map(({ word, help }) => ({ word: `${prefix}${quote}${word}${quote}`, help }));
  return { kind: 'words', candidates };
}

function wordsOf(all: readonly Candidate[], current: string): Completion {
  return { kind: 'words', candidates: all.filter(({ word }) => word.startsWith(current)) };
}

function subcommands(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((one) => ({ word: one.name(), help: one.summary() || one.description() }));
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => ({ word: long ?? short ?? '', help: description }));
}

function optionNamed(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => flag === long || flag === short);
}

/** Walks along the words as commander does. */
function positionAfter(program: Command, words: readonly string[]): Position {
  let command = program;
  let option: Option | undefined;
  let isPlain = false;
  let place = 0;
  const values: Record<string, string> = {};
  for (const word of words) {
    if (option !== undefined) {
      values[option.attributeName()] = word;
      option = undefined;
    } else if (word === '--' && !isPlain) {
      isPlain = true;
    } else if (word.startsWith('-') && word !== '-' && !isPlain) {
      const [flag = '', value] = word.split(/=(.*)/s);
      const found = optionNamed(command, flag);
      if (!found?.required) continue;
      if (value === undefined) option = found;
      else values[found.attributeName()] = value;
    } else {
      const below = command.commands.find((one) => one.name() === word);
      if (below === undefined) place++;
      else command = below;
    }
  }
  const all = command.registeredArguments;
  const argument = all[place] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
  return { command, option, argument, values, isSubcommandNext: place === 0, isPlain };
}

/** bash takes `--bus=1` apart into three words. */
function joinedAtEquals(words: readonly string[]): string[] {
  const joined: string[] = [];
  let isOpen = false;
  for (const word of words) {
    const last = joined.at(-1);
    if (last !== undefined && (isOpen || (word === '=' && /^--[\w-]+$/.test(last)))) {
      joined[joined.length - 1] = last + word;
      isOpen = word === '=';
    } else {
      joined.push(word);
    }
  }
  return joined;
}

/** The word as the shell would pass it, without its quotes; the last one may be open. */
function unquoted(word: string): string {
  const text = word.replace(/'([^']*)(?:'|$)|"((?:[^"\\]|\\.)*)(?:"|$)|\\(.)/g, '$1$2$3');
  return text.startsWith('~/') ? homedir() + text.slice(1) : text;
}

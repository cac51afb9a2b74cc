// Makes the man pages in mdoc: one for `kbus`, one for each command, and one for the configuration file. All of it comes
// from the commands' own definitions, and from the table of settings.
import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sourceDate } from './source-date.mjs';

/** @import { Argument, Command, Option } from 'commander' */
/** @import { Setting } from '../src/daemon/settings.ts' */

/** @param {string} built  the folder of the compiled modules @param {string} folder  where the pages go */
export async function writeManPages(built, folder) {
  const load = (/** @type {string} */ path) => import(pathToFileURL(resolve(built, path)).href);
  const { makeProgram } = /** @type {typeof import('../src/cli/program.ts')} */ (
    await load('cli/program.js')
  );
  const { SETTINGS, requirementOf } = /** @type {typeof import('../src/daemon/settings.ts')} */ (
    await load('daemon/settings.js')
  );
  const program = await makeProgram(() => true);
  mkdirSync(folder, { recursive: true });
  const write = (/** @type {string} */ name, /** @type {string[]} */ lines) =>
    writeFileSync(`${folder}/${name}`, `${lines.join('\n')}\n`);
  write('kbus.1', programPage(program));
  for (const command of program.commands)
    write(`kbus-${command.name()}.1`, commandPage(command, program));
  const rows = Object.entries(/** @type {Record<string, Setting>} */ (SETTINGS));
  write('kbus.toml.5', settingsPage(rows, requirementOf, program));
}

/** Text in a line of text, or in an argument of a macro. @param {string} text */
const escaped = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replace(/[^\0-~]/gu, inAscii);

/** @param {string} character */
const inAscii = (character) =>
  `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`;

/** Prose, a sentence per line, as mdoc wants it. @param {string} text */
const prose = (text) =>
  text
    .replace(/\s*\n\s*/g, ' ')
    .split(/(?<=[.?!:]\)?) (?=[A-Z])/)
    .map((line) => escaped(line).replace(/^[.']/, '\\&$&'));

/** One argument of a macro. @param {string} text */
const word = (text) => {
  const one = escaped(text).replace(/^(?=[A-Z%][A-Za-z]{0,2}$|\W+$)/, '\\&');
  return one.includes(' ') ? `"${one}"` : one;
};

/** @param {string} name @param {number} section */
function head(name, section) {
  const date = new Date(sourceDate() * 1000).toLocaleDateString('en-US', {
    dateStyle: 'long',
    timeZone: 'UTC',
  });
  return [
    '.\\" Made by scripts/man-pages.mjs from the definitions in the source.',
    `.Dd ${date}`,
    `.Dt ${name.toUpperCase()} ${section}`,
    '.Os KBUS',
    '.Sh NAME',
  ];
}

/** Paragraphs; lines that are indented stay as they are. @param {string} text */
function paragraphs(text) {
  const lines = [];
  for (const [part] of text
    .replace(/^\n+|\s+$/g, '')
    .matchAll(/(?:^ {2,}.*\n?|^\n(?= {2,}))+|(?:^(?! {2}).+\n?)+/gm)) {
    if (part.startsWith('  ')) {
      const literal = part.trimEnd().replace(/^ {2}/gm, '').split('\n');
      lines.push(
        '.Bd -literal -offset indent',
        ...literal.map((line) => escaped(line).replace(/^[.']/, '\\&$&')),
        '.Ed',
      );
    } else {
      if (lines.length > 0) lines.push('.Pp');
      lines.push(...prose(part.trim()));
    }
  }
  return lines;
}

/** What `addHelpText` has added. @param {Command} command */
function textAfter(command) {
  let text = '';
  /** @type {import('node:events').EventEmitter} */ (/** @type {unknown} */ (command)).emit(
    'afterHelp',
    {
      error: false,
      command,
      write: (/** @type {string} */ more) => {
        text += more;
      },
    },
  );
  return text;
}

/** The sections that the help text after the options makes. @param {string} text @param {Command} program */
function sections(text, program) {
  const [about = '', examples] = text.trim().split(/^(?:Examples|Start with):\n/m);
  const lines = about.trim() === '' ? [] : ['.Pp', ...paragraphs(about)];
  lines.push(...exitStatus(program));
  if (examples !== undefined) lines.push('.Sh EXAMPLES', ...paragraphs(examples));
  return lines;
}

/** @param {Option} option */
function optionTag({ flags }) {
  const [names = '', placeholder] = flags.split(/ (?=<)/);
  const words = names.split(', ').map((name) => `Fl ${word(name.slice(1))}`);
  const value = placeholder === undefined ? '' : ` Ar ${word(placeholder.slice(1, -1))}`;
  return `${words.join(' , ')}${value}`;
}

/** @param {readonly Option[]} options */
function optionList(options) {
  if (options.length === 0) return [];
  return [
    '.Bl -tag -width indent',
    ...options.flatMap((option) => {
      const notes = [];
      if (option.argChoices) notes.push(`one of ${option.argChoices.join(', ')}`);
      const given = option.defaultValueDescription ?? option.defaultValue;
      const isShown = given !== undefined && given !== false && String(given) !== '';
      if (isShown) notes.push(`default: ${given}`);
      const text = `${option.description}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
      return [`.It ${optionTag(option)}`, ...prose(sentence(text))];
    }),
    '.El',
  ];
}

/** @param {string} text */
const sentence = (text) =>
  /^[a-z]+:/.test(text) ? `${text}.` : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** @param {Argument} argument */
function argumentUse(argument) {
  const name = `Ar ${word(argument.name())}${argument.variadic ? ' ...' : ''}`;
  return argument.required ? name : `Op ${name}`;
}

/** @param {Command} command @param {string[]} before  the words before its options */
function synopsis(command, before) {
  const options = command.options.map((option) =>
    option.mandatory ? `.${optionTag(option)}` : `.Op ${optionTag(option)}`,
  );
  return [
    '.Nm kbus',
    ...before.map((name) => `.Cm ${name}`),
    ...options.map((line) => line.replace(/ , Fl \S+/, '')),
    ...command.registeredArguments.map((argument) => `.${argumentUse(argument)}`),
  ];
}

/** @param {Command} command */
function argumentList(command) {
  const all = command.registeredArguments;
  if (all.length === 0) return [];
  return [
    '.Bl -tag -width indent',
    ...all.flatMap((argument) => {
      const choices = argument.argChoices ? ` (one of ${argument.argChoices.join(', ')})` : '';
      return [
        `.It Ar ${word(argument.name())}`,
        ...prose(sentence(argument.description + choices)),
      ];
    }),
    '.El',
  ];
}

/** @param {Command} command @param {Command} program */
function commandPage(command, program) {
  const name = command.name();
  const below = command.commands;
  const uses = below.length > 0 ? below : [command];
  const lines = [
    ...head(`kbus-${name}`, 1),
    `.Nm kbus\\-${name}`,
    `.Nd ${escaped(command.summary())}`,
    '.Sh SYNOPSIS',
    ...uses.flatMap((one) => synopsis(one, one === command ? [name] : [name, one.name()])),
    '.Sh DESCRIPTION',
  ];
  for (const one of uses) {
    if (one !== command) lines.push(`.Ss kbus ${name} ${one.name()}`);
    lines.push(
      ...prose(one.description()),
      ...argumentList(one),
      ...(one.options.length > 0 ? ['.Pp', 'The options are:'] : []),
      ...optionList(one.options),
    );
  }
  if (below.length > 0) lines.push('.Ss Notes');
  lines.push(...sections(textAfter(command), program).slice(below.length > 0 ? 1 : 0));
  lines.push('.Sh SEE ALSO', '.Xr kbus 1');
  if (name === 'serve') lines[lines.length - 1] += ' ,';
  if (name === 'serve') lines.push('.Xr kbus.toml 5');
  return lines;
}

/** @param {Command} program */
function exitStatus(program) {
  const [, text = ''] = textAfter(program).split('Exit codes: ');
  return ['.Sh EXIT STATUS', ...prose(sentence(text.trim().replace(/\.$/, '')))];
}

/** @param {Command} program */
function programPage(program) {
  const help = program.createHelp();
  const groups = help.groupItems(
    [...program.commands],
    help.visibleCommands(program),
    (command) => command.helpGroup() || 'Commands:',
  );
  const lists = [...groups].flatMap(([heading, commands]) => [
    `.Ss ${escaped(heading.replace(/:$/, ''))}`,
    '.Bl -tag -width "completion"',
    ...commands.flatMap((command) => [
      `.It Cm ${command.name()}`,
      ...prose(`${sentence(command.summary() || command.description())}`),
      ...(program.commands.includes(command) ? [`See`, `.Xr kbus\\-${command.name()} 1 .`] : []),
    ]),
    '.El',
  ]);
  const [start = ''] = textAfter(program).split('Exit codes: ');
  const [, examples = ''] = start.split(/(?=^Start with)/m);
  return [
    ...head('kbus', 1),
    '.Nm kbus',
    `.Nd ${escaped('a message bus for the programs on one machine')}`,
    '.Sh SYNOPSIS',
    '.Nm kbus',
    '.Ar command',
    '.Op Ar options',
    '.Sh DESCRIPTION',
    'A program opens a Ksock on a bus.',
    'It sends named messages, listens for names, or replies to Requests.',
    'Every Request gets exactly one answer, and all programs see messages in the same order.',
    '.Pp',
    'The options are:',
    ...optionList([...help.visibleOptions(program)]),
    '.Sh COMMANDS',
    ...lists,
    '.Sh ENVIRONMENT',
    '.Bl -tag -width "XDG_RUNTIME_DIR"',
    '.It Ev KBUS_DIR',
    'The folder of the sockets of the buses: programs look there first.',
    '.It Ev XDG_RUNTIME_DIR',
    'Its folder',
    '.Pa kbus',
    'has the buses of the user.',
    '.El',
    '.Sh FILES',
    '.Bl -tag -width "/run/kbus"',
    '.It Pa /run/kbus',
    "The buses of the system, where programs look after the user's own.",
    '.El',
    ...exitStatus(program),
    '.Sh EXAMPLES',
    ...paragraphs(examples),
    '.Sh SEE ALSO',
    ...program.commands.map((command) => `.Xr kbus\\-${command.name()} 1 ,`).sort(),
    '.Xr kbus.toml 5',
  ];
}

/**
 * @param {[string, Setting][]} rows
 * @param {(setting: Setting) => string} requirementOf
 * @param {Command} program
 */
function settingsPage(rows, requirementOf, program) {
  const serve = program.commands.find((command) => command.name() === 'serve');
  const [, file = ''] = (serve ? textAfter(serve) : '').split(/(?=^A configuration file)/m);
  return [
    ...head('kbus.toml', 5),
    '.Nm kbus.toml',
    '.Nd settings of the daemon of KBUS',
    '.Sh DESCRIPTION',
    'The daemon reads this file, in TOML, if it is started with',
    '.Dl kbus serve --config file'.replaceAll('-', '\\-'),
    'Options of the command line override it.',
    'The keys are:',
    '.Bl -tag -width indent',
    ...rows.flatMap(([name, setting]) => {
      const standard = setting.kind === 'switch' ? 'false' : (setting.otherwise ?? setting.default);
      return [
        `.It Ic ${word(name)}`,
        ...prose(sentence(setting.help)),
        ...prose(`It must be ${requirementOf(setting)} (default: ${standard}).`),
      ];
    }),
    '.El',
    '.Sh EXAMPLES',
    ...paragraphs(file),
    '.Sh SEE ALSO',
    '.Xr kbus\\-access 1 ,',
    '.Xr kbus\\-limpet 1 ,',
    '.Xr kbus\\-serve 1',
  ];
}

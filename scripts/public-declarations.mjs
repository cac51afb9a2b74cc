// Removes from the package's declarations what programs can't use: the private members of classes, internal base
// classes, and the type parameters of interfaces that are public for one type only. It relies on the layout of the
// compiler: one member on a line, and every line of a class indented.

const COMMENT = String.raw`(?: *\/\*\*(?:[^*]|\*(?!\/))*\*\/\n)?`;
const PRIVATE = new RegExp(String.raw`${COMMENT} +private (?!constructor)[^;]*;\n`, 'g');
const CONSTRUCTOR = new RegExp(String.raw`${COMMENT} +constructor\([^;]*;\n`);
const CLASS = new RegExp(
  String.raw`${COMMENT}declare class (?<name>\w+)(?<base> extends \w+)?(?<more>[^{\n]*) \{\n(?<body>(?: .*\n)*)\}\n`,
  'g',
);

/** @param {string} declarations  one file */
export function publicDeclarations(declarations) {
  const exported = [...declarations.matchAll(/^export (?:type )?\{(.*)\}/gm)].flatMap(([, list]) =>
    (list ?? '').split(',').map((name) => name.trim().replace(/ as .*/, '')),
  );
  let text = withoutAliases(withoutBases(declarations, exported), exported);
  for (;;) {
    const classes = [...text.matchAll(CLASS)];
    const hidden = classes.find(([, name]) => name !== undefined && !exported.includes(name));
    if (hidden === undefined) return text.replace(CLASS, hidePrivate);
    text = text
      .replace(hidden[0], '')
      .replace(CLASS, (other, ...found) => withMembersOf(hidden, other, found.at(-1)));
  }
}

/**
 * Interfaces with the members that they inherit from a generic interface that programs can't name.
 *
 * @param {string} text @param {string[]} exported
 */
function withoutBases(text, exported) {
  const heirs = [
    ...text.matchAll(/^interface (\w+(?:<\w+>)?) extends (\w+)<(\w+)>(?:, (\w+))? \{\n/gm),
  ];
  const hidden = heirs.filter(([, , base = '']) => !exported.includes(base));
  const heads = new Map(hidden.map(([, , base = '']) => [base, headOf(base)]));
  const filled = hidden.reduce((made, [line, heir = '', base = '', argument = '', other]) => {
    const [, parameter = '', body = ''] = heads.get(base)?.exec(text) ?? [];
    const members = body.replace(new RegExp(`\\b${parameter}\\b`, 'g'), argument);
    const rest = other === undefined ? '' : ` extends ${other}`;
    return made.replace(line, () => `interface ${heir}${rest} {\n${members}`);
  }, text);
  return [...heads.values()].reduce((made, head) => made.replace(head, ''), filled);
}

/** A generic interface: its parameter, and its members. @param {string} name */
const headOf = (name) =>
  new RegExp(`${COMMENT}^interface ${name}<(\\w+)> \\{\\n((?: .*\\n)*)\\}\\n`, 'm');

/**
 * In place of a name for a generic interface that programs can't name, that interface with its argument.
 *
 * @param {string} text @param {string[]} exported
 */
function withoutAliases(text, exported) {
  const ALIAS = new RegExp(String.raw`(${COMMENT})^type (\w+) = (\w+)<(\w+)>;\n`, 'gm');
  const aliases = [...text.matchAll(ALIAS)];
  return aliases.reduce((made, [line, comment = '', alias = '', generic = '', argument = '']) => {
    const head = headOf(generic);
    const [, parameter = '', body = ''] = head.exec(made) ?? [];
    if (exported.includes(generic) || parameter === '') return made;
    const filled = body.replace(new RegExp(`\\b${parameter}\\b`, 'g'), argument);
    return made
      .replace(line, '')
      .replace(head, () => `${comment}interface ${alias} {\n${filled}}\n`);
  }, text);
}

/** @typedef {Partial<Record<'name' | 'base' | 'more' | 'body', string>>} Groups */

/**
 * A class with the members that it inherits from a base class that is not exported.
 *
 * @param {RegExpExecArray} base @param {string} text @param {Groups} groups
 */
function withMembersOf({ groups: base = {} }, text, groups) {
  if (groups.base !== ` extends ${base['name']}`) return text;
  const { body = '' } = groups;
  const inherited = CONSTRUCTOR.test(body) ? base['body']?.replace(CONSTRUCTOR, '') : base['body'];
  return text
    .replace(groups.base, () => base['base'] ?? '')
    .replace(`{\n${body}}`, () => `{\n${inherited ?? ''}${body}}`);
}

/**
 * A class with private members is not assignable to another class, whatever the members' names. `#private` stands for all
 * of them, as the compiler writes it for JavaScript's private members.
 *
 * @param {string} text
 */
function hidePrivate(text) {
  const shown = text.replace(PRIVATE, '');
  return shown === text
    ? text
    : shown.replace(/^(declare class .*) \{\n/m, '$1 {\n    #private;\n');
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-5.6';
import { describe, expect, test } from 'vitest';

const types = new URL('../dist/types', import.meta.url).pathname;
const FILES = [
  'index',
  'daemon',
  'limpet',
  'limpet-nats',
  'limpet-engine',
  'browser',
  'browser-observe',
  'shared',
];

/** Methods that every class of JavaScript may have, and which do what they always do. */
const KNOWN = /\.(toString|toJSON|equals|\[Symbol\..*\])$/;

/** Public names, and whether they have a docstring; of several signatures, one is enough. */
const documented = new Map<string, boolean>();
/** What docstrings link to. */
const linked: { from: string; to: string }[] = [];

for (const file of FILES) {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(types, `${file}.d.ts`), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) continue;
    const named = ts.isVariableStatement(statement)
      ? statement.declarationList.declarations[0]
      : (statement as ts.DeclarationStatement);
    note(named?.name?.getText() ?? '', statement);
  }
}

function note(name: string, node: ts.Node): void {
  const comments = ts.getJSDocCommentsAndTags(node);
  documented.set(name, documented.get(name) || comments.length > 0);
  for (const comment of comments)
    for (const [, to = ''] of comment.getText().matchAll(/\{@link\s+([^}|\s]+)/g))
      linked.push({ from: name, to });
  if (!ts.isClassDeclaration(node) && !ts.isInterfaceDeclaration(node)) return;
  for (const member of node.members) {
    const at = `${name}.${member.name?.getText() ?? 'constructor'}`;
    if (ts.isMethodDeclaration(member) || ts.isMethodSignature(member)) note(at, member);
    else if (!documented.has(at)) documented.set(at, true);
  }
}

describe('the reference', () => {
  test('says of each public name and each method what it is', () => {
    const without = [...documented].filter(([name, is]) => !is && !KNOWN.test(name));
    expect(without.map(([name]) => name).sort()).toEqual([]);
  });

  test('links to public names only', () => {
    expect(linked.length).toBeGreaterThan(20);
    const broken = linked.filter(({ from, to }) => {
      const own = from.split('.')[0];
      return (
        !documented.has(to) &&
        !documented.has(`${own}.${to}`) &&
        !documented.has(to.replace('#', '.'))
      );
    });
    expect(broken).toEqual([]);
  });
});

import ts from 'typescript-5.6';
import { describe, expect, test } from 'vitest';
import { declarations } from './support/declarations.ts';

/** Methods that every class of JavaScript may have, and which do what they always do. */
const KNOWN = /\.(toString|toJSON|equals|\[Symbol\..*\])$/;

/** Public names, and whether they have a docstring; of several signatures, one is enough. */
const documented = new Map<string, boolean>();
/** What docstrings link to. */
const linked: { from: string; to: string }[] = [];

for (const [name, statement] of declarations()) note(name, statement);

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

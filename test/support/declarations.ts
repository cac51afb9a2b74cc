import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-5.6';
import { root } from './markdown.ts';

/** The published declarations; `shared` has those that others import. */
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

/** What is declared there: names, and the statements. */
export function* declarations(): Generator<[name: string, statement: ts.Statement]> {
  for (const file of FILES) {
    const text = readFileSync(join(root, 'dist/types', `${file}.d.ts`), 'utf8');
    const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    for (const statement of statements) {
      if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) continue;
      const named = ts.isVariableStatement(statement)
        ? statement.declarationList.declarations[0]
        : (statement as ts.DeclarationStatement);
      yield [named?.name?.getText() ?? '', statement];
    }
  }
}

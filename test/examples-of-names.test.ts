import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-5.6';
import { beforeAll, describe, expect, test } from 'vitest';
import { declarations } from './support/declarations.ts';
import { newFolder } from './support/folder.ts';
import { root } from './support/markdown.ts';

/** What a browser has, and Node lacks: these are only compiled. */
const IN_A_PAGE = /from 'kbus\/browser/;

/** What the docstring of a public name has as its example: a program, or the name that has it. */
interface Example {
  readonly code: string;
  readonly of: string;
}

const examples = new Map<string, Example>();
/** By name: the `type` of an event. */
const eventTypes = new Map<string, string>();

for (const [name, statement] of declarations()) {
  const [, type] = /readonly type: '(\w+)'/.exec(statement.getText()) ?? [];
  if (type !== undefined && name.endsWith('Event')) eventTypes.set(name, type);
  const [comment = ''] = ts.getJSDocCommentsAndTags(statement).map((one) => one.getText());
  const [, text = ''] = /@example(.*?)(?= \* @|\*\/$)/s.exec(comment) ?? [];
  const [, code = ''] = /```ts\n(.*?) \* ```/s.exec(text) ?? [];
  const [, of = ''] = /@see \{@link (\w+)\} for an example/.exec(comment) ?? [];
  examples.set(name, { code: code.replace(/^ \* ?/gm, ''), of });
}

const programs = [...examples]
  .filter(([, { code }]) => code !== '')
  .map(([name, { code }]) => ({ name, code }));
const running = programs.filter(({ code }) => !IN_A_PAGE.test(code));

/** What a program says that it prints: `// → 21`, in order. */
const promised = (code: string): string[] =>
  [...code.matchAll(/\/\/ → (.*)$/gm)].map(([, line = '']) => line);

describe('the examples in the docstrings', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await newFolder();
    const modules = join(folder, 'node_modules');
    mkdirSync(join(modules, '@types'), { recursive: true });
    symlinkSync(root, join(modules, 'kbus'));
    for (const name of ['ws', '@types/ws', '@types/node', 'undici-types'])
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    for (const { name, code } of programs) {
      writeFileSync(join(folder, `${name}.ts`), code);
      const { outputText } = ts.transpileModule(code, {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      });
      writeFileSync(join(folder, `${name}.js`), outputText);
    }
  });

  test('are there for each public name: its own, or that of a name that uses it', () => {
    const lacking = [...examples].filter(([name, { code, of }]) => {
      if (code !== '') return false;
      const other = examples.get(of)?.code ?? '';
      const type = eventTypes.get(name);
      const exported = name.replace(/\$1$/, '');
      const isUsed = new RegExp(`\\b${exported}\\b`).test(other);
      return !isUsed && !(type !== undefined && other.includes(`case '${type}'`));
    });
    expect(lacking.map(([name]) => name)).toEqual([]);
    expect(examples.size).toBeGreaterThan(100);
  });

  test('use the names that they are of', () => {
    // A page knows this one by another name.
    const known = (name: string): string => name.replace(/^(Transport|Web)(?=Ksock|Observe)/, '');
    const without = programs.filter(
      ({ name, code }) => !code.includes(known(name).replace(/\$1$/, '')),
    );
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  test('are accepted by a strict compiler', () => {
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023', 'dom', 'esnext.disposable'],
      types: ['node'],
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      noUnusedLocals: true,
      moduleDetection: 'force',
      noEmit: true,
    };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['*.ts'] }),
    );
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], {
      encoding: 'utf8',
    });
    expect([stdout, status]).toEqual(['', 0]);
  });

  test('print what they say', () => {
    // Beside them, so that they share its copy of the package.
    copyFileSync(
      join(root, 'test/support/programs/run-examples.mjs'),
      join(folder, 'run-examples.mjs'),
    );
    const files = running.map(({ name }) => `${name}.js`);
    const printed = execFileSync(process.execPath, ['run-examples.mjs', ...files], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines: Record<string, string[]> = JSON.parse(printed);
    const wrong = running
      .map(({ name, code }) => ({ name, prints: lines[`${name}.js`], says: promised(code) }))
      .filter(({ prints, says }) => prints?.join('\n') !== says.join('\n'));
    expect(wrong).toEqual([]);
  });
});

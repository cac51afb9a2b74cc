import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript-5.6';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json'));

/** A program that imports every name of every entry, and uses it. */
function useOfEveryName(folder: string): string {
  const entries = ['kbus', 'kbus/daemon'];
  const file = join(folder, 'entries.ts');
  writeFileSync(file, entries.map((entry) => `import '${entry}';`).join('\n'));
  const options = { module: ts.ModuleKind.NodeNext, types: [], lib: ['lib.es2023.d.ts'] };
  const program = ts.createProgram([file], options);
  const checker = program.getTypeChecker();
  const text: string[] = [];
  for (const statement of program.getSourceFile(file)?.statements ?? []) {
    const { moduleSpecifier } = statement as unknown as { moduleSpecifier: { text: string } };
    const module = checker.getSymbolAtLocation(moduleSpecifier as never);
    if (module === undefined) throw new Error(`no types for ${moduleSpecifier.text}`);
    const names = checker.getExportsOfModule(module).map((symbol) => {
      const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
      const { flags } = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
      return { name: symbol.name, isValue: (flags & ts.SymbolFlags.Value) !== 0 };
    });
    if (names.length === 0) throw new Error(`no names in ${moduleSpecifier.text}`);
    for (const { name, isValue } of names) {
      const own = `${name}${text.length}`;
      text.push(
        `import { ${isValue ? '' : 'type '}${name} as ${own} } from '${moduleSpecifier.text}';`,
      );
      text.push(isValue ? `void ${own};` : `export type Use${own} = ${own};`);
    }
  }
  return text.join('\n');
}

describe('the package', () => {
  let folder: string;
  let files: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kbus-package-'));
    const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const answer = JSON.parse(packed);
    const [{ filename, files: listed }] = Array.isArray(answer) ? answer : Object.values(answer);
    files = listed.map(({ path }: { path: string }) => path);
    await mkdir(join(folder, 'node_modules'));
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder]);
    symlinkSync(join(folder, 'package'), join(folder, 'node_modules', 'kbus'));
    for (const name of Object.keys(manifest.dependencies)) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('holds the build, the unit files, README, LICENSE and package.json, and nothing else', () => {
    const wanted = /^(dist\/.+\.(c?js|d\.ts)|systemd\/[\w.-]+|README\.md|LICENSE|package\.json)$/;
    expect(files.filter((path) => !wanted.test(path))).toEqual([]);
    for (const path of ['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']) {
      expect(files).toContain(path);
    }
  });

  test('has nothing that publint objects to', async () => {
    const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: 'npm' });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test('can be imported and run where it is installed', () => {
    const program = `
      import { Bus, Ksock } from 'kbus';
      import { Daemon } from 'kbus/daemon';
      const ksock = await Ksock.open(new Bus());
      console.log(String(ksock), typeof Daemon);
      await ksock.close();`;
    const run = (args: string[]): string =>
      execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect(run(['--input-type=module', '--eval', program])).toBe(
      'Ksock device 0, id 1, mode read/write function\n',
    );
    expect(run(['node_modules/kbus/dist/cli/main.cjs', '--version'])).toBe(`${manifest.version}\n`);
  });

  describe('has types that strict projects compile', () => {
    // One is of the program that the project has; the other is the oldest that it is for.
    const compilers = { 'TypeScript 5.6': 'typescript-5.6', 'this TypeScript': 'typescript' };
    const cases = Object.entries(compilers).flatMap(([title, compiler]) => [
      { title, compiler, module: 'nodenext', moduleResolution: 'nodenext' },
      { title, compiler, module: 'esnext', moduleResolution: 'bundler' },
    ]);

    beforeAll(async () => {
      await mkdir(join(folder, 'node_modules', '@types'));
      symlinkSync(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
      symlinkSync(
        join(root, 'node_modules/undici-types'),
        join(folder, 'node_modules/undici-types'),
      );
      writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
      writeFileSync(join(folder, 'names.ts'), useOfEveryName(folder));
      copyFileSync(join(root, 'test/support/programs/consumer.txt'), join(folder, 'consumer.ts'));
    });

    test.for(cases)('$title, $moduleResolution', ({ compiler, module, moduleResolution }) => {
      const config = {
        compilerOptions: {
          target: 'es2022',
          lib: ['es2023', 'esnext.disposable'],
          types: ['node'],
          module,
          moduleResolution,
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          noPropertyAccessFromIndexSignature: true,
          skipLibCheck: false,
          noEmit: true,
        },
        // The declarations that no entry leads to, too: each must stand by itself.
        include: ['names.ts', 'consumer.ts', 'package/dist/**/*.d.ts'],
        exclude: [],
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const tsc = join(root, 'node_modules', compiler, 'bin/tsc');
      const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], {
        encoding: 'utf8',
      });
      expect([stdout, status]).toEqual(['', 0]);
    });
  });

  test('has few dependencies, none of which runs a script when it is installed', () => {
    const lock = JSON.parse(read('package-lock.json'));
    // What is there for development is `dev`, or `devOptional` where a dependency could use it too.
    interface Locked {
      dev?: boolean;
      devOptional?: boolean;
      optional?: boolean;
      hasInstallScript?: boolean;
    }
    const needed = Object.entries<Locked>(lock.packages).filter(
      ([path, { dev, devOptional, optional }]) => path !== '' && !dev && !devOptional && !optional,
    );
    expect(needed.map(([path]) => path).sort()).toEqual(
      Object.keys(manifest.dependencies)
        .map((name) => `node_modules/${name}`)
        .sort(),
    );
    expect(needed.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
  });

  test('is locked without the addresses of registries', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"/);
  });
});

import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData, type Problem } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript-5.6';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json'));

/** The declarations that the package brings. */
const TYPES = [
  'index.d.ts',
  'daemon.d.ts',
  'limpet.d.ts',
  'limpet-nats.d.ts',
  'browser.d.ts',
  'browser-observe.d.ts',
  'limpet-engine.d.ts',
  'shared.d.ts',
];

/** What these files declare, each with the names of its members; and what the entries export, by entry. */
function namesIn(folder: string) {
  const declared = new Map<string, string[]>();
  const exported = TYPES.map((file) => {
    const source = ts.createSourceFile(
      file,
      readFileSync(join(folder, file), 'utf8'),
      ts.ScriptTarget.Latest,
    );
    const names: string[] = [];
    const textOf = (name: ts.Node): string => name.getText(source);
    const membersOf = (node: ts.Node): string[] => {
      const { name } = node as ts.NamedDeclaration;
      const isMember = ts.isClassElement(node) || ts.isTypeElement(node);
      const own = isMember && name && !ts.isPrivateIdentifier(name) ? [textOf(name)] : [];
      ts.forEachChild(node, (child) => void own.push(...membersOf(child)));
      return own;
    };
    for (const statement of source.statements) {
      if (ts.isImportDeclaration(statement)) continue;
      if (ts.isExportDeclaration(statement)) {
        const { exportClause } = statement;
        if (!exportClause || !ts.isNamedExports(exportClause)) throw new Error(textOf(statement));
        // `WebKsock as Ksock`: the name of the declaration.
        const { elements } = exportClause;
        names.push(...elements.map(({ name, propertyName = name }) => textOf(propertyName)));
      } else {
        const [{ name }] = ts.isVariableStatement(statement)
          ? statement.declarationList.declarations
          : [statement as ts.DeclarationStatement];
        if (name === undefined) throw new Error(`what is this? ${textOf(statement)}`);
        declared.set(textOf(name), [...new Set(membersOf(statement))]);
      }
    }
    return names;
  });
  return { declared, exported };
}

describe('the package', () => {
  let folder: string;
  let files: string[];
  let filename: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kbus-package-'));
    const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const answer = JSON.parse(packed);
    const [pack] = Array.isArray(answer) ? answer : Object.values(answer);
    filename = pack.filename;
    files = pack.files.map(({ path }: { path: string }) => path);
    await mkdir(join(folder, 'node_modules'));
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder]);
    symlinkSync(join(folder, 'package'), join(folder, 'node_modules', 'kbus'));
    for (const name of Object.keys(manifest.dependencies)) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('holds what is built, documentation, examples and unit files, and nothing else', () => {
    const modules = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      // The rooms of the program are joined in dist/cli; these two are no part of what programs import.
      .filter((path) => /\.ts$/.test(path) && !/^(cli|playlet|page|measure)\//.test(path))
      .map((path) => `dist/${path.replace(/ts$/, 'js')}`);
    const kept = (folder: string): string[] =>
      execFileSync('git', ['ls-files', '-co', '--exclude-standard', folder], {
        cwd: root,
        encoding: 'utf8',
      })
        .trim()
        .split('\n');
    const all = [
      ...['LICENSE', 'README.md', 'package.json', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
      ...['docs', 'examples', 'systemd'].flatMap(kept),
      ...modules,
      ...TYPES.map((file) => `dist/types/${file}`),
      ...manifest.man.map((path: string) => path.slice(2)),
      ...['index.html', 'page.css', 'kbus.js', 'observe.js', 'page.js'].map(
        (file) => `dist/page/${file}`,
      ),
      ...['main', 'far-end', 'actor'].map((name) => `dist/cli/${name}.cjs`),
    ];
    // Parts that the program and the page load late, or share.
    const isPart = (path: string): boolean =>
      /^dist\/(cli\/[\w-]+\.cjs|page\/[\w-]+\.js)$/.test(path);
    const others = files.filter((path) => all.includes(path) || !isPart(path));
    expect(others.sort()).toEqual(all.sort());
  });

  test('gives programs the names of test/public-names.txt, and no others', () => {
    const { declared, exported } = namesIn(join(folder, 'package/dist/types'));
    const entries = {
      kbus: exported[0],
      'kbus/daemon': exported[1],
      'kbus/limpet': exported[2],
      'kbus/limpet/nats': exported[3],
      'kbus/browser': exported[4],
      'kbus/browser/observe': exported[5],
    };
    const lines = Object.entries(entries).flatMap(([entry, names = []]) => [
      `${entry}:`,
      ...names.sort().map((name) => {
        const text = [name, ...(declared.get(name) ?? ['(declared nowhere)'])].join(' ');
        return `  ${text.match(/\S.{0,90}(?= |$)/g)?.join('\n      ')}`;
      }),
    ]);
    expect(`${lines.join('\n')}\n`).toBe(read('test/public-names.txt'));
    // Nothing that an entry doesn't export is told of.
    expect([...declared.keys()].sort()).toEqual([...new Set(Object.values(entries).flat())].sort());
  });

  test('has nothing that publint objects to', async () => {
    const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: 'npm' });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test('has types that are found however programs look for modules', async () => {
    const tarball = await readFile(join(folder, filename));
    const analysis = await checkPackage(createPackageFromTarballData(tarball));
    if (!analysis.types) throw new Error('the package has no types');
    // It has ES modules alone, which neither of these knows.
    const without = ['node10', 'node16-cjs'];
    const isOurs = (problem: Problem): boolean =>
      !('resolutionKind' in problem && without.includes(problem.resolutionKind));
    expect(analysis.problems.filter(isOurs)).toEqual([]);
  });

  test('can be imported and run where it is installed', () => {
    const program = `
      import { Bus, Ksock } from 'kbus';
      import { Daemon } from 'kbus/daemon';
      import { Limpet } from 'kbus/limpet';
      import { natsEngine } from 'kbus/limpet/nats';
      import { Ksock as WebKsock } from 'kbus/browser';
      const ksock = await Ksock.open(new Bus());
      console.log(String(ksock), typeof Daemon, typeof Limpet, typeof natsEngine, typeof WebKsock);
      await ksock.close();`;
    const run = (args: string[]): string =>
      execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect(run(['--input-type=module', '--eval', program])).toBe(
      'Ksock device 0, id 1, mode read/write function function function function\n',
    );
    expect(run(['node_modules/kbus/dist/cli/main.cjs', '--version'])).toBe(`${manifest.version}\n`);
  });

  test('plays with npx kbus play, in a folder where it has just been installed', async () => {
    const fresh = join(folder, 'fresh');
    await mkdir(fresh);
    const packages = Object.keys(manifest.dependencies).map((name) =>
      join(root, 'node_modules', name),
    );
    const npm = (command: string, ...args: string[]): string =>
      execFileSync(command, args, {
        cwd: fresh,
        encoding: 'utf8',
        env: { ...process.env, npm_config_offline: 'true' },
      });
    npm('npm', 'init', '-y');
    npm('npm', 'install', '--no-audit', '--no-fund', join(folder, filename), ...packages);
    expect(npm('npx', 'kbus', 'play')).toContain('$.Actor');
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
          // What a program makes of the package can be declared in turn.
          declaration: true,
          noEmit: true,
        },
        include: ['consumer.ts', 'package/dist/**/*.d.ts'],
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
    const installing = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
    expect(Object.keys(manifest.scripts).filter((name) => installing.includes(name))).toEqual([]);
  });

  test('is locked without the addresses of registries', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"/);
  });
});

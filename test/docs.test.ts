import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import GithubSlugger from 'github-slugger';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map(
    (name) => `docs/${name}`,
  ),
].filter((name) => name.endsWith('.md'));

/** Links to other files, and to headings; those that lead out of the repository are left alone. */
const links = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```.*?^```$|`[^`\n]*`/gms, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => ({ page, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
});

/** Files and folders of the repository that pages name: `src/bus/ledger.ts`. */
const paths = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), 'utf8');
  const named = text.matchAll(
    /`((?:src|test|bench|chaos|soak|examples|harness|scripts|systemd)\/[\w./-]*)`/g,
  );
  return [...named].map(([, path = '']) => ({ page, path }));
});

/** The names by which links reach the headings of a page, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  const slugger = new GithubSlugger();
  const text = readFileSync(path, 'utf8').replace(/^```.*?^```$/gms, '');
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => slugger.slug(heading));
}

interface Block {
  language: string;
  text: string;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }));
}

/** Programs (js), each with what it prints (the text block behind it). */
const programs = pages.flatMap((page) =>
  blocksOf(page).flatMap(({ language, text }, at, all) => {
    const output = all[at + 1];
    return language === 'js' && output?.language === 'text'
      ? [{ page, text, output: output.text }]
      : [];
  }),
);

/** What is typed at a prompt, with what it prints. */
const consoles = pages.flatMap((page) =>
  blocksOf(page)
    .filter(({ language }) => language === 'console')
    .map(({ text }) => ({ page, text })),
);

/** The same where names and words are what is promised, and numbers, times and the order of lines differ. */
const sessions = pages.flatMap((page) =>
  blocksOf(page)
    .filter(({ language }) => language === 'session')
    .map(({ text }) => ({ page, text })),
);

/** Lines without their numbers, times and widths of columns, in some order. */
function outline(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replace(/[<>]?\d[\d.,:]*/g, '#')
        .replace(/# (?:µs|ms|s|min|[KMG]i?B|B)\b/g, '# unit')
        .replace(/(?<= )-(?= |$)/g, '# unit')
        .replace(/ +/g, ' '),
    )
    .sort();
}

describe('the links in the documentation', () => {
  test('are there', () => {
    expect(links.map(({ page }) => page)).toEqual(
      expect.arrayContaining(['README.md', 'docs/spec/README.md']),
    );
  });

  test.each(links)('$target of $page leads somewhere', ({ page, target }) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(root, page) : join(root, dirname(page), path);
    expect(existsSync(file)).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(file)).toContain(anchor);
  });

  test.each(paths)('$path, which $page names, exists', ({ path }) => {
    expect(existsSync(join(root, path))).toBe(true);
  });
});

describe('the examples in the documentation', () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  const running: ChildProcess[] = [];

  /** Starts a command, and resolves when it has said something. */
  async function start(command: string): Promise<void> {
    const child = spawn('bash', ['-c', `exec ${command}`], { cwd: folder, env });
    running.push(child);
    await Promise.race([
      once(child.stdout, 'data'),
      once(child.stderr, 'data'),
      once(child, 'exit').then(() => Promise.reject(new Error(`'${command}' has ended`))),
    ]);
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kbus-docs-'));
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules', 'kbus'));
    symlinkSync(join(root, 'examples'), join(folder, 'examples'));
    const command = join(folder, 'bin', 'kbus');
    writeFileSync(
      command,
      `#!/bin/sh\nexec '${process.execPath}' '${root}dist/cli/main.cjs' "$@"\n`,
    );
    chmodSync(command, 0o755);
    const { PATH } = process.env;
    env = { ...process.env, KBUS_DIR: join(folder, 'run'), PATH: `${join(folder, 'bin')}:${PATH}` };
  });

  afterAll(async () => {
    for (const child of running) child.kill();
    await Promise.all(running.map((child) => child.exitCode ?? once(child, 'exit')));
    rmSync(folder, { recursive: true, force: true });
  });

  /** A bus on which nothing has happened yet. */
  async function freshBus(): Promise<void> {
    for (const child of running.splice(0)) {
      if (child.exitCode !== null) continue;
      child.kill();
      await once(child, 'exit');
    }
    await start('kbus serve');
  }

  test('are there', () => {
    expect(programs.length).toBeGreaterThan(0);
    expect(consoles.length).toBeGreaterThan(0);
  });

  test.each(programs)(
    'a program of $page prints what stands below it',
    async ({ text, output }) => {
      await freshBus();
      const program = join(folder, 'example.mjs');
      writeFileSync(program, text);
      const { stdout, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8' });
      expect(stderr).toBe('');
      expect(stdout).toBe(output);
    },
  );

  test.each(sessions)('what is typed in $page prints what is alike', async ({ text }) => {
    await freshBus();
    for (const [, command = '', output = ''] of text.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
      if (command.endsWith('&')) {
        await start(command.slice(0, -1));
        continue;
      }
      const ran = spawnSync('bash', ['-c', `${command} 2>&1`], {
        env,
        cwd: folder,
        encoding: 'utf8',
      });
      expect(outline(ran.stdout), ran.stdout).toEqual(outline(output));
    }
  });

  test.each(consoles)('what is typed in $page prints what stands below it', async ({ text }) => {
    await freshBus();
    for (const [, command = '', output = ''] of text.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
      if (command.endsWith('&')) {
        await start(command.slice(0, -1));
        continue;
      }
      const ran = spawnSync('bash', ['-c', `${command} 2>&1`], {
        env,
        cwd: folder,
        encoding: 'utf8',
      });
      // Data is printed as it came when nobody looks, and with an end of line when somebody does.
      expect(ran.stdout.trimEnd()).toBe(output.trimEnd());
    }
  });
});

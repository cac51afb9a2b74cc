import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const CAP_SYS_ADMIN = 21n;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Why a device can't be tried on this machine, or null if it can. It is said aloud, once. */
export const missing: string | null = whatIsMissing();
if (missing !== null) console.warn(`SKIPPED: the tests of mounted devices: ${missing}`);

function whatIsMissing(): string | null {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch (error) {
    return `no use of /dev/fuse (${(error as NodeJS.ErrnoException).code})`;
  }
  const capabilities = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  if (((BigInt(`0x${capabilities ?? 0}`) >> CAP_SYS_ADMIN) & 1n) === 0n) {
    return 'no right to mount (CAP_SYS_ADMIN)';
  }
  for (const program of ['mount', 'umount', 'cc', 'python3']) {
    if (spawnSync(program, ['--version']).status !== 0) return `no ${program}`;
  }
  return null;
}

/** A new empty folder. */
export async function newFolder(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), 'kbus-device-')));
}

export function pathOf(program: string): string {
  return join(ROOT, 'test/device/programs', program);
}

/** Compiles a C program of test/device/programs; the path of what can be run. */
export function compiled(program: string, folder: string): string {
  const result = join(folder, program);
  execFileSync('cc', [
    '-O1',
    '-D_GNU_SOURCE',
    '-Wall',
    '-pthread',
    '-o',
    result,
    pathOf(`${program}.c`),
  ]);
  return result;
}

/** Translates a TypeScript program of test/device/programs, and all that it imports, for plain Node. */
export async function translated(program: string, folder: string): Promise<string> {
  const out = join(folder, 'translated');
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'package.json'), '{"type":"module"}');
  const options = '--ignoreConfig --module nodenext --target es2022 --types node --noCheck';
  const paths = ['--rewriteRelativeImportExtensions', '--rootDir', ROOT, '--outDir', out];
  execFileSync(process.execPath, [
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    ...options.split(' '),
    ...paths,
    pathOf(`${program}.ts`),
  ]);
  return join(out, 'test/device/programs', `${program}.js`);
}

/** What a program printed, once it has ended; it must end well. */
export async function output(program: string, ...words: string[]): Promise<string> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  const [said, complaint, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (end !== 0) throw new Error(`${program} ended with ${end}: ${said}${complaint}`);
  return said;
}

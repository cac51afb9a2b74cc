// Runs programs of the current folder, one after the other, each with a daemon of its own, and prints what each has
// printed: run-examples.mjs FILE…
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';
import { Daemon, Log } from 'kbus/daemon';

const socket = { mode: 0o600, group: undefined };
const log = new Log('human', () => {});
const home = process.cwd();
/** @type {Record<string, string[]>} */
const printed = {};
for (const file of process.argv.slice(2)) {
  const folder = join(home, 'in', file);
  mkdirSync(folder, { recursive: true });
  process.chdir(folder);
  const directory = join(folder, 'run');
  process.env['KBUS_DIR'] = directory;
  await new Daemon({ buses: 1, directory, socket, bus: {}, log }).start();
  /** @type {string[]} */
  const lines = [];
  printed[file] = lines;
  console.log = (/** @type {unknown[]} */ ...what) => void lines.push(format(...what));
  try {
    const hangs = new Promise((_, reject) => {
      setTimeout(() => reject(new Error('it does not end')), 5000).unref();
    });
    await Promise.race([import(pathToFileURL(join(home, file)).href), hangs]);
  } catch (error) {
    lines.push(String(error));
  }
}
process.stdout.write(JSON.stringify(printed), () => process.exit());

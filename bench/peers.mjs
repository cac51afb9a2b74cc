// Finds the peers: servers among the machine's programs, npm clients in bench/peers.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programPath as programPathIn } from '../dist/system/program-path.js';
import { installPrograms } from '../scripts/debian-programs.mjs';

/** @import { Clients } from './clients.ts' */

const folder = fileURLToPath(new URL('peers/', import.meta.url));

const require = createRequire(join(folder, 'package.json'));

/** Loads a peer's npm client, as published.
 * @template {keyof Clients} N @param {N} name @returns {Clients[N]} */
export const peer = (name) => require(name);

/** @param {string | URL} path  of a package.json @returns {string} */
export const versionOf = (path) => JSON.parse(readFileSync(path, 'utf8')).version;

/** The version of an npm client under bench/peers; undefined if it isn't installed.
 * @param {keyof Clients | 'nats.ws'} name  nats.ws runs in pages only */
export function clientVersion(name) {
  const path = join(folder, 'node_modules', name, 'package.json');
  return existsSync(path) ? versionOf(path) : undefined;
}

/** The path of a program, also in the directories of servers; undefined if it does not exist.
 * @param {string} name */
export const programPath = (name) => programPathIn(name, ['/usr/sbin', '/usr/local/sbin']);

/** The first version number in a program's output for these arguments.
 * @param {string} name @param {...string} args */
export function programVersion(name, ...args) {
  const { stdout, stderr } = spawnSync(programPath(name) ?? name, args, { encoding: 'utf8' });
  return /\d+\.\d+(\.\d+)*/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown';
}

/** The missing parts of a peer, for System.missing. @param {string | undefined} program @param {keyof Clients} client */
export function lacking(program, client) {
  if (clientVersion(client) === undefined) return `npm package ${client}`;
  if (program !== undefined && programPath(program) === undefined) return `program ${program}`;
  return undefined;
}

/** The Debian package of each server. */
const packages = {
  'nats-server': 'nats-server',
  'redis-server': 'redis-server',
  mosquitto: 'mosquitto',
  'dbus-daemon': 'dbus-daemon',
};

/** Installs the npm clients, without their install scripts (none is needed: zeromq has its binary in the package), and the servers. */
export function installPeers() {
  const args = ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'];
  const { status, error } = spawnSync('npm', args, { cwd: folder, stdio: 'inherit' });
  if (status !== 0) {
    const why = error?.message ?? `exit status ${status}`;
    throw new Error(`could not install the peers: npm ${args.join(' ')} failed (${why})`);
  }
  installPrograms(packages);
}

// Finds the peers: servers among the machine's programs, npm clients in bench/peers.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programPath as programPathIn } from '../dist/system/program-path.js';

/** @import { Clients } from './clients.ts' */

const folder = fileURLToPath(new URL('peers/', import.meta.url));

const require = createRequire(join(folder, 'package.json'));

/** Loads a peer's npm client, as published.
 * @template {keyof Clients} N @param {N} name @returns {Clients[N]} */
export const peer = (name) => require(name);

/** @param {string | URL} path  of a package.json @returns {string} */
export const versionOf = (path) => JSON.parse(readFileSync(path, 'utf8')).version;

/** The version of an npm client under bench/peers; undefined if it isn't installed.
 * @param {keyof Clients} name */
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

/** @param {string} file @param {string[]} args @param {string} [cwd] */
function run(file, args, cwd) {
  console.log(`$ ${file} ${args.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(file, args, { cwd, env, stdio: 'inherit' });
  if (status === 0) return;
  const why = error?.message ?? `exit status ${status}`;
  throw new Error(`could not install the peers: ${file} ${args.join(' ')} failed (${why})`);
}

/**
 * Installs the npm clients, without their install scripts (none is needed: zeromq has its
 * binary in the package), and the servers if this is Debian and the user is root. It neither starts nor
 * enables the installed servers: the bench starts its own.
 */
export function installPeers() {
  run('npm', ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error'], folder);

  const wanted = Object.entries(packages).filter(([name]) => programPath(name) === undefined);
  if (wanted.length === 0) return;
  const names = wanted.map(([, name]) => name);
  if (programPath('apt-get') === undefined || process.getuid?.() !== 0) {
    console.log(`Still missing: ${names.join(', ')}. Install them with your system's packages;`);
    console.log(`on Debian, as root: apt-get install --no-install-recommends ${names.join(' ')}`);
    return;
  }
  // This file stops Debian from starting services that it installs.
  const policy = '/usr/sbin/policy-rc.d';
  const forbidden = existsSync(policy);
  if (!forbidden) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    run('apt-get', ['update', '-q']);
    run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...names]);
  } finally {
    if (!forbidden) rmSync(policy);
  }
  const services = names.filter((name) => existsSync(`/lib/systemd/system/${name}.service`));
  if (programPath('systemctl') !== undefined && services.length > 0) {
    run('systemctl', ['disable', ...services]);
  }
}

// Installs programs that tests and benchmarks run beside KBUS, from Debian's packages.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Servers are here, which is not in every PATH. */
const MORE_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];

/** @param {string} name */
const exists = (name) =>
  [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS].some(
    (folder) => folder !== '' && existsSync(join(folder, name)),
  );

/** @param {...string} args */
function run(...args) {
  const [file = '', ...rest] = args;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(file, rest, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0)
    throw new Error(`${args.join(' ')}: ${error?.message ?? `exit status ${status}`}`);
}

/**
 * Installs those of the programs that are missing, if this is Debian and the user is root. It neither starts nor enables
 * services: whoever needs one starts its own. Says what is still missing.
 * @param {Record<string, string>} packages  the package of each program
 */
export function installPrograms(packages) {
  const missing = Object.entries(packages).filter(([program]) => !exists(program));
  if (missing.length === 0) return;
  const names = missing.map(([, name]) => name);
  const command = `apt-get install --no-install-recommends ${names.join(' ')}`;
  if (!exists('apt-get') || process.getuid?.() !== 0) {
    console.log(`kbus: missing programs: ${names.join(', ')}; on Debian, as root: ${command}`);
    return;
  }
  console.log(`kbus: installing ${names.join(', ')}`);
  // This file stops Debian from starting services that it installs.
  const policy = '/usr/sbin/policy-rc.d';
  const isForbidden = existsSync(policy);
  if (!isForbidden) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    run('apt-get', 'update', '-q');
    run('apt-get', 'install', '-q', '-y', '--no-install-recommends', ...names);
    const services = names.filter((name) => existsSync(`/lib/systemd/system/${name}.service`));
    if (exists('systemctl') && services.length > 0) run('systemctl', 'disable', ...services);
  } catch (error) {
    console.log(
      `kbus: could not install ${names.join(', ')}: ${/** @type {Error} */ (error).message}`,
    );
  } finally {
    if (!isForbidden) rmSync(policy);
  }
}

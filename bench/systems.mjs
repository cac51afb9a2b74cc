// The measured systems: every file under systems/.
import { readdirSync } from 'node:fs';

/** @import { System } from './system.ts' */

/** @param {string} name  of its file @returns {Promise<System>} */
export async function systemOf(name) {
  const { default: system } = await import(`./systems/${name}.mjs`);
  return system;
}

/** All systems: the floor first, then KBUS. */
export async function allSystems() {
  const names = readdirSync(new URL('systems/', import.meta.url))
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => name.slice(0, -'.mjs'.length));
  const systems = await Promise.all(names.sort().map(systemOf));
  const order = ['floor', 'subject', 'alone', 'peer'];
  return systems.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

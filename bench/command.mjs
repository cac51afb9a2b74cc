// The shared parts of the bench's programs.
import { InvalidArgumentError, Option } from 'commander';

/** Runs a program; an error becomes a line on stderr and an exit status. @param {string} name @param {() => Promise<unknown>} main */
export async function run(name, main) {
  try {
    await main();
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

/** Calls `stop` at SIGINT and SIGTERM. @param {() => void} stop */
export function onSignals(stop) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, stop);
}

/** Parses a number for an option. @param {number} least @param {boolean} whole @returns {(text: string) => number} */
export const number = (least, whole) => (text) => {
  const value = Number(text);
  if (value >= least && Number.isFinite(value) && (!whole || Number.isInteger(value))) return value;
  throw new InvalidArgumentError(`It must be a ${whole ? 'whole ' : ''}number from ${least}.`);
};

/** Parses known names, separated by commas.
 * @param {string[]} known @returns {(text: string) => string[]} */
export const among = (known) => (text) => {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return known.filter((name) => names.includes(name));
  throw new InvalidArgumentError(`"${unknown}" does not exist; choose from ${known.join(', ')}.`);
};

/** @param {string} what @param {number} usual */
export const rounds = (what, usual) =>
  new Option('--rounds <n>', what).argParser(number(1, true)).default(usual);

/** @param {string} what @param {number} usual */
export const seconds = (what, usual) =>
  new Option('--seconds <s>', what).argParser(number(0.01, false)).default(usual);

/** @param {{ rounds: number, seconds: number }} pace */
export const quick = (pace) =>
  new Option(
    '--quick',
    `the same as --rounds ${pace.rounds} --seconds ${pace.seconds}; for a first look`,
  ).implies(pace);

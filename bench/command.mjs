// What the programs of the bench have in common.
import { InvalidArgumentError, Option } from 'commander';

/** Runs one: what goes wrong is told in a line, and by the exit status. @param {string} name @param {() => Promise<unknown>} main */
export async function run(name, main) {
  try {
    await main();
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

/** When it is to be stopped. @param {() => void} stop */
export function onSignals(stop) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, stop);
}

/** Reads a number of an option. @param {number} least @param {boolean} whole @returns {(text: string) => number} */
export const number = (least, whole) => (text) => {
  const value = Number(text);
  if (value >= least && Number.isFinite(value) && (!whole || Number.isInteger(value))) return value;
  throw new InvalidArgumentError(`It must be a ${whole ? 'whole ' : ''}number from ${least}.`);
};

/** Reads names, separated by commas: some of those that are known.
 * @param {string[]} known @returns {(text: string) => string[]} */
export const among = (known) => (text) => {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return known.filter((name) => names.includes(name));
  throw new InvalidArgumentError(`There is no "${unknown}"; there are ${known.join(', ')}.`);
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

// Realistic traffic: many names, and data of changing length.
import { Random } from '../harness/random.mjs';

/** The words give names of 20 to 40 characters. */
const AREAS = ['Bay', 'Hall', 'Line', 'Boiler', 'Furnace'];
const DEVICES = ['Fan', 'Pump', 'Valve', 'Sensor', 'Converter'];
const VALUES = ['Rpm', 'Temp', 'Level', 'Pressure', 'Vibration'];
const PLACES = 37;

/** Lengths repeat after this many messages. No ring of buffers may be shorter. */
const LENGTHS = 1024;

/** Every run sends the same lengths. */
const SEED = 1;

/**
 * Distinct names of four words after the `$`, such as `$.Plant.Line7.Sensor42.Temp`: 20 to 40 characters
 * each.
 *
 * @param {number} count
 * @returns {string[]}
 */
export function namesOf(count) {
  const random = new Random(SEED);
  return Array.from(
    { length: count },
    (_, i) =>
      `$.Plant.${random.pick(AREAS)}${random.below(PLACES)}.${random.pick(DEVICES)}${i}.${random.pick(VALUES)}`,
  );
}

/** The names of namesOf() for other buses: without the first word, and with another separator.
 * @param {number} count @param {string} divider */
export const topicsOf = (count, divider) =>
  namesOf(count).map((name) => name.slice('$.'.length).replaceAll('.', divider));

/** The names that the receiving process with this number answers.
 * @template T @param {T[]} names @param {{ receivers: number }} place @param {number} number from 0
 * @returns {T[]} */
export const shareOf = (names, { receivers }, number) =>
  names.filter((_, i) => i % receivers === number);

/**
 * The length of each message's data: element (serial modulo the length of this array).
 *
 * @param {{ least: number, size: number }} place
 * @returns {number[]}
 */
export function lengthsOf({ least, size }) {
  if (least === size) return [size];
  const random = new Random(SEED);
  return Array.from({ length: LENGTHS }, () => least + random.below(size - least + 1));
}

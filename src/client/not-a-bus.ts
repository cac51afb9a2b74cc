import { escaped } from '../base/escape.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';

/** An error shows at most this many characters of a wrong value. */
const MAX_SHOWN_CHARACTERS = 50;

/** EINVAL for a value that is no bus. `why` says what to give; for an object, the error says that options come second. */
export function notABus(where: unknown, why: string): KbusError {
  const isObject = typeof where === 'object' && where !== null;
  const meaning = isObject ? 'give the bus first, then the options: Ksock.open(0, { ... })' : why;
  return new KbusError('open', Errno.EINVAL, `open bus ${shown(where)}`, { meaning });
}

/** `'0'`, `{ mode }`. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${escaped(value.slice(0, MAX_SHOWN_CHARACTERS))}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  const keys = Object.keys(value);
  if (keys.length === 0) return '{}';
  return `{ ${escaped(keys.join(', ').slice(0, MAX_SHOWN_CHARACTERS))} }`;
}

/** `a string`. */
export function kindOf(where: unknown): string {
  return where === null ? 'null' : `a ${typeof where}`;
}

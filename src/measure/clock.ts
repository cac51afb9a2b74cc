import process from 'node:process';

/** A clock in nanoseconds that is the same in all processes of the machine. */
export function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

import process from 'node:process';

/** A clock in nanoseconds that all processes of the machine share. */
export function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

import { signal } from '@preact/signals';
import { KbusError } from '../../client/browser.ts';
import { observe } from '../../client/browser-observe.ts';
import { token } from './token.ts';

/** More are not looked for: each costs a connection. A bus with a higher number is shown by its address. */
const MOST = 32;

/** The buses that the token lets the page observe, as far as they have been looked for. */
export const buses = signal<readonly number[]>([]);

let isLooking = false;

/** Looks which buses there are: they have the numbers from 0 on, and observing tells. */
export async function findBuses(): Promise<void> {
  if (isLooking) return;
  isLooking = true;
  const found: number[] = [];
  try {
    for (let number = 0; number < MOST; number++) {
      try {
        const tap = await observe(number, { token, data: false, kinds: [] });
        tap.close();
        found.push(number);
      } catch (error) {
        // EACCES: this bus is not for the token, but the next one may be.
        if (!(error instanceof KbusError) || error.code !== 'EACCES') break;
      }
    }
    buses.value = found;
  } finally {
    isLooking = false;
  }
}

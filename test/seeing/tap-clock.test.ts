import { expect, it } from 'vitest';
import { TapClock } from '../../src/seeing/tap-clock.ts';

it('A clock of a tap goes on from the event that was handled last, and never goes back', () => {
  const clock = new TapClock();
  expect(clock.at(5000)).toBe(0);
  clock.note(100, 1000);
  expect([clock.at(1000), clock.at(1500)]).toEqual([100, 600]);
  // It was handled late.
  clock.note(150, 1800);
  expect([clock.at(1800), clock.at(3000)]).toEqual([600, 1350]);
  clock.note(4000, 3100);
  expect(clock.at(3100)).toBe(4000);
});

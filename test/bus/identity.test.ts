import { expect, it } from 'vitest';
import { programName, UNKNOWN, whoIs } from '../../src/bus/identity.ts';

it.each([
  [{}, 'Ksock 4'],
  [{ pid: 17 }, 'Ksock 4 (process 17, as it says)'],
  [{ program: 'thermostat', pid: 17 }, "Ksock 4 ('thermostat', process 17, as it says)"],
  [{ pid: 17, uid: 1000 }, 'Ksock 4 (process 17 of user 1000, as it says)'],
  [{ program: 'cat', pid: 17, uid: 0, isClaimed: false }, "Ksock 4 ('cat', process 17 of user 0)"],
  // In this process.
  [{ program: 'thermostat', pid: 17, isClaimed: false }, "Ksock 4 ('thermostat')"],
  [
    { program: "x', process 1 of user 0) ends" },
    `Ksock 4 ('x", process 1 of user 0) ends', as it says)`,
  ],
  [{ program: '\x1b[2J\n\u202e' }, "Ksock 4 ('\\x1b[2J\\n\\u202e', as it says)"],
] as const)('%j is told as "%s"', (who, text) => {
  expect(whoIs({ id: 4, who: { ...UNKNOWN, ...who } })).toBe(text);
});

it('the name of a program has at most 64 characters', () => {
  expect(programName('thermostat')).toBe('thermostat');
  expect(programName('x'.repeat(4000))).toBe('x'.repeat(64));
  expect(programName('😀'.repeat(100))).toBe('😀'.repeat(64));
});

import { expect, test } from 'vitest';
import { judge, type Round } from '../../bench/slow-mode.mjs';

const round = (round: number, rate: number, more?: Partial<Round>): Round => ({
  round,
  hogged: round % 2 === 0,
  rate,
  lost: 0,
  wrong: 0,
  foreign: 0,
  ...more,
});

test('equal rounds pass, even if those beside busy neighbours are slower', () => {
  const { text, failed } = judge([round(1, 100), round(2, 40), round(3, 90), round(4, 30)], '/s');
  expect(failed).toBe(false);
  expect(text).toContain('No round was below 0.5 of its median');
});

test('a round below half the median of its own half is listed', () => {
  const rounds = [round(1, 100), round(2, 40), round(3, 49), round(4, 40), round(5, 100)];
  const { text, failed } = judge(rounds, '/s');
  expect(failed).toBe(true);
  expect(text).toContain('- round 3 was slow: 49 /s, 0.49 of the median');
  expect(text).not.toContain('round 2');
});

test('a round with lost or wrong messages is listed', () => {
  const { text, failed } = judge([round(1, 100, { lost: 3 }), round(3, 100, { wrong: 1 })], '/s');
  expect(failed).toBe(true);
  expect(text).toContain('- round 1 lost 3 messages');
  expect(text).toContain('- round 3 delivered 1 wrong messages');
});

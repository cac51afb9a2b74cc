import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/base/nearest.ts';

const WORDS = ['timeout', 'signal', 'to', 'wait', 'reconnect', 'directory'];

describe('The nearest word', () => {
  it.for<[string, string]>([
    ['timout', 'timeout'],
    ['timeuot', 'timeout'],
    ['TimeOut', 'timeout'],
    ['timeoutt', 'timeout'],
    ['reconect', 'reconnect'],
    ['wiat', 'wait'],
    ['dirctory', 'directory'],
    ['sginal', 'signal'],
    ['timeout', 'timeout'],
  ])('of %s is %s.', ([slip, meant]) => {
    expect(nearest(slip, WORDS)).toBe(meant);
  });

  it.for(['colour', 'x', '', 'file', 'tim'])('of %j is none.', (word) => {
    expect(nearest(word, WORDS)).toBeUndefined();
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines } from '../../src/base/deadlines.ts';

describe('deadlines', () => {
  const lost: string[] = [];
  let deadlines: Deadlines<string>;

  beforeEach(() => {
    vi.useFakeTimers();
    lost.length = 0;
    deadlines = new Deadlines(1000, (one) => lost.push(one));
  });
  afterEach(() => vi.useRealTimers());

  it('pass for each caller at its own time, with one timer for all', () => {
    deadlines.begin('a');
    vi.advanceTimersByTime(400);
    deadlines.begin('b');
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(599);
    expect(lost).toEqual([]);
    vi.advanceTimersByTime(2);
    expect(lost).toEqual(['a']);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(400);
    expect(lost).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stay when another caller is done, and start again for a caller that starts again', () => {
    for (const one of ['a', 'b', 'c']) deadlines.begin(one);
    vi.advanceTimersByTime(500);
    deadlines.end('a');
    deadlines.begin('b');
    vi.advanceTimersByTime(501);
    expect(lost).toEqual(['c']);
    vi.advanceTimersByTime(500);
    expect(lost).toEqual(['c', 'b']);
  });

  it('may be set while another one passes', () => {
    deadlines = new Deadlines(1000, (one) => {
      lost.push(one);
      if (lost.length === 1) deadlines.begin('again');
    });
    deadlines.begin('a');
    vi.advanceTimersByTime(1002);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1002);
    expect(lost).toEqual(['a', 'again']);
  });

  it('don’t pass after `stop`', () => {
    deadlines.begin('a');
    deadlines.stop();
    vi.advanceTimersByTime(5000);
    expect(lost).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines } from '../../src/base/deadlines.ts';

describe('patience', () => {
  const lost: string[] = [];
  let patience: Deadlines<string>;

  beforeEach(() => {
    vi.useFakeTimers();
    lost.length = 0;
    patience = new Deadlines(1000, (one) => lost.push(one));
  });
  afterEach(() => vi.useRealTimers());

  it('ends for each when its own time is over, with one timer for all', () => {
    patience.begin('a');
    vi.advanceTimersByTime(400);
    patience.begin('b');
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

  it('is not lost with whoever has done it, and begins anew for whoever begins anew', () => {
    for (const one of ['a', 'b', 'c']) patience.begin(one);
    vi.advanceTimersByTime(500);
    patience.end('a');
    patience.begin('b');
    vi.advanceTimersByTime(501);
    expect(lost).toEqual(['c']);
    vi.advanceTimersByTime(500);
    expect(lost).toEqual(['c', 'b']);
  });

  it('begins for somebody while it ends for another', () => {
    patience = new Deadlines(1000, (one) => {
      lost.push(one);
      if (lost.length === 1) patience.begin('again');
    });
    patience.begin('a');
    vi.advanceTimersByTime(1002);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1002);
    expect(lost).toEqual(['a', 'again']);
  });

  it('is over for nobody once it has stopped', () => {
    patience.begin('a');
    patience.stop();
    vi.advanceTimersByTime(5000);
    expect(lost).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

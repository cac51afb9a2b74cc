import { describe, expect, it } from 'vitest';
import { BusyPoll } from '../../src/daemon/busy-poll.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('BusyPoll', () => {
  let now = 0;
  const newPoll = (microseconds = 100, cores = 2): BusyPoll =>
    new BusyPoll(microseconds, cores, () => now);

  /** One read, and a second one in its polling period if `isHit`. False if there is no period. */
  async function period(poll: BusyPoll, isHit: boolean): Promise<boolean> {
    poll.onHandled();
    if (!poll.isPolling) return false;
    if (isHit) poll.onHandled();
    now += 1;
    while (poll.isPolling) await turn();
    return true;
  }

  it('polls for a time after the last read, and then stops.', async () => {
    const poll = newPoll(100);
    expect(poll.isPolling).toBe(false);
    poll.onHandled();
    now += 0.09;
    await turn();
    poll.onHandled();
    now += 0.09;
    await turn();
    await turn();
    expect(poll.isPolling).toBe(true);
    now += 0.02;
    await turn();
    await turn();
    expect(poll.isPolling).toBe(false);
    poll.onHandled();
    expect(poll.isPolling).toBe(true);
    now += 1;
    await turn();
  });

  it('is off with 0 microseconds, and on a machine with one core.', () => {
    for (const poll of [newPoll(0), newPoll(100, 1)]) {
      poll.onHandled();
      expect(poll.isPolling).toBe(false);
    }
  });

  it('stops for a second when too few periods saw another read.', async () => {
    const poll = newPoll();
    let periods = 0;
    while (await period(poll, false)) periods++;
    expect(periods).toBe(256);
    now += 999;
    expect(await period(poll, false)).toBe(false);
    now += 2;
    expect(await period(poll, false)).toBe(true);
  });

  it('goes on while enough periods see another read.', async () => {
    const poll = newPoll();
    for (let at = 0; at < 2000; at++) expect(await period(poll, at % 3 === 0)).toBe(true);
  });
});

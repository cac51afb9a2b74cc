import { describe, expect, it } from 'vitest';
import { BusyPoll } from '../../src/daemon/busy-poll.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('BusyPoll', () => {
  let now = 0;
  const spin = (microseconds = 100, cores = 2): BusyPoll =>
    new BusyPoll(microseconds, cores, () => now);

  /** Something comes, and nothing more for as long as it looks; or something else, when `again`. */
  async function once(one: BusyPoll, again: boolean): Promise<boolean> {
    one.came();
    if (!one.isAwake) return false;
    if (again) one.came();
    now += 1;
    while (one.isAwake) await turn();
    return true;
  }

  it('stays awake for a time after the last thing that came, and then sleeps.', async () => {
    const one = spin(100);
    expect(one.isAwake).toBe(false);
    one.came();
    now += 0.09;
    await turn();
    one.came();
    now += 0.09;
    await turn();
    await turn();
    expect(one.isAwake).toBe(true);
    now += 0.02;
    await turn();
    await turn();
    expect(one.isAwake).toBe(false);
    one.came();
    expect(one.isAwake).toBe(true);
    now += 1;
    await turn();
  });

  it('never does when it is told 0, or where there is one core.', () => {
    for (const one of [spin(0), spin(100, 1)]) {
      one.came();
      expect(one.isAwake).toBe(false);
    }
  });

  it('rests for a second when too little came while it looked.', async () => {
    const one = spin();
    let times = 0;
    while (await once(one, false)) times++;
    expect(times).toBe(256);
    now += 999;
    expect(await once(one, false)).toBe(false);
    now += 2;
    expect(await once(one, false)).toBe(true);
  });

  it('goes on while enough comes.', async () => {
    const one = spin();
    for (let at = 0; at < 2000; at++) expect(await once(one, at % 3 === 0)).toBe(true);
  });
});

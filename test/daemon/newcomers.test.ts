import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_SILENT_CONNECTIONS, type Newcomer, Newcomers } from '../../src/daemon/newcomers.ts';
import { Errno } from '../../src/message/errno.ts';

/** A connection that says HELLO when it is told to. */
class Client implements Newcomer {
  isSilent = true;
  told: { errno: number; why: string } | null = null;

  farewell(errno: number, why: string): void {
    this.told = { errno, why };
  }
}

describe('Of connections that have not said HELLO (spec 1 §14.5),', () => {
  let rounds: (() => void)[] = [];
  let newcomers: Newcomers;
  beforeEach(() => {
    rounds = [];
    newcomers = new Newcomers(30, (what) => rounds.push(what));
  });

  const come = (count: number): Client[] =>
    Array.from({ length: count }, () => {
      const client = new Client();
      newcomers.came(client);
      return client;
    });

  /** The event loop goes round once. */
  const round = (): void => {
    for (const what of rounds.splice(0)) what();
  };
  const rest = (): void => {
    while (rounds.length > 0) round();
  };
  const ended = (clients: readonly Client[]): boolean[] => clients.map(({ told }) => told !== null);

  it('as many as there may be are left alone.', () => {
    const clients = come(MAX_SILENT_CONNECTIONS);
    rest();
    expect(ended(clients)).not.toContain(true);
  });

  it('the oldest are ended when there are more, and are told why.', () => {
    const clients = come(MAX_SILENT_CONNECTIONS + 3);
    rest();
    expect(ended(clients).slice(0, 4)).toEqual([true, true, true, false]);
    expect(ended(clients).slice(4)).not.toContain(true);
    expect(clients[0]?.told?.errno).toBe(Errno.ETIMEDOUT);
    expect(clients[0]?.told?.why).toContain(`${MAX_SILENT_CONNECTIONS} newer connections`);
  });

  it('one is not ended before the daemon has read what it said at once, however many come with it.', () => {
    const [honest] = come(1);
    const silent = come(3 * MAX_SILENT_CONNECTIONS);
    round();
    // The sockets that were accepted are read.
    (honest as Client).isSilent = false;
    rest();
    expect(honest?.told).toBeNull();
    expect(ended(silent).filter((is) => is)).toHaveLength(2 * MAX_SILENT_CONNECTIONS);
  });

  it('those that come while others are ended have as much time.', () => {
    come(MAX_SILENT_CONNECTIONS + 1);
    round();
    const later = come(MAX_SILENT_CONNECTIONS + 1);
    round();
    expect(ended(later)).not.toContain(true);
    rest();
    expect(ended(later).filter((is) => is)).toHaveLength(1);
  });

  it('those that have said it, or have left, do not count.', () => {
    const speakers = come(MAX_SILENT_CONNECTIONS);
    for (const one of speakers) one.isSilent = false;
    const leavers = come(MAX_SILENT_CONNECTIONS);
    for (const one of leavers) newcomers.left(one);
    const silent = come(MAX_SILENT_CONNECTIONS);
    rest();
    expect(ended([...speakers, ...leavers, ...silent])).not.toContain(true);
  });
});

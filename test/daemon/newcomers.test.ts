import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_SILENT_CONNECTIONS, type Newcomer, Newcomers } from '../../src/daemon/newcomers.ts';
import { Errno } from '../../src/message/errno.ts';

/** A connection that says HELLO when it is told to. */
class Client implements Newcomer {
  isSilent = true;
  told: { errno: number; why: string } | null = null;

  farewell(errno: number, why: string): void {
    this.isSilent = false;
    this.told = { errno, why };
  }
}

describe('Of connections that have not said HELLO (spec 1 §14.5),', () => {
  let later: (() => void)[] = [];
  let newcomers: Newcomers;
  beforeEach(() => {
    vi.useFakeTimers();
    later = [];
    newcomers = new Newcomers(30, (what) => later.push(what));
  });
  afterEach(() => {
    newcomers.stop();
    vi.useRealTimers();
  });

  const come = (count: number): Client[] =>
    Array.from({ length: count }, () => {
      const client = new Client();
      newcomers.came(client);
      return client;
    });
  const pass = async (seconds: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(seconds * 1000);
    for (const what of later.splice(0)) what();
  };
  const ended = (clients: readonly Client[]): number =>
    clients.filter(({ told }) => told !== null).length;

  it('any number is left alone for 5 seconds: a program may open thousands of Ksocks at once.', async () => {
    const clients = come(10 * MAX_SILENT_CONNECTIONS);
    await pass(4.9);
    for (const one of clients) one.isSilent = false;
    await pass(30);
    expect(ended(clients)).toBe(0);
  });

  it('the oldest are ended when more are silent for longer, and are told why.', async () => {
    const clients = come(MAX_SILENT_CONNECTIONS + 3);
    await pass(5.1);
    expect(ended(clients.slice(0, 3))).toBe(3);
    expect(ended(clients.slice(3))).toBe(0);
    expect(clients[0]?.told?.errno).toBe(Errno.ETIMEDOUT);
    expect(clients[0]?.told?.why).toContain(`${MAX_SILENT_CONNECTIONS} newer connections`);
  });

  it('one is left alone that says HELLO before its turn to be ended comes.', async () => {
    const [late] = come(MAX_SILENT_CONNECTIONS + 1);
    await vi.advanceTimersByTimeAsync(5100);
    (late as Client).isSilent = false;
    await pass(0);
    expect(late?.told).toBeNull();
  });

  it('those that have left do not count.', async () => {
    const leavers = come(MAX_SILENT_CONNECTIONS);
    await pass(5.1);
    for (const one of leavers) newcomers.left(one);
    const silent = come(MAX_SILENT_CONNECTIONS);
    await pass(5.1);
    expect(ended([...leavers, ...silent])).toBe(0);
  });

  it('all are ended after the hello-timeout.', async () => {
    const clients = come(2);
    await pass(29.9);
    expect(ended(clients)).toBe(0);
    await pass(0.2);
    expect(clients.map(({ told }) => told?.why)).toEqual(
      new Array(2).fill('the client sent no HELLO within 30 s, the hello-timeout of the daemon'),
    );
  });
});

import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Ksock } from '../../src/client/index.ts';
import { Daemon, Log } from '../../src/daemon/index.ts';
import { newFolder } from '../support/folder.ts';

describe('the connections of a daemon', () => {
  let daemon: Daemon;

  afterEach(() => daemon.stop('the test is over'));

  it('are refused beyond the limit, with ENOMEM and which limit it was, and harm nobody', async () => {
    const directory = join(await newFolder(), 'sockets');
    daemon = new Daemon({
      buses: 1,
      directory,
      socket: { mode: 0o600, group: undefined },
      bus: {},
      maxConnections: 2,
      log: new Log('human', () => {}),
    });
    await daemon.start();
    const [one, other] = [await Ksock.open(0, { directory }), await Ksock.open(0, { directory })];
    await expect(Ksock.open(0, { directory })).rejects.toMatchObject({
      code: 'ENOMEM',
      message: expect.stringContaining('max-connections'),
    });
    await one.bind('$.A');
    await other.close();
    // The connection of a Ksock that has left goes away a moment later.
    let third: Ksock | null = null;
    while (third === null) {
      third = await Ksock.open(0, { directory }).catch((error) => {
        expect(error.code).toBe('ENOMEM');
        return null;
      });
    }
    expect(await third.findReplier('$.A')).toBeNull();
  });
});

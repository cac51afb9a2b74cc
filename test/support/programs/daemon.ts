/** A daemon. Argument: its directory. It prints `serving` when it serves, and stops on SIGTERM. */
import process from 'node:process';
import { Daemon } from '../../../src/daemon/daemon.ts';
import { Log } from '../../../src/daemon/log.ts';

const [, , directory] = process.argv as [string, string, string];
const daemon = new Daemon({
  buses: 1,
  directory,
  socket: { mode: 0o600, group: undefined },
  bus: {},
  log: new Log('human', (line) => process.stderr.write(line)),
});
try {
  await daemon.start();
  console.log('serving');
} catch (error) {
  console.log((error as Error).message);
}
process.once('SIGTERM', () => daemon.stop('it was told to'));

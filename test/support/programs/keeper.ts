/**
 * A program that has no work but its Ksock, and prints when it would exit by itself. Arguments: the daemon's
 * directory; and how the Ksock keeps it: `kept`, `unref`, `ref` (again), `lost` (unref after the daemon has exited).
 */
import process from 'node:process';
import { Ksock } from '../../../src/client/ksock.ts';

const [, , directory, how] = process.argv as [string, string, string, string];
const say = (text: string): void => console.log(text);
process.on('beforeExit', () => say('ends'));

const ksock = await Ksock.open(0, {
  directory,
  reconnect: how === 'lost',
  onDisconnected: () => {
    ksock.unref();
  },
});
await ksock.replier('$.Keeper', (request) => {
  say(`asked ${request.text()}`);
  if (request.text() === 'close') void ksock.close();
  return 'here';
});
if (how === 'unref' || how === 'ref') ksock.unref();
if (how === 'ref') ksock.ref();
say('ready');

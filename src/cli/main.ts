#!/usr/bin/env node
import process from 'node:process';
import { socketDirectory } from '../client/directory.ts';
import { Daemon } from '../daemon/daemon.ts';
import { Log } from '../daemon/log.ts';

const daemon = new Daemon({
  buses: 1,
  directory: socketDirectory(),
  socket: { mode: 0o600, group: undefined },
  bus: {},
  log: new Log('human', (line) => process.stderr.write(line)),
});
await daemon.start();
console.log('serving');
process.once('SIGTERM', () => daemon.stop('SIGTERM'));
process.once('SIGINT', () => daemon.stop('SIGINT'));

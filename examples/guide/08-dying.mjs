// A heater that is killed, a daemon that restarts, and a panel that goes on.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Announcement, Ksock, StatusError } from 'kbus';
import { Daemon, Log } from 'kbus/daemon';

const [, program = '', role, place] = process.argv;

async function heater() {
  const ksock = await Ksock.open(0, { name: 'heater', directory: place, reconnect: true });
  await ksock.replier('$.Heater.Get', () => '20');
  await ksock.replier('$.Heater.Think', async () => {
    await ksock.sendMsg(new Announcement('$.Heater.Thinking'));
    process.kill(process.pid, 'SIGKILL'); // before it has answered
  });
  process.send?.('ready');
}

async function startHeater() {
  const child = fork(program, ['heater', directory]);
  await once(child, 'message');
  return child;
}

async function startDaemon() {
  const socket = { mode: 0o600, group: undefined };
  const log = new Log('human', () => true);
  const daemon = new Daemon({ buses: 1, directory, socket, bus: {}, log });
  await daemon.start();
  return daemon;
}

if (role === 'heater') await heater();
const directory = role === 'heater' ? '' : await mkdtemp(join(tmpdir(), 'house-'));

async function house() {
  let daemon = await startDaemon();
  await startHeater();
  const back = new EventTarget();
  const panel = await Ksock.open(0, {
    name: 'panel',
    directory,
    reconnect: true,
    onDisconnected: () => {},
    onConnected: () => back.dispatchEvent(new Event('connected')),
  });

  // The heater dies while it works on the Request: KBUS answers in its place.
  try {
    await panel.request('$.Heater.Think');
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    console.log(`panel: ${error.status.name}`);
  }

  // A service manager would start it again.
  const second = await startHeater();
  console.log(`panel: ${(await panel.request('$.Heater.Get')).text()} °C`);

  // The daemon restarts. Both Ksocks come back, and the heater is bound again.
  const connected = once(back, 'connected');
  await daemon.stop('restarts');
  daemon = await startDaemon();
  await connected;
  await panel.reportReplierBinds(true);
  await panel.bind('$.KBUS.ReplierBindEvent');
  while ((await panel.findReplier('$.Heater.Get')) === null) await panel.waitForMsg();
  console.log(`panel: ${(await panel.request('$.Heater.Get')).text()} °C`);

  second.kill();
  await panel.close();
  await daemon.stop('the end');
  await rm(directory, { recursive: true });
}
if (role !== 'heater') await house();

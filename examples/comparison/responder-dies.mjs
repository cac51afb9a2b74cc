// A program that has a Request is killed. What does the requester learn? Needs nats-server, and @nats-io/transport-node.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { Ksock, StatusError } from 'kbus';
import { Daemon, Log } from 'kbus/daemon';

const [, program = '', role, place = ''] = process.argv;
const die = () => void process.kill(process.pid, 'SIGKILL');
const say = () => process.send?.('ready');

/** @param {string} kind */
async function responder(kind, /** @type {string} */ where) {
  const child = fork(program, [kind, where]);
  await once(child, 'message');
}

async function kbus() {
  const directory = await mkdtemp(join(tmpdir(), 'compare-'));
  const socket = { mode: 0o600, group: undefined };
  const log = new Log('human', () => true);
  const daemon = new Daemon({ buses: 1, directory, socket, bus: {}, log });
  await daemon.start();
  await responder('kbus', directory);
  const client = await Ksock.open(0, { directory });
  await client.request('$.Service', '', { timeout: 500 }).catch((error) => {
    console.log(`KBUS: ${error instanceof StatusError ? error.status.name : error.code}`);
  });
  await client.close();
  await daemon.stop('the end');
  await rm(directory, { recursive: true });
}

async function nats() {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const address = /** @type {import('node:net').AddressInfo} */ (free.address());
  free.close();
  const servers = `127.0.0.1:${address.port}`;
  const server = spawn('nats-server', ['-a', '127.0.0.1', '-p', `${address.port}`]);
  await once(server.stderr, 'data');
  const client = await connect({ servers, waitOnFirstConnect: true, reconnectTimeWait: 20 });
  await responder('nats', servers);
  await client.request('service', '', { timeout: 500 }).catch((error) => {
    console.log(`NATS: ${error.message}`);
  });
  await client.close();
  server.kill();
}

if (role === 'kbus') {
  const service = await Ksock.open(0, { directory: place });
  await service.bind('$.Service', true);
  say();
  await service.waitForMsg();
  die();
} else if (role === 'nats') {
  const service = await connect({ servers: place });
  service.subscribe('service', { callback: die });
  await service.flush();
  say();
} else {
  await kbus();
  await nats();
}

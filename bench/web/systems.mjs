// The buses that serve WebSocket: how to start each, and how a program and a page use it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KBUS } from '../../harness/serve.mjs';
import { clientVersion, peer, programPath, programVersion } from '../peers.mjs';
import { versions } from '../systems/kbus.mjs';

/** @import { Bus } from './flow.mjs' */

/**
 * @typedef {{ folder: string, port: number, webPort: number, origin: string }} Place
 * @typedef {{
 *   title: string,
 *   version(): string,
 *   program(place: Place): { file: string, args: string[], ready: RegExp },
 *   connect(place: Place): Promise<Bus>,
 *   page(place: Place): string,
 * }} WebSystem
 */

/** @type {WebSystem} */
const kbus = {
  title: 'KBUS',
  version: () => versions().kbus,
  program: ({ folder, webPort, origin }) => ({
    file: process.execPath,
    args: [
      ...[KBUS, 'serve', '--directory', folder, '--web', `127.0.0.1:${webPort}`],
      ...['--web-origins', origin],
    ],
    ready: /serving/,
  }),
  async connect({ folder }) {
    const { Announcement, Ksock } = await import('../../dist/index.js');
    const ksock = await Ksock.open(0, { directory: folder, onDisconnected: () => {} });
    return {
      publish: (name, data) =>
        ksock.post(new Announcement(`$.Bench.${name}`, data), { wait: true }),
      subscribe: (name, hear) => ksock.listener(`$.Bench.${name}`, ({ data }) => hear(data)),
    };
  },
  page({ folder, webPort }) {
    const address = readFileSync(join(folder, 'kbus.web'), 'utf8').trim();
    return `
      import { Announcement, Ksock } from 'http://127.0.0.1:${webPort}/kbus.js';
      const url = 'http://127.0.0.1:${webPort}';
      const token = '${address.replace(/.*#token=/, '')}';
      const ksock = await Ksock.open(0, { url, token });
      export const bus = {
        publish: (name, data) =>
          ksock.post(new Announcement('$.Bench.' + name, data), { wait: true }),
        subscribe: (name, hear) => ksock.listener('$.Bench.' + name, ({ data }) => hear(data)),
      };`;
  },
};

/** @type {WebSystem} */
const nats = {
  title: 'NATS',
  version: () =>
    `nats-server ${programVersion('nats-server', '--version')}, nats.ws ${clientVersion('nats.ws')}`,
  program({ folder, port, webPort }) {
    const file = join(folder, 'nats.conf');
    const web = `websocket { listen: "127.0.0.1:${webPort}", no_tls: true, compression: false }`;
    writeFileSync(file, `listen: 127.0.0.1:${port}\n${web}\n`);
    return {
      file: programPath('nats-server') ?? 'nats-server',
      args: ['-c', file],
      ready: /Server is ready/,
    };
  },
  async connect({ port }) {
    const connection = await peer('nats').connect({
      servers: `127.0.0.1:${port}`,
      reconnect: false,
    });
    return {
      publish: (name, data) => connection.publish(`bench.${name}`, Buffer.from(data.buffer)),
      async subscribe(name, hear) {
        connection.subscribe(`bench.${name}`, { callback: (_, { data }) => hear(data) });
        await connection.flush();
      },
    };
  },
  page: ({ webPort }) => `
    import { connect } from '/peers/nats.ws/esm/nats.js';
    const connection = await connect({ servers: 'ws://127.0.0.1:${webPort}' });
    export const bus = {
      publish: (name, data) => connection.publish('bench.' + name, data),
      async subscribe(name, hear) {
        connection.subscribe('bench.' + name, { callback: (_, { data }) => hear(data) });
        await connection.flush();
      },
    };`,
};

/** @type {WebSystem} */
const mosquitto = {
  title: 'Mosquitto',
  version: () =>
    `mosquitto ${programVersion('mosquitto', '-h')}, mqtt ${clientVersion('mqtt')}, QoS 0`,
  program({ folder, port, webPort }) {
    const file = join(folder, 'mosquitto.conf');
    writeFileSync(
      file,
      `listener ${port} 127.0.0.1\nlistener ${webPort} 127.0.0.1\nprotocol websockets\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n`,
    );
    return {
      file: programPath('mosquitto') ?? 'mosquitto',
      args: ['-c', file, '-v'],
      ready: /running/,
    };
  },
  async connect({ port }) {
    const client = await peer('mqtt').connectAsync(`mqtt://127.0.0.1:${port}`, {
      reconnectPeriod: 0,
    });
    /** @type {Map<string, (data: Uint8Array) => void>} */
    const heard = new Map();
    client.on('message', (topic, data) => heard.get(topic)?.(data));
    return {
      publish: (name, data) => void client.publish(`bench/${name}`, /** @type {Buffer} */ (data)),
      async subscribe(name, hear) {
        heard.set(`bench/${name}`, hear);
        await client.subscribeAsync(`bench/${name}`, { qos: 0 });
      },
    };
  },
  page: ({ webPort }) => `
    import mqtt from '/peers/mqtt/dist/mqtt.esm.js';
    const client = await mqtt.connectAsync('ws://127.0.0.1:${webPort}');
    const heard = new Map();
    client.on('message', (topic, data) => heard.get(topic)?.(data));
    export const bus = {
      publish: (name, data) => void client.publish('bench/' + name, data),
      async subscribe(name, hear) {
        heard.set('bench/' + name, hear);
        await client.subscribeAsync('bench/' + name, { qos: 0 });
      },
    };`,
};

export const systems = [kbus, nats, mosquitto];

import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { inOrder } from '../in-order.mjs';
import { paceByLast } from '../pace.mjs';
import { clientVersion, lacking, peer, programPath, programVersion } from '../peers.mjs';
import { topicsOf } from '../traffic.mjs';
import { alike, asks } from '../workloads.mjs';

/** @import { Place, System } from '../system.ts' */

/** @param {Place} place */
const connect = (place) =>
  peer('mqtt').connectAsync(`mqtt+unix://${place.socket}`, { reconnectPeriod: 0 });

/** @param {Place} place @param {string} topic @param {0 | 1} qos @param {(data: Buffer) => void} hear */
async function subscribe(place, topic, qos, hear) {
  const client = await connect(place);
  client.on('message', (_, data) => hear(data));
  await client.subscribeAsync(topic, { qos });
  return client;
}

/** @type {System} */
export default {
  name: 'mosquitto',
  title: 'Mosquitto',
  kind: 'peer',
  over: 'Unix socket',
  workloads: [...alike, 'mixed', 'mixed4'],
  how: (workload) => {
    if (asks(workload)) return 'a topic each way, QoS 0';
    const how = 'publish(), QoS 1, without limits on queues';
    return workload.startsWith('mixed') ? `${how}; a subscription to Plant/#` : how;
  },
  missing: () => lacking('mosquitto', 'mqtt'),
  versions: () => ({
    mosquitto: programVersion('mosquitto', '-h'),
    'npm mqtt': clientVersion('mqtt') ?? '',
  }),

  program(place) {
    const settings = join(place.folder, 'mosquitto.conf');
    // Started by root it would change to its own user, who may not enter our directory.
    const { username } = userInfo();
    writeFileSync(
      settings,
      // With its default limits it loses messages of QoS 1 if a receiver is slow; without limits it does not.
      `listener 0 ${place.socket}
allow_anonymous true
user ${username}
max_queued_messages 0
max_inflight_messages 0
`,
    );
    return {
      file: programPath('mosquitto') ?? 'mosquitto',
      args: ['-c', settings],
      ready: /mosquitto version \S+ running/,
    };
  },

  async answer(place) {
    const client = await subscribe(place, 'requests', 0, (data) => client.publish('replies', data));
  },

  async ask(place) {
    const { askBy, replied } = inOrder();
    const client = await subscribe(place, 'replies', 0, replied);
    return askBy((data) => client.publish('requests', data));
  },

  async listen(place, hear) {
    await subscribe(place, place.names > 0 ? 'Plant/#' : 'bench', 1, (data) =>
      hear(data, 0, data.length),
    );
  },

  async announce(place) {
    const client = await connect(place);
    const topics = place.names > 0 ? topicsOf(place.names, '/') : ['bench'];
    const { sent, finish } = paceByLast(place.ring / 2);
    return {
      send: (data, name) =>
        sent(client.publishAsync(/** @type {string} */ (topics[name]), data, { qos: 1 })),
      finish,
    };
  },
};

import { inOrder } from '../in-order.mjs';
import { paceByLast } from '../pace.mjs';
import { clientVersion, lacking, peer, programPath, programVersion } from '../peers.mjs';
import { topicsOf } from '../traffic.mjs';
import { alike, asks } from '../workloads.mjs';

/** @import { Place, System } from '../system.ts' */

/** @param {Place} place */
async function connect(place) {
  const { Redis } = peer('ioredis');
  const redis = new Redis({ path: place.socket, lazyConnect: true, retryStrategy: () => null });
  await redis.connect();
  return redis;
}

/** A subscribing connection can send no other commands.
 * @param {Place} place @param {string} channel @param {(data: Buffer) => void} hear */
async function subscribe(place, channel, hear) {
  const redis = await connect(place);
  redis.on('messageBuffer', (_, data) => hear(data));
  await redis.subscribe(channel);
}

/** @type {System} */
export default {
  name: 'redis',
  title: 'Redis',
  kind: 'peer',
  over: 'Unix socket',
  workloads: [...alike, 'mixed', 'mixed4'],
  how: (workload) => {
    if (asks(workload)) return 'PUBLISH on a channel each way';
    return workload.startsWith('mixed')
      ? 'PUBLISH; at most once; a PSUBSCRIBE to Plant.*'
      : 'PUBLISH; at most once';
  },
  missing: () => lacking('redis-server', 'ioredis'),
  versions: () => ({
    'redis-server': programVersion('redis-server', '--version'),
    'npm ioredis': clientVersion('ioredis') ?? '',
  }),

  program: (place) => ({
    file: programPath('redis-server') ?? 'redis-server',
    args: ['--port', '0', '--unixsocket', place.socket, '--save', '', '--appendonly', 'no'],
    ready: /ready to accept connections/,
  }),

  async answer(place) {
    const redis = await connect(place);
    await subscribe(place, 'requests', (data) => redis.publish('replies', data));
  },

  async ask(place) {
    const redis = await connect(place);
    const { askBy, replied } = inOrder();
    await subscribe(place, 'replies', replied);
    return askBy((data) => redis.publish('requests', data));
  },

  async listen(place, hear) {
    if (place.names === 0) {
      return subscribe(place, 'bench', (data) => hear(data, 0, data.length));
    }
    const redis = await connect(place);
    redis.on('pmessageBuffer', (_, _channel, data) => hear(data, 0, data.length));
    await redis.psubscribe('Plant.*');
  },

  async announce(place) {
    const redis = await connect(place);
    const channels = place.names > 0 ? topicsOf(place.names, '.') : ['bench'];
    const { sent, finish } = paceByLast(place.ring / 2);
    return {
      send: (data, name) => sent(redis.publish(/** @type {string} */ (channels[name]), data)),
      finish,
    };
  },
};

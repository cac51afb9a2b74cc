import { pace } from '../pace.mjs';
import { clientVersion, lacking, peer, programPath, programVersion } from '../peers.mjs';

/** @import { Place, System } from '../system.d.ts' */

/** @param {Place} place */
const connect = (place) =>
  peer('nats').connect({ servers: `127.0.0.1:${place.port}`, reconnect: false });

/** @type {System} */
export default {
  name: 'nats',
  title: 'NATS',
  kind: 'peer',
  over: 'TCP loopback', // the server has no Unix sockets
  how: (workload) =>
    workload.startsWith('rtt') ? 'request()' : 'publish() and flush(); at most once',
  missing: () => lacking('nats-server', 'nats'),
  versions: () => ({
    'nats-server': programVersion('nats-server', '--version'),
    'npm nats': clientVersion('nats') ?? '',
  }),

  program: (place) => ({
    file: programPath('nats-server') ?? 'nats-server',
    args: ['-a', '127.0.0.1', '-p', String(place.port)],
    ready: /Server is ready/,
  }),

  async answer(place) {
    const nats = await connect(place);
    nats.subscribe('bench', {
      callback: (/** @type {unknown} */ _, /** @type {any} */ message) =>
        message.respond(message.data),
    });
    await nats.flush();
  },

  async ask(place) {
    const nats = await connect(place);
    return (data, done) => {
      nats
        .request('bench', data, { timeout: 10_000 })
        .then((/** @type {any} */ { data: reply }) => done(reply, 0, reply.length));
    };
  },

  async listen(place, hear) {
    const nats = await connect(place);
    nats.subscribe('bench', {
      callback: (/** @type {unknown} */ _, /** @type {any} */ { data }) =>
        hear(data, 0, data.length),
    });
    await nats.flush();
  },

  async announce(place) {
    const nats = await connect(place);
    const { sent, finish } = pace(place.ring / 2, () => nats.flush());
    return {
      send(data) {
        nats.publish('bench', data);
        return sent();
      },
      finish,
    };
  },
};

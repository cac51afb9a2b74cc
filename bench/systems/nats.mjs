import { pace } from '../pace.mjs';
import { clientVersion, lacking, peer, programPath, programVersion } from '../peers.mjs';
import { shareOf, topicsOf } from '../traffic.mjs';
import { alike, asks } from '../workloads.mjs';

/** @import { Place, System } from '../system.ts' */

/** @param {Place} place */
const connect = (place) =>
  peer('nats').connect({ servers: `127.0.0.1:${place.port}`, reconnect: false });

/** The subject of each message, by the number of its name. @param {Place} place */
const subjectsOf = (place) => (place.names > 0 ? topicsOf(place.names, '.') : ['bench']);

/** @type {System} */
export default {
  name: 'nats',
  title: 'NATS',
  kind: 'peer',
  over: 'TCP loopback', // the server has no Unix sockets
  workloads: [...alike, 'mixed', 'mixed1', 'mixed10', 'mixed4', 'services'],
  how: (workload) => {
    if (asks(workload)) return 'request()';
    const how = 'publish() and flush(); at most once';
    return workload.startsWith('mixed') ? `${how}; a subscription to Plant.>` : how;
  },
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

  async answer(place, number) {
    const nats = await connect(place);
    for (const subject of shareOf(subjectsOf(place), place, number)) {
      nats.subscribe(subject, {
        callback: (_, message) => message.respond(message.data),
      });
    }
    await nats.flush();
  },

  async ask(place) {
    const nats = await connect(place);
    const subjects = subjectsOf(place);
    return (data, done, name) => {
      nats
        .request(/** @type {string} */ (subjects[name]), data, { timeout: 10_000 })
        .then(({ data: reply }) => done(reply, 0, reply.length));
    };
  },

  async listen(place, hear) {
    const nats = await connect(place);
    nats.subscribe(place.names > 0 ? 'Plant.>' : 'bench', {
      callback: (_, { data }) => hear(data, 0, data.length),
    });
    await nats.flush();
  },

  async announce(place) {
    const nats = await connect(place);
    const subjects = subjectsOf(place);
    const { sent, finish } = pace(place.ring / 2, () => nats.flush());
    return {
      send(data, name) {
        nats.publish(/** @type {string} */ (subjects[name]), data);
        return sent();
      },
      finish,
    };
  },
};

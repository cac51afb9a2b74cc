// KBUS over its Unix socket: what `kbus serve` and the package's own client do.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @import { Announcer, Ask, Hear, Place, System } from '../system.d.ts' */

const root = new URL('../../', import.meta.url);
const ASK = '$.Bench.Ask';
export const TELL = '$.Bench.Tell';

/** A queue long enough that a turn of the event loop, and not its limit, is what a batch ends at. */
const QUEUE = 10_000;
/** Large messages are enough of a batch with the queue that every Ksock has. */
const LARGE = 16_384;

export const kbus = () => import(new URL('dist/index.js', root).href);

export const versions = () => ({
  kbus: JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).version,
});

/** @param {Place} place */
export const open = async (place) => {
  const { Ksock } = await kbus();
  const ksock = await Ksock.open(0, { directory: place.folder });
  if (place.size < LARGE) await ksock.setMaxMessages(QUEUE);
  return ksock;
};

/** @type {System} */
export default {
  name: 'kbus',
  title: 'KBUS',
  kind: 'subject',
  over: 'Unix socket',
  how: (workload) =>
    workload.startsWith('rtt')
      ? 'request() and a replier() handler'
      : 'post({ wait: true }) and a listener() handler that borrows messages, and reads where the data lies; no message may be missed',
  missing: () => undefined,
  versions,
  program: (place) => ({
    file: place.node,
    args: [fileURLToPath(new URL('dist/cli/main.cjs', root)), 'serve', '--directory', place.folder],
    ready: /serving/,
  }),
  async answer(place) {
    const ksock = await open(place);
    await ksock.replier(ASK, (/** @type {any} */ request) => request.data);
  },
  /** @returns {Promise<Ask>} */
  async ask(place) {
    const ksock = await open(place);
    return (data, done) => {
      ksock.request(ASK, data).then((/** @type {any} */ reply) => {
        done(reply.bytes, reply.dataAt, reply.dataLength);
      });
    };
  },
  /** @param {Hear} hear */
  async listen(place, hear) {
    const ksock = await open(place);
    const handler = (/** @type {any} */ message) =>
      hear(message.bytes, message.dataAt, message.dataLength);
    await ksock.listener(TELL, handler, { borrowed: true });
  },
  /** @returns {Promise<Announcer>} */
  async announce(place) {
    const { Announcement } = await kbus();
    const ksock = await open(place);
    return {
      send: (data) => ksock.post(new Announcement(TELL, data), { wait: true }),
      finish: () => ksock.flush(),
    };
  },
};

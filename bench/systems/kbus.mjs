// KBUS over its Unix socket: what `kbus serve` and the package's own client do.
import { fileURLToPath } from 'node:url';
import { versionOf } from '../peers.mjs';
import { namesOf, shareOf } from '../traffic.mjs';
import { asks } from '../workloads.mjs';

/**
 * @import { BorrowedMessage } from '../../dist/index.js'
 * @import { Announcer, Ask, Hear, Place, System } from '../system.ts'
 */

const root = new URL('../../', import.meta.url);
const ASK = '$.Bench.Ask';
export const TELL = '$.Bench.Tell';
/** Every name of mixed traffic, heard by one listener. */
const ALL = '$.Plant.*';
/** Outcomes that are awaited together. */
const TOGETHER = 256;

/** A queue long enough that a turn of the event loop, and not its limit, is what a batch ends at. */
const QUEUE = 10_000;
/** Large messages are enough of a batch with the queue that every Ksock has. */
const LARGE = 16_384;

export const kbus = () => import('../../dist/index.js');

export const versions = () => ({
  kbus: versionOf(new URL('package.json', root)),
});

/** @param {Place} place */
export const open = async (place) => {
  const { Ksock } = await kbus();
  const ksock = await Ksock.open(0, { directory: place.folder });
  if (place.size < LARGE) await ksock.setMaxMessages(QUEUE);
  return ksock;
};

/** @param {Place} place */
const askNames = (place) => (place.names > 0 ? namesOf(place.names) : [ASK]);

/** @type {System} */
export default {
  name: 'kbus',
  title: 'KBUS',
  kind: 'subject',
  over: 'Unix socket',
  how: (workload) => {
    if (asks(workload)) return 'request() and a replier() handler';
    if (workload === 'mixedawait') {
      return `sendMsg({ wait: true }), Promise.all() of ${TOGETHER}, and a listener('${ALL}') handler that reads message.data`;
    }
    return workload.startsWith('mixed')
      ? `post({ wait: true }) and a listener('${ALL}') handler that reads message.data; no message may be missed`
      : 'post({ wait: true }) and a listener() handler that borrows messages, and reads where the data lies; no message may be missed';
  },
  missing: () => undefined,
  versions,
  program: (place) => ({
    file: place.node,
    args: [fileURLToPath(new URL('dist/cli/main.cjs', root)), 'serve', '--directory', place.folder],
    ready: /serving/,
  }),
  async answer(place, number) {
    const ksock = await open(place);
    for (const name of shareOf(askNames(place), place, number)) {
      await ksock.replier(name, (request) => request.data);
    }
  },
  /** @returns {Promise<Ask>} */
  async ask(place) {
    const ksock = await open(place);
    const names = askNames(place);
    return (data, done, name) => {
      ksock.request(/** @type {string} */ (names[name]), data).then((reply) => {
        done(reply.bytes, reply.dataAt, reply.dataLength);
      });
    };
  },
  /** @param {Hear} hear */
  async listen(place, hear) {
    const ksock = await open(place);
    if (place.names > 0) {
      await ksock.listener(ALL, ({ data }) => hear(data, 0, data.length));
      return;
    }
    const handler = (/** @type {BorrowedMessage} */ message) =>
      hear(message.bytes, message.dataAt, message.dataLength);
    await ksock.listener(TELL, handler, { borrowed: true });
  },
  /** @returns {Promise<Announcer>} */
  async announce(place) {
    const { Announcement } = await kbus();
    const ksock = await open(place);
    const names = namesOf(place.names);
    const announcement = (/** @type {Buffer} */ data, /** @type {number} */ name) =>
      new Announcement(/** @type {string} */ (names[name]), data);
    if (place.workload === 'mixedawait') {
      /** @type {ReturnType<typeof ksock.sendMsg>[]} */
      let sent = [];
      const outcomes = () => {
        const all = Promise.all(sent);
        sent = [];
        return all;
      };
      return {
        send(data, name) {
          sent.push(ksock.sendMsg(announcement(data, name), { wait: true }));
          return sent.length < TOGETHER ? undefined : outcomes();
        },
        finish: outcomes,
      };
    }
    if (place.names > 0) {
      return {
        send: (data, name) => ksock.post(announcement(data, name), { wait: true }),
        finish: () => ksock.flush(),
      };
    }
    return {
      send: (data) => ksock.post(new Announcement(TELL, data), { wait: true }),
      finish: () => ksock.flush(),
    };
  },
};

// KBUS over its Unix socket: `kbus serve` and the package's client.
import { KBUS } from '../../harness/serve.mjs';
import { versionOf } from '../peers.mjs';
import { namesOf, shareOf } from '../traffic.mjs';
import { asks } from '../workloads.mjs';

/**
 * @import { BorrowedMessage, Ksock, Message } from '../../dist/index.js'
 * @import { Announcer, Ask, Hear, Place, System } from '../system.ts'
 */

export const ASK = '$.Bench.Ask';
export const TELL = '$.Bench.Tell';
/** All names of mixed traffic, for one listener. */
const ALL = '$.Plant.*';
/** Sends that are awaited together. */
const TOGETHER = 256;

/** A queue so long that a turn of the event loop, not the limit, ends a batch. */
const QUEUE = 10_000;
/** For large messages the default queue is long enough. */
const LARGE = 16_384;

export const kbus = () => import('../../dist/index.js');

export const versions = () => ({
  kbus: versionOf(new URL('../../package.json', import.meta.url)),
});

/** @param {Place} place */
export const open = async (place) => {
  const { Ksock } = await kbus();
  const ksock = await Ksock.open(0, { directory: place.folder });
  if (place.size < LARGE) await ksock.setMaxMessages(QUEUE);
  return ksock;
};

/** Sends with request(). @param {Ksock} ksock @param {string[]} names @returns {Ask} */
export const askBy = (ksock, names) => (data, done, name) => {
  ksock.request(/** @type {string} */ (names[name]), data).then((reply) => {
    done(reply.bytes, reply.dataAt, reply.dataLength);
  });
};

/** Reads the data in place. @param {Hear} hear @returns {(message: BorrowedMessage | Message) => void} */
export const inPlace = (hear) => (message) =>
  hear(message.bytes, message.dataAt, message.dataLength);

/** Announces with post(). @param {Ksock} ksock @param {string[]} names @returns {Promise<Announcer>} */
export async function postBy(ksock, names) {
  const { Announcement } = await kbus();
  return {
    send: (data, name) =>
      ksock.post(new Announcement(/** @type {string} */ (names[name]), data), { wait: true }),
    finish: () => ksock.flush(),
  };
}

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
      : 'post({ wait: true }) and a listener() handler that borrows messages, and reads the data in place; no message may be missed';
  },
  missing: () => undefined,
  versions,
  program: (place) => ({
    file: place.node,
    args: [KBUS, 'serve', '--directory', place.folder],
    ready: /serving/,
  }),
  async answer(place, number) {
    const ksock = await open(place);
    for (const name of shareOf(askNames(place), place, number)) {
      await ksock.replier(name, (request) => request.data);
    }
  },
  ask: async (place) => askBy(await open(place), askNames(place)),
  /** @param {Hear} hear */
  async listen(place, hear) {
    const ksock = await open(place);
    if (place.names > 0) {
      await ksock.listener(ALL, ({ data }) => hear(data, 0, data.length));
      return;
    }
    await ksock.listener(TELL, inPlace(hear), { borrowed: true });
  },
  /** @returns {Promise<Announcer>} */
  async announce(place) {
    const ksock = await open(place);
    const names = place.names > 0 ? namesOf(place.names) : [TELL];
    if (place.workload !== 'mixedawait') return postBy(ksock, names);
    const { Announcement } = await kbus();
    /** @type {ReturnType<typeof ksock.sendMsg>[]} */
    let sent = [];
    const outcomes = () => {
      const all = Promise.all(sent);
      sent = [];
      return all;
    };
    return {
      send(data, name) {
        const message = new Announcement(/** @type {string} */ (names[name]), data);
        sent.push(ksock.sendMsg(message, { wait: true }));
        return sent.length < TOGETHER ? undefined : outcomes();
      },
      finish: outcomes,
    };
  },
};

// KBUS over its Unix socket: what `kbus serve` and the package's own client do.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { namesOf, shareOf } from '../traffic.mjs';
import { asks } from '../workloads.mjs';

/** @import { Announcer, Ask, Hear, Place, System } from '../system.d.ts' */

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
      await ksock.replier(name, (/** @type {any} */ request) => request.data);
    }
  },
  /** @returns {Promise<Ask>} */
  async ask(place) {
    const ksock = await open(place);
    const names = askNames(place);
    return (data, done, name) => {
      ksock.request(names[name], data).then((/** @type {any} */ reply) => {
        done(reply.bytes, reply.dataAt, reply.dataLength);
      });
    };
  },
  /** @param {Hear} hear */
  async listen(place, hear) {
    const ksock = await open(place);
    if (place.names > 0) {
      await ksock.listener(ALL, (/** @type {any} */ { data }) => hear(data, 0, data.length));
      return;
    }
    const handler = (/** @type {any} */ message) =>
      hear(message.bytes, message.dataAt, message.dataLength);
    await ksock.listener(TELL, handler, { borrowed: true });
  },
  /** @returns {Promise<Announcer>} */
  async announce(place) {
    const { Announcement } = await kbus();
    const ksock = await open(place);
    const names = namesOf(place.names);
    if (place.workload === 'mixedawait') {
      /** @type {Promise<any>[]} */
      let sent = [];
      const outcomes = () => {
        const all = Promise.all(sent);
        sent = [];
        return all;
      };
      return {
        send(data, name) {
          sent.push(ksock.sendMsg(new Announcement(names[name], data), { wait: true }));
          return sent.length < TOGETHER ? undefined : outcomes();
        },
        finish: outcomes,
      };
    }
    if (place.names > 0) {
      return {
        send: (data, name) => ksock.post(new Announcement(names[name], data), { wait: true }),
        finish: () => ksock.flush(),
      };
    }
    return {
      send: (data) => ksock.post(new Announcement(TELL, data), { wait: true }),
      finish: () => ksock.flush(),
    };
  },
};

// KBUS without a daemon: the bus and all its Ksocks are in one process.
import { alike } from '../workloads.mjs';
import { kbus, versions } from './kbus.mjs';

/** @import { Announcer, Ask, Hear, System } from '../system.d.ts' */

const ASK = '$.Bench.Ask';
const TELL = '$.Bench.Tell';

/** @type {any} */
let bus;

export const open = async () => {
  const { Bus, Ksock } = await kbus();
  bus ??= new Bus();
  return Ksock.open(bus);
};

/** @type {System} */
export default {
  name: 'in-process',
  title: 'KBUS, in process',
  kind: 'alone',
  over: 'one process',
  workloads: alike,
  how: (workload) =>
    workload.startsWith('rtt')
      ? 'request() and a replier() handler'
      : 'post({ wait: true }) and a listener() handler that reads where the data lies',
  missing: () => undefined,
  versions,
  async answer() {
    const ksock = await open();
    await ksock.replier(ASK, (/** @type {any} */ request) => request.data);
  },
  /** @returns {Promise<Ask>} */
  async ask() {
    const ksock = await open();
    return (data, done) => {
      ksock.request(ASK, data).then((/** @type {any} */ reply) => {
        done(reply.bytes, reply.dataAt, reply.dataLength);
      });
    };
  },
  /** @param {any} _ @param {Hear} hear */
  async listen(_, hear) {
    const ksock = await open();
    await ksock.listener(TELL, (/** @type {any} */ message) => {
      hear(message.bytes, message.dataAt, message.dataLength);
    });
  },
  /** @returns {Promise<Announcer>} */
  async announce() {
    const { Announcement } = await kbus();
    const ksock = await open();
    return {
      send: (data) => ksock.post(new Announcement(TELL, data), { wait: true }),
      finish: () => ksock.flush(),
    };
  },
};

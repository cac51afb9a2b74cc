// KBUS without a daemon: the bus and all its Ksocks are in one process.
import { alike } from '../workloads.mjs';
import { kbus, versions } from './kbus.mjs';

/**
 * @import { Bus } from '../../dist/index.js'
 * @import { Announcer, Ask, Hear, Place, System } from '../system.ts'
 */

const ASK = '$.Bench.Ask';
const TELL = '$.Bench.Tell';

/** @type {Bus | undefined} */
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
    await ksock.replier(ASK, (request) => request.data);
  },
  /** @returns {Promise<Ask>} */
  async ask() {
    const ksock = await open();
    return (data, done) => {
      ksock.request(ASK, data).then((reply) => {
        done(reply.bytes, reply.dataAt, reply.dataLength);
      });
    };
  },
  /** @param {Place} _ @param {Hear} hear */
  async listen(_, hear) {
    const ksock = await open();
    await ksock.listener(TELL, (message) => {
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

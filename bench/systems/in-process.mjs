// KBUS without a daemon: the bus and all its Ksocks are in one process.
import { alike } from '../workloads.mjs';
import { ASK, askBy, inPlace, kbus, postBy, TELL, versions } from './kbus.mjs';

/**
 * @import { Bus } from '../../dist/index.js'
 * @import { System } from '../system.ts'
 */

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
      : 'post({ wait: true }) and a listener() handler that reads the data in place',
  missing: () => undefined,
  versions,
  async answer() {
    const ksock = await open();
    await ksock.replier(ASK, (request) => request.data);
  },
  ask: async () => askBy(await open(), [ASK]),
  async listen(_, hear) {
    const ksock = await open();
    await ksock.listener(TELL, inPlace(hear));
  },
  announce: async () => postBy(await open(), [TELL]),
};

// The same for a program that awaits each call.
import { open } from './in-process.mjs';
import { kbus, TELL, versions } from './kbus.mjs';

/** @import { Announcer, Hear, Place, System } from '../system.ts' */

/** @type {(() => Promise<void>)[]} */
const reads = [];

/** @type {System} */
export default {
  name: 'in-process-calls',
  title: 'KBUS, in process, awaited',
  kind: 'alone',
  over: 'one process',
  workloads: ['1to1'],
  targets: {},
  how: () => 'await sendMsg(), await readNextMsg()',
  missing: () => undefined,
  versions,
  answer: () => Promise.reject(new Error('it only announces')),
  ask: () => Promise.reject(new Error('it only announces')),
  /** @param {Place} _ @param {Hear} hear */
  async listen(_, hear) {
    const ksock = await open();
    await ksock.bind(TELL);
    reads.push(async () => {
      const message = await ksock.readNextMsg();
      if (message !== null) hear(message.data, 0, message.dataLength);
    });
  },
  /** @returns {Promise<Announcer>} */
  async announce() {
    const { Announcement } = await kbus();
    const ksock = await open();
    return {
      async send(data) {
        await ksock.sendMsg(new Announcement(TELL, data));
        for (const read of reads) await read();
      },
      finish: async () => {},
    };
  },
};

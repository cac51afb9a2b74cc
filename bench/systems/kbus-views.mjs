// The same, with the usual handler: each message is an object, with a view of its data.
import kbus, { open, TELL } from './kbus.mjs';

/** @type {import('../system.ts').System} */
export default {
  ...kbus,
  name: 'kbus-views',
  title: 'KBUS, message.data',
  workloads: ['1to1', 'fan16', 'big'],
  targets: {},
  how: () =>
    'the same, with a handler to which each message is given to keep, and which asks for message.data',
  async listen(place, hear) {
    const ksock = await open(place);
    await ksock.listener(TELL, ({ data }) => hear(data, 0, data.length));
  },
};

// The same, with a daemon that keeps what happens.
import kbus from './kbus.mjs';

const HISTORY = '4MiB';

/** @type {import('../system.ts').System} */
export default {
  ...kbus,
  name: 'kbus-history',
  title: `KBUS, --history ${HISTORY}`,
  workloads: ['mixed', 'services', 'rtt', '1to1', 'fan16', 'big'],
  targets: {},
  program(place) {
    const { file, args, ready } = /** @type {Required<typeof kbus>} */ (kbus).program(place);
    return { file, args: [...args, '--history', HISTORY], ready };
  },
};

// The same, with a busy-polling daemon: a round trip doesn't wait for it to wake.
import kbus from './kbus.mjs';

/** µs of busy polling: longer than a client takes to answer, also on a slow machine. */
const SPIN = 200;

/** @type {import('../system.ts').System} */
export default {
  ...kbus,
  name: 'kbus-spin',
  title: `KBUS, --spin ${SPIN}`,
  workloads: ['rtt'],
  targets: { p50: [{ must: 1.1, goal: 0.6 }] },
  program(place) {
    const { file, args, ready } = /** @type {Required<typeof kbus>} */ (kbus).program(place);
    return { file, args: [...args, '--spin', String(SPIN)], ready };
  },
};

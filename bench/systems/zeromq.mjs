import { inOrder } from '../in-order.mjs';
import { clientVersion, lacking, peer } from '../peers.mjs';
import { alike } from '../workloads.mjs';

/**
 * @import { ZmqSocket } from '../clients.ts'
 * @import { Place, System } from '../system.ts'
 */

/** Without a daemon: the processes are connected directly. @param {Place} place */
const address = (place) => `ipc://${place.socket}`;

/** A socket sends one message at a time: queues further ones.
 * @param {ZmqSocket} socket @returns {(message: Buffer | Buffer[]) => void} */
function sender(socket) {
  /** @type {(Buffer | Buffer[])[]} */
  const queue = [];
  let sending = false;
  return async (message) => {
    queue.push(message);
    if (sending) return;
    sending = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      await socket.send(next);
    sending = false;
  };
}

/** @type {System} */
export default {
  name: 'zeromq',
  title: 'ZeroMQ, direct',
  kind: 'peer',
  over: 'Unix socket',
  workloads: alike,
  how: (workload) =>
    workload.startsWith('rtt')
      ? 'DEALER and ROUTER'
      : workload === 'fan16'
        ? 'XPUB with noDrop, trying again while a subscriber is full, and SUB'
        : 'PUSH and PULL',
  missing: () => lacking(undefined, 'zeromq'),
  versions: () => ({ 'npm zeromq': clientVersion('zeromq') ?? '' }),

  async answer(place) {
    const { Router } = peer('zeromq');
    const router = new Router();
    await router.bind(address(place));
    const send = sender(router);
    (async () => {
      for await (const [from, data] of router) send([from, data]);
    })();
  },

  async ask(place) {
    const { Dealer } = peer('zeromq');
    const dealer = new Dealer();
    dealer.connect(address(place));
    const send = sender(dealer);
    const { askBy, replied } = inOrder();
    (async () => {
      for await (const [data] of dealer) replied(data);
    })();
    return askBy(send);
  },

  async listen(place, hear) {
    const { Pull, Subscriber } = peer('zeromq');
    const hearAll = async (/** @type {AsyncIterable<[Buffer]>} */ socket) => {
      for await (const [data] of socket) hear(data, 0, data.length);
    };
    if (place.receivers > 1) {
      const subscriber = new Subscriber();
      subscriber.connect(address(place));
      subscriber.subscribe();
      void hearAll(subscriber);
    } else {
      const pull = new Pull();
      await pull.bind(address(place));
      void hearAll(pull);
    }
  },

  async announce(place) {
    const { Push, XPublisher } = peer('zeromq');
    // ZeroMQ keeps large data without a copy: send no more than the ring allows.
    const sendHighWaterMark = Math.min(1000, place.ring / 2);
    if (place.receivers === 1) {
      const push = new Push({ sendHighWaterMark });
      push.connect(address(place));
      return { send: (data) => push.send(data), finish: async () => {} };
    }
    const publisher = new XPublisher({ sendHighWaterMark, noDrop: true, verbosity: 'allSubs' });
    await publisher.bind(address(place));
    for (let i = 0; i < place.receivers; i++) await publisher.receive();
    return {
      async send(data) {
        for (;;) {
          try {
            return await publisher.send(data);
          } catch (error) {
            // A subscriber's queue is full: no subscriber got the message, and no event says when to retry.
            if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') throw error;
            await new Promise(setImmediate);
          }
        }
      },
      finish: async () => {},
    };
  },
};

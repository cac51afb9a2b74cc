// Back-pressure on a sender whose client has none: most clients queue all messages that they get.

/**
 * Lets a sender run at most two windows ahead of the bus's confirmations, without a pause between
 * windows: while one is being confirmed the next is filled.
 *
 * @param {number} window  messages
 * @param {() => Promise<unknown>} confirm  resolves when the bus has accepted all messages sent so far
 */
export function pace(window, confirm) {
  let sent = 0;
  /** @type {Promise<unknown>} */
  let earlier = Promise.resolve();
  return {
    /** Call this after each message; await the result, if any, before the next one. */
    sent() {
      if (++sent < window) return undefined;
      sent = 0;
      const wait = earlier;
      earlier = confirm();
      return wait;
    },
    async finish() {
      await earlier;
      await confirm();
    },
  };
}

/**
 * The same, for a bus that confirms messages in their order: a confirmation stands for all messages before it.
 *
 * @param {number} window  messages
 */
export function paceByLast(window) {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  const { sent, finish } = pace(window, () => last);
  return {
    /** Call this after each message. @param {Promise<unknown>} confirmed */
    sent(confirmed) {
      last = confirmed;
      return sent();
    },
    finish,
  };
}

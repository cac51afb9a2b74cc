// Holding back a sender whose bus doesn't: most clients take whatever they are given and keep it.

/**
 * Lets a sender run at most two windows ahead of what the bus has confirmed, without stopping between
 * windows: while one is being confirmed the next is filled.
 *
 * @param {number} window  messages
 * @param {() => Promise<unknown>} confirm  resolves when all that was sent until now has been taken
 */
export function pace(window, confirm) {
  let sent = 0;
  /** @type {Promise<unknown>} */
  let earlier = Promise.resolve();
  return {
    /** After each message: undefined, or what to wait for before the next. */
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
 * The same, for a bus that confirms messages in the order in which they were sent: the last one stands for all before it.
 *
 * @param {number} window  messages
 */
export function paceByLast(window) {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  const { sent, finish } = pace(window, () => last);
  return {
    /** After each message. @param {Promise<unknown>} confirmed */
    sent(confirmed) {
      last = confirmed;
      return sent();
    },
    finish,
  };
}

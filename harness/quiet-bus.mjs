const nothing = () => {};

/** A bus that does nothing, and links that take all: for a hub of which only a part is looked at. */
export const QUIET_BUS = {
  send: nothing,
  sendBatch: nothing,
  tell: nothing,
  reply: nothing,
  copy: nothing,
  bind: nothing,
  unbind: nothing,
  readRepliers: nothing,
  pause: nothing,
  transmit: () => true,
  defer: nothing,
  warn: nothing,
};

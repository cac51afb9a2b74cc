/**
 * What there is on the bus while growth is measured, and what is sent.
 *
 * @typedef {object} Load
 * @property {number} bindings   on the bus, of a Ksock that gets nothing; every tenth ends with `*`
 * @property {number} idle       Ksocks that do nothing
 * @property {number} levels     words of the name that is sent
 * @property {number} names      how many names are sent, one after the other
 * @property {boolean} wildcard  they are listened to by `*`, and not by name
 * @property {number} size       bytes of data
 * @property {number} listeners  who each get every Announcement
 */

/** What every point has but for what its curve varies. @type {Load} */
export const usual = {
  bindings: 10,
  idle: 0,
  levels: 2,
  names: 1,
  wildcard: false,
  size: 64,
  listeners: 1,
};

/**
 * The state of the bus while growth is measured, and the messages.
 *
 * @typedef {object} Load
 * @property {number} bindings   on the bus, of a Ksock that gets no messages; every tenth ends with `*`
 * @property {number} idle       idle Ksocks
 * @property {number} levels     words of the name
 * @property {number} names      number of names, used in turn
 * @property {boolean} wildcard  the listeners bind `*`, not the names
 * @property {number} size       bytes of data
 * @property {number} listeners  Ksocks that each get every Announcement
 */

/** The load of every point, except the part that its curve varies. @type {Load} */
export const usual = {
  bindings: 10,
  idle: 0,
  levels: 2,
  names: 1,
  wildcard: false,
  size: 64,
  listeners: 1,
};

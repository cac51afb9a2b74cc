/** @import { Ask, Hear } from './system.ts' */

/** Requests and replies of a bus that keeps the order of both: the next reply is for the oldest request. */
export function inOrder() {
  /** @type {Hear[]} */
  const waiting = [];
  return {
    /** Sends a request. @param {(data: Buffer) => unknown} send @returns {Ask} */
    askBy: (send) => (data, done) => {
      waiting.push(done);
      send(data);
    },
    /** Call this for each reply. @param {Buffer} data */
    replied: (data) => waiting.shift()?.(data, 0, data.length),
  };
}

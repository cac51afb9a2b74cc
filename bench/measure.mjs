// The measuring that every system shares: what is written into the data, and who looks at the clock when.
//
// The data of every message begins with its serial (u32, little-endian, from 1; every sending process
// counts its own), one byte that is 1 on the last message of a run, and the number of the process that
// sent it; the rest is filler.
import { percentile } from './statistics.mjs';
import { lengthsOf } from './traffic.mjs';

/** @import { Ask, Announcer, Hear, Place } from './system.ts' */

/** Monotonic nanoseconds; the same clock in every process of the machine. */
export const nanoseconds = () => Number(process.hrtime.bigint());

/** @param {Uint8Array} data @param {number} serial @param {number} last @param {number} sender */
function stamp(data, serial, last, sender) {
  data[0] = serial;
  data[1] = serial >>> 8;
  data[2] = serial >>> 16;
  data[3] = serial >>> 24;
  data[4] = last;
  data[5] = sender;
}

/** @param {Uint8Array} bytes @param {number} at */
const byteAt = (bytes, at) => /** @type {number} */ (bytes[at]);

/** @param {Uint8Array} bytes @param {number} at */
const serialAt = (bytes, at) =>
  (byteAt(bytes, at) |
    (byteAt(bytes, at + 1) << 8) |
    (byteAt(bytes, at + 2) << 16) |
    (byteAt(bytes, at + 3) << 24)) >>>
  0;

/** The data of messages: that with serial n is sent in number n modulo `count`, which has its length.
 * @param {number} count @param {Place} place */
function buffers(count, place) {
  const lengths = lengthsOf(place);
  if (count % lengths.length !== 0) {
    throw new Error(`a ring of ${count} can't hold ${lengths.length} lengths in turn`);
  }
  return Array.from({ length: count }, (_, i) => Buffer.alloc(lengths[i % lengths.length] ?? 0, i));
}

/**
 * Keeps `inFlight` requests in flight for a while.
 *
 * @param {Ask} ask
 * @param {Place} place
 * @param {number} inFlight
 * @returns {(seconds: number) => Promise<AskRun>}
 *
 * @typedef {object} AskRun
 * @property {number} count    requests answered
 * @property {number} wrong    replies that were not to their request
 * @property {number} seconds
 * @property {number} p50      µs; only when one request is in flight
 * @property {number} p99      µs
 */
export function asking(ask, place, inFlight) {
  const data = buffers(inFlight, place);
  const names = Math.max(1, place.names);
  const alone = inFlight === 1;
  let serial = 0;
  return (seconds) =>
    new Promise((resolve) => {
      let count = 0;
      let wrong = 0;
      let flying = inFlight;
      let over = false;
      /** @type {number[]} */
      const times = [];
      const begin = performance.now();
      const end = begin + seconds * 1000;

      const slot = (/** @type {Buffer} */ bytes) => {
        let asked = 0;
        let since = 0;
        const next = () => {
          asked = ++serial;
          stamp(bytes, asked, 0, 0);
          if (alone) since = performance.now();
          ask(bytes, done, asked % names);
        };
        /** @type {Hear} */
        const done = (reply, at, length) => {
          if (length !== place.size || serialAt(reply, at) !== asked) wrong++;
          count++;
          if (alone) {
            const now = performance.now();
            times.push(now - since);
            over = now >= end;
          } else if ((count & 63) === 0) {
            over = performance.now() >= end;
          }
          if (!over) next();
          else if (--flying === 0) finish();
        };
        return next;
      };
      const finish = () => {
        const took = (performance.now() - begin) / 1000;
        times.sort((a, b) => a - b);
        resolve({
          count,
          wrong,
          seconds: took,
          p50: percentile(times, 0.5) * 1000,
          p99: percentile(times, 0.99) * 1000,
        });
      };
      for (const next of data.map(slot)) next();
    });
}

/**
 * Announces for a while, as fast as the system lets it.
 *
 * @param {Announcer} announcer
 * @param {Place} place
 * @param {number} [sender]  which of the sending processes this is, from 0
 * @returns {(seconds: number) => Promise<AnnounceRun>}
 *
 * @typedef {object} AnnounceRun
 * @property {number} count  messages sent
 * @property {number} first  when the first was (nanoseconds)
 */
export function announcing(announcer, place, sender = 0) {
  const data = buffers(place.ring, place);
  const names = Math.max(1, place.names);
  // Each begins with another name, so that they don't all send the same at once.
  let name = Math.floor((names * sender) / place.senders);
  let serial = 0;
  return async (seconds) => {
    const before = serial;
    const first = nanoseconds();
    const end = performance.now() + seconds * 1000;
    for (;;) {
      serial++;
      const last = (serial & 63) === 0 && performance.now() >= end;
      const bytes = /** @type {Buffer} */ (data[serial % data.length]);
      stamp(bytes, serial, last ? 1 : 0, sender);
      const wait = announcer.send(bytes, name);
      if (++name === names) name = 0;
      if (wait !== undefined) await wait;
      if (last) break;
    }
    await announcer.finish();
    return { count: serial - before, first };
  };
}

/**
 * @typedef {object} Heard what one connection heard since it was last asked
 * @property {number} count   messages
 * @property {number} lost    serials that were passed over
 * @property {number} wrong   messages of the wrong length, out of order, or heard before
 * @property {number} last    when the last of them came (nanoseconds)
 */

/**
 * One connection's ear: checks every serial of every sender.
 *
 * @param {Place} place
 * @param {() => void} ended  called when the last message of a run has come from every sender
 * @returns {{ hear: Hear, take: () => Heard }}
 */
export function hearing(place, ended) {
  const lengths = lengthsOf(place);
  const { senders } = place;
  /** The serial that comes next, by sender. @type {number[]} */
  const next = new Array(senders).fill(1);
  let running = senders;
  let count = 0;
  let lost = 0;
  let wrong = 0;
  let last = 0;
  return {
    hear(bytes, at, length) {
      const serial = serialAt(bytes, at);
      const sender = /** @type {number} */ (bytes[at + 5]);
      // Where there is no such sender, nothing fits.
      const expected = next[sender] ?? Number.NaN;
      const fits = length === lengths[serial % lengths.length];
      if (serial === expected && fits) {
        next[sender] = serial + 1;
      } else if (serial > expected && fits) {
        lost += serial - expected;
        next[sender] = serial + 1;
      } else {
        wrong++;
      }
      count++;
      // The last message may itself get lost; then this is near enough.
      if ((count & 255) === 0) last = nanoseconds();
      if (bytes[at + 4] === 1) {
        last = nanoseconds();
        if (--running === 0) {
          running = senders;
          ended();
        }
      }
    },
    take() {
      const heard = { count, lost, wrong, last };
      count = lost = wrong = last = 0;
      running = senders;
      return heard;
    },
  };
}

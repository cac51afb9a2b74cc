// The traffic between a program and a page, the same for all buses and at both ends.

/**
 * @typedef {{
 *   publish(name: string, data: Uint8Array): Promise<unknown> | undefined | void,
 *   subscribe(name: string, hear: (data: Uint8Array) => void): Promise<unknown>,
 * }} Bus
 */

/** A sender has at most so many messages under way; its receiver confirms by so many. */
const WINDOW = 4096;
const CONFIRMED = 256;

const SIZE = 100;
/** So many are measured, after some until all programs are compiled. */
const ROUND_TRIPS = 2000;
const WARM_UP = 4000;

/** Receives announcements until the last one; gives how many came in a second. @param {Bus} bus @param {string} name */
export async function receive(bus, name) {
  let count = 0;
  let begin = 0;
  /** @type {(rate: number) => void} */
  let done = () => {};
  /** @type {Promise<number>} */
  const rate = new Promise((resolve) => {
    done = resolve;
  });
  const confirmation = new Uint8Array(4);
  await bus.subscribe(name, (data) => {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (view.getUint32(0) !== count) throw new Error(`message ${count} did not come`);
    if (count === 0) begin = performance.now();
    count++;
    const isLast = data[4] === 1;
    if (count % CONFIRMED === 0) bus.publish(`${name}Confirmed`, confirmation);
    if (isLast) done((count * 1000) / (performance.now() - begin));
  });
  return () => rate;
}

/** Sends announcements for some seconds. @param {Bus} bus @param {string} name @param {number} seconds */
export async function send(bus, name, seconds) {
  let room = WINDOW;
  let wake = () => {};
  await bus.subscribe(`${name}Confirmed`, () => {
    room += CONFIRMED;
    wake();
  });
  const until = performance.now() + seconds * 1000;
  for (let serial = 0; ; serial++) {
    const data = new Uint8Array(SIZE);
    new DataView(data.buffer).setUint32(0, serial);
    const isLast = serial % CONFIRMED === 0 && performance.now() > until;
    if (isLast) data[4] = 1;
    const wait = bus.publish(name, data);
    if (wait !== undefined) await wait;
    if (isLast) return;
    if (--room === 0) {
      await new Promise((resolve) => {
        wake = () => resolve(undefined);
      });
    }
  }
}

/** Sends back what comes. @param {Bus} bus */
export const echo = (bus) => bus.subscribe('Ask', (data) => void bus.publish('Answer', data));

/** The median time to the other end and back, one message at a time, in microseconds. @param {Bus} bus */
export async function roundTrip(bus) {
  let answered = () => {};
  await bus.subscribe('Answer', () => answered());
  const times = [];
  for (let at = -WARM_UP; at < ROUND_TRIPS; at++) {
    const begin = performance.now();
    const answer = new Promise((resolve) => {
      answered = () => resolve(undefined);
    });
    await bus.publish('Ask', new Uint8Array(SIZE));
    await answer;
    if (at >= 0) times.push((performance.now() - begin) * 1000);
  }
  return times.sort((a, b) => a - b)[ROUND_TRIPS >> 1] ?? 0;
}

// The workloads. The targets are KBUS's own, as ratios to another figure of the same round.

/** @import { WorkloadName } from './system.ts' */

/**
 * @typedef {object} Target  KBUS's figure ÷ that of another system, or of another workload, in the same round
 * @property {number} must
 * @property {number} goal
 * @property {string} [system]    the other system; default: the floor, if there is no other workload
 * @property {WorkloadName} [workload]  the other workload; default: the same
 * @property {'lower' | 'higher'} [better]  of the ratio; default: that of the figure
 */

/**
 * @typedef {object} Figure a number that a workload gives
 * @property {string} key    in the figures of a cell
 * @property {string} title  for the table
 * @property {string} unit
 * @property {'lower' | 'higher'} better
 * @property {Target[]} targets
 */

/**
 * @typedef {object} Workload
 * @property {WorkloadName} name
 * @property {string} title
 * @property {string} floor      the floor of this workload
 * @property {'ask' | 'announce'} shape
 * @property {number} least      least bytes of data in a message
 * @property {number} size       most bytes of data in a message
 * @property {number} names      see Place
 * @property {number} ring       see Place
 * @property {number} inFlight   requests in flight
 * @property {number} senders    sending processes
 * @property {number[]} receivers  connections in each receiving process
 * @property {[Figure, ...Figure[]]} figures  the first one compares the systems
 * @property {number} [alone]    least value of the first figure, in one process without a daemon
 */

/** The common part of mixed traffic.
 * @satisfies {Partial<Workload>} */
const mixed = /** @type {const} */ ({
  floor:
    'stream: length-prefixed frames of 44 bytes and data of the same lengths, batched by the writer, parsed and batched again by a relay, parsed by the reader',
  shape: 'announce',
  least: 16,
  size: 256,
  ring: 4096,
  inFlight: 0,
  senders: 1,
});

/** The common part of equal messages.
 * @satisfies {Partial<Workload>} */
const small = { least: 64, size: 64, names: 0, senders: 1 };

/** @param {Target[]} targets @returns {Figure} */
const rate = (...targets) => ({
  key: 'rate',
  title: 'rate',
  unit: '/s',
  better: 'higher',
  targets,
});

/** @type {Workload[]} */
export const workloads = [
  {
    ...mixed,
    name: 'mixed',
    title: 'announcements 1 → 1, 1,000 names in turn, data of 16 to 256 bytes, ordinary handlers',
    names: 1000,
    receivers: [1],
    figures: [rate({ must: 0.35, goal: 0.6 }, { system: 'nats', must: 3, goal: 6 })],
  },
  {
    ...mixed,
    name: 'mixed1',
    title: 'the same, one name',
    names: 1,
    receivers: [1],
    figures: [rate({ workload: 'mixed', better: 'lower', must: 1.5, goal: 1.15 })],
  },
  {
    ...mixed,
    name: 'mixed10',
    title: 'the same, ten names',
    names: 10,
    receivers: [1],
    figures: [rate({ workload: 'mixed', better: 'lower', must: 1.5, goal: 1.15 })],
  },
  {
    ...mixed,
    name: 'mixedawait',
    title: 'the same, 1,000 names, each outcome awaited, 256 at a time',
    names: 1000,
    receivers: [1],
    figures: [rate({ workload: 'mixed', must: 0.7, goal: 0.9 })],
  },
  {
    ...mixed,
    name: 'mixed4',
    title:
      'announcements 4 processes → 4 processes, each receives all, 1,000 names in turn, data of 16 to 256 bytes (deliveries)',
    floor:
      'stream with a copy each: the relay parses, and copies all whole frames of a batch for each connection',
    names: 1000,
    senders: 4,
    receivers: [1, 1, 1, 1],
    figures: [rate({ system: 'nats', must: 3, goal: 5 })],
  },
  {
    name: 'services',
    title: "request → reply, 64 in flight, 16 names in 4 Repliers' processes, 64-byte data",
    floor: 'relay4, with 64 frames in flight, and one process that answers',
    shape: 'ask',
    least: 64,
    size: 64,
    names: 16,
    ring: 64,
    inFlight: 64,
    senders: 1,
    receivers: [1, 1, 1, 1],
    figures: [rate({ must: 0.25, goal: 0.45 })],
  },
  {
    name: 'rtt',
    title: 'request → reply, one at a time, 64-byte data',
    floor: 'relay4: raw frames of 100 bytes, client → relay → server → relay → client, untouched',
    shape: 'ask',
    ...small,
    ring: 1,
    inFlight: 1,
    receivers: [1],
    figures: [
      {
        key: 'p50',
        title: 'p50',
        unit: 'µs',
        better: 'lower',
        targets: [{ must: 1.1, goal: 1.02 }],
      },
      {
        key: 'p99',
        title: 'p99',
        unit: 'µs',
        better: 'lower',
        targets: [{ must: 1.3, goal: 0.9 }],
      },
    ],
  },
  {
    name: 'rtt64',
    title: 'request → reply, 64 in flight, 64-byte data',
    floor: 'relay4, with 64 frames in flight',
    shape: 'ask',
    ...small,
    ring: 64,
    inFlight: 64,
    receivers: [1],
    figures: [rate({ must: 0.5, goal: 0.7 })],
  },
  {
    name: '1to1',
    title: 'announcements 1 → 1, every serial checked, 64-byte data',
    floor:
      'stream: length-prefixed frames of 100 bytes, batched by the writer, parsed and batched again by a relay, parsed by the reader',
    shape: 'announce',
    ...small,
    ring: 4096,
    inFlight: 0,
    receivers: [1],
    alone: 5_000_000,
    figures: [rate({ must: 0.5, goal: 0.75 })],
  },
  {
    name: 'fan16',
    title: 'announcements 1 → 16 receivers in 2 processes, 64-byte data (deliveries)',
    floor: 'stream with a copy each: the relay parses, and copies each frame for each connection',
    shape: 'announce',
    ...small,
    ring: 4096,
    inFlight: 0,
    receivers: [8, 8],
    figures: [rate({ must: 1, goal: 1.4 })],
  },
  {
    name: 'big',
    title: 'announcements 1 → 1, 64 KiB data',
    floor: 'stream, with 64 KiB of data in each frame',
    shape: 'announce',
    least: 65536,
    size: 65536,
    names: 0,
    senders: 1,
    ring: 64,
    inFlight: 0,
    receivers: [1],
    figures: [
      {
        key: 'megabytes',
        title: 'rate',
        unit: 'MB/s',
        better: 'higher',
        targets: [{ must: 1, goal: 1.25 }],
      },
    ],
  },
];

/** @param {WorkloadName} name */
export function workloadOf(name) {
  const workload = workloads.find((one) => one.name === name);
  if (workload === undefined) throw new Error(`unknown workload ${name}`);
  return workload;
}

/** Whether the workload sends requests. @param {WorkloadName} name */
export const asks = (name) => workloadOf(name).shape === 'ask';

/** The workloads of equal messages, for systems without mixed traffic.
 * @type {WorkloadName[]} */
export const alike = ['rtt', 'rtt64', '1to1', 'fan16', 'big'];

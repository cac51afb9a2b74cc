// What is measured. The targets are KBUS's own, as ratios to the floor of the same round.

/**
 * @typedef {object} Figure one number that a workload yields
 * @property {string} key    in what a cell returns
 * @property {string} title  for the table
 * @property {string} unit
 * @property {'lower' | 'higher'} better
 * @property {{ must: number, goal: number }} target  KBUS ÷ floor
 */

/**
 * @typedef {object} Workload
 * @property {import('./system.d.ts').WorkloadName} name
 * @property {string} title
 * @property {string} floor      what the floor is here
 * @property {'ask' | 'announce'} shape
 * @property {number} size       bytes of data in a message
 * @property {number} ring       see Place
 * @property {number} inFlight   requests in flight
 * @property {number[]} receivers  connections in each receiving process
 * @property {[Figure, ...Figure[]]} figures  the first is the one that the systems are compared by
 * @property {number} [alone]    what the first must be at least, in one process without a daemon
 */

/** @type {Workload[]} */
export const workloads = [
  {
    name: 'rtt',
    title: 'request → reply, one at a time, 64-byte data',
    floor: 'relay4: raw frames of 100 bytes, client → relay → server → relay → client, untouched',
    shape: 'ask',
    size: 64,
    ring: 1,
    inFlight: 1,
    receivers: [1],
    figures: [
      {
        key: 'p50',
        title: 'p50',
        unit: 'µs',
        better: 'lower',
        target: { must: 1.1, goal: 1.02 },
      },
      { key: 'p99', title: 'p99', unit: 'µs', better: 'lower', target: { must: 1.3, goal: 0.9 } },
    ],
  },
  {
    name: 'rtt64',
    title: 'request → reply, 64 in flight, 64-byte data',
    floor: 'relay4, with 64 frames in flight',
    shape: 'ask',
    size: 64,
    ring: 64,
    inFlight: 64,
    receivers: [1],
    figures: [
      {
        key: 'rate',
        title: 'rate',
        unit: '/s',
        better: 'higher',
        target: { must: 0.5, goal: 0.7 },
      },
    ],
  },
  {
    name: '1to1',
    title: 'announcements 1 → 1, every serial checked, 64-byte data',
    floor:
      'stream: length-prefixed frames of 100 bytes, batched by the writer, parsed and batched again by a relay, parsed by the reader',
    shape: 'announce',
    size: 64,
    ring: 4096,
    inFlight: 0,
    receivers: [1],
    alone: 5_000_000,
    figures: [
      {
        key: 'rate',
        title: 'rate',
        unit: '/s',
        better: 'higher',
        target: { must: 0.5, goal: 0.75 },
      },
    ],
  },
  {
    name: 'fan16',
    title: 'announcements 1 → 16 receivers in 2 processes, 64-byte data (deliveries)',
    floor: 'stream with a copy each: the relay parses, and copies each frame for each connection',
    shape: 'announce',
    size: 64,
    ring: 4096,
    inFlight: 0,
    receivers: [8, 8],
    figures: [
      { key: 'rate', title: 'rate', unit: '/s', better: 'higher', target: { must: 1, goal: 1.4 } },
    ],
  },
  {
    name: 'big',
    title: 'announcements 1 → 1, 64 KiB data',
    floor: 'stream, with 64 KiB of data in each frame',
    shape: 'announce',
    size: 65536,
    ring: 64,
    inFlight: 0,
    receivers: [1],
    figures: [
      {
        key: 'megabytes',
        title: 'rate',
        unit: 'MB/s',
        better: 'higher',
        target: { must: 1, goal: 1.25 },
      },
    ],
  },
];

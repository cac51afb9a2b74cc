// The messages of a soak over Node's IPC channel, and the first argument of each program.

/** Work for a round; rest until all messages are read; report; exit. */
export interface Told {
  what: 'work' | 'rest' | 'sample' | 'stop';
}

/** An error that ends the program. */
export interface Failed {
  failed: string;
}

export interface ClientStart {
  directory: string;
  role: 'mix' | 'sender' | 'listener';
  number: number;
  seed: number;
  /** The number of operations in a round. */
  work: number;
}

/** The number of operations in a round, and the times of its Requests in ms. */
export interface Worked {
  operations: number;
  latencies: number[];
}

export type ClientSaid = { open: true } | { worked: Worked } | { resting: number } | Failed;

export interface DaemonStart {
  directory: string;
  /** The first serial number and Ksock id of its bus. */
  serial: number;
  ksock: number;
}

/** Of the daemon, while the programs rest. */
export interface Standing {
  rss: number;
  heap: number;
  external: number;
  resources: number;
  ksocks: number;
  queued: number;
  serial: number;
}

export type DaemonSaid = { serving: true } | { sample: Standing } | Failed;

/** One round. */
export interface Sample extends Standing {
  seconds: number;
  latency: number;
}

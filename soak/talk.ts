// What the programs of a soak are told and say, over Node's IPC channel; and how each starts: by its first argument.

/** It works for a round; it waits until all is read; it tells how it stands; it ends. */
export interface Told {
  what: 'work' | 'rest' | 'sample' | 'stop';
}

/** Why it can't go on. */
export interface Failed {
  failed: string;
}

export interface ClientStart {
  directory: string;
  role: 'mix' | 'sender' | 'listener';
  number: number;
  seed: number;
  /** How much it does in a round. */
  work: number;
}

/** What it did in a round, and how long its Requests took, in ms. */
export interface Worked {
  operations: number;
  latencies: number[];
}

export type ClientSaid = { open: true } | { worked: Worked } | { resting: number } | Failed;

export interface DaemonStart {
  directory: string;
  /** The numbers that its bus begins with. */
  serial: number;
  ksock: number;
}

/** Of the daemon, when everybody rests. */
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

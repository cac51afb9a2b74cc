import type { Announced, Asked, Heard } from '../dist/measure/index.js';

/** The messages of a process of a cell (role.mjs) to its parent. */
export type Said =
  /** It is ready for messages: its process id, or that of the program that it started. */
  | { ready: number }
  /** Latencies of the requests in µs, if only one was in flight. */
  | { asked: Asked; p50: number | null; p99: number | null }
  | { announced: Announced }
  /** Sent on request, and by itself when the last message has reached all its connections (`ended`). */
  | { heard: Heard[]; ended: boolean }
  /** It has failed, for this reason, and exits. */
  | { failed: string };

/** The messages to it. */
export type Order =
  /** For this many milliseconds. */
  { ask: number; inFlight: number } | { announce: number } | { tell: true };

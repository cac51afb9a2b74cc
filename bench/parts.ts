import type { Announced, Asked, Heard } from '../dist/measure/index.js';

/** What a process of a cell (role.mjs) says to the one that conducts it. */
export type Said =
  /** It can be sent to: its process id, or that of the program it started. */
  | { ready: number }
  /** And how long the requests took, in µs; only when one was in flight. */
  | { asked: Asked; p50: number | null; p99: number | null }
  | { announced: Announced }
  /** Said when it is told to, and without being told when the last message has reached all its connections (`ended`). */
  | { heard: Heard[]; ended: boolean }
  /** Why it can't go on; then it exits. */
  | { failed: string };

/** What it is told. */
export type Order =
  /** For so many milliseconds. */
  { ask: number; inFlight: number } | { announce: number } | { tell: true };

import type { AnnounceRun, AskRun, Heard } from './measure.mjs';

/** What a process of a cell (role.mjs) says to the one that conducts it. */
export type Said =
  /** It can be sent to: its process id, or that of the program it started. */
  | { ready: number }
  | { asked: AskRun }
  | { announced: AnnounceRun }
  /** Said when it is told to, and without being told when the last message has reached all its connections (`ended`). */
  | { heard: Heard[]; ended: boolean }
  /** Why it can't go on; then it exits. */
  | { failed: string };

/** What it is told. */
export type Order =
  /** For so many seconds. */
  { ask: number; inFlight: number } | { announce: number } | { tell: true };

/** That which has this key. */
export type SaidWith<K extends string> = Extract<Said, Record<K, unknown>>;

import { totalmem } from 'node:os';
import process from 'node:process';
import { getHeapStatistics } from 'node:v8';

/** Part of the machine's memory, and of what V8 may use for objects, that the programs at a daemon may hold together. */
const MACHINE_PART = 0.5;
const HEAP_PART = 0.6;

/**
 * How many bytes the programs at a daemon may hold together, unless it is told otherwise: so that KBUS refuses more before
 * V8 or the system end the process.
 */
export function defaultMaxMemory(): number {
  const constrained = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  const machine = Math.min(totalmem(), constrained) * MACHINE_PART;
  return Math.floor(Math.min(machine, getHeapStatistics().heap_size_limit * HEAP_PART));
}

import process from 'node:process';
import { setFlagsFromString } from 'node:v8';

/** The newest Node that is known to have the flags; for an unknown flag, V8 prints an error. */
const NEWEST_KNOWN_NODE = 26;

function setFlag(flag: string): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major <= NEWEST_KNOWN_NODE) setFlagsFromString(flag);
}

/**
 * Keeps V8's young generation at its initial 2 MiB. By default it grows to 32 MiB (64 with Node 26), and V8 never returns
 * that memory. A daemon keeps unread messages and little else: it is no slower with 2 MiB, and each Ksock takes 2.6 KiB
 * less.
 */
export function keepYoungMemorySmall(): void {
  setFlag('--semi-space-growth-factor=1');
}

/**
 * Lets V8 free dead buffers in the collection that finds them. By default a thread of its own frees them, and V8 counts them
 * until the next collection: so a process through which many bytes pass is at V8's limit for buffers again and again, and each
 * time V8 marks all of its heap. A Limpet then takes about 1.5 times the CPU time.
 */
export function freeBuffersAtOnce(): void {
  setFlag('--no-concurrent-array-buffer-sweeping');
}

import process from 'node:process';
import { setFlagsFromString } from 'node:v8';

/** The newest Node of which it is known that it has the flag; of one that it doesn't have, V8 complains. */
const NEWEST_KNOWN = 26;

/**
 * Keeps the memory in which V8 puts what is new as small as it begins, which is 2 MiB; else it grows to 32 (with
 * Node 26, 64), and is never given back. A daemon keeps what is unread, and little else: it is no slower for it, and
 * each Ksock takes 2.6 KiB less.
 */
export function keepYoungMemorySmall(): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major <= NEWEST_KNOWN) setFlagsFromString('--semi-space-growth-factor=1');
}

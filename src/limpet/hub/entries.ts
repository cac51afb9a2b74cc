import type { BatchEntry, Entry } from './frame.ts';

// Streams have single messages, and batches: what is the same of both.

/** What it costs to keep an entry, beside its name and data, in bytes: about as measured. */
const ENTRY_BYTES = 256;

export type AnyEntry = Entry | BatchEntry;

export function isBatch(entry: AnyEntry): entry is BatchEntry {
  return 'batch' in entry;
}

/** How many messages it has. */
export function countOf(entry: AnyEntry): number {
  return isBatch(entry) ? entry.batch.count : 1;
}

/** The number after its last one. */
export function endOf(entry: AnyEntry): number {
  return entry.n + countOf(entry);
}

/** How many entries up to its last one are for listeners. */
export function heardOf(entry: AnyEntry): number {
  return isBatch(entry) ? entry.heard + entry.batch.count - 1 : entry.heard;
}

/** The same without what comes before number `n`; some must be left. */
export function fromNumber(entry: AnyEntry, n: number): AnyEntry {
  const before = n - entry.n;
  if (before <= 0 || !isBatch(entry)) return entry;
  return { n, heard: entry.heard + before, batch: entry.batch.from(before) };
}

/** Its messages, each as an entry. */
export function* singly(entry: AnyEntry): Generator<Entry> {
  if (!isBatch(entry)) {
    yield entry;
    return;
  }
  let { n, heard } = entry;
  for (const message of entry.batch.messages()) {
    yield { n: n++, heard: heard++, message, dest: null, answers: 0, refusal: 0, after: 0 };
  }
}

/** Bytes of what it carries. */
function sizeOf(entry: AnyEntry): number {
  return isBatch(entry) ? entry.batch.size : entry.message.dataSize;
}

/** What it takes while it is kept, in bytes. */
export function bytesOf(entry: AnyEntry): number {
  return ENTRY_BYTES + sizeOf(entry) + (isBatch(entry) ? 0 : entry.message.name.length);
}

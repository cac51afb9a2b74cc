import type { RecordBatch } from '../../message/record-batch.ts';
import type { Refused } from './port.ts';

/**
 * Reads and sends Announcements over a port in batches. Only Limpets do, so it is no part of the port, which pages have, too.
 */
export interface RecordBatches {
  /** Takes the Announcements at the front of the queue that may be in one batch; null if the next message is none. */
  next(): RecordBatch | null;

  /** Posts messages of another bus, as the `post` of a port does. All calls must give the same `refused`. */
  post(batch: RecordBatch, wait: boolean, refused: Refused): boolean;
}

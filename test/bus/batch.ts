import { expect } from 'vitest';
import { MessageBatch } from '../../src/bus/message-batch.ts';
import { checkRecords } from '../../src/message/codec/records.ts';
import type { MessageOptions } from '../../src/message/fields.ts';
import { Message } from '../../src/message/message.ts';
import { record, same } from '../support/frames.ts';

/** A batch of messages, as a driver makes it of their records, in memory with other bytes. */
export function batchOf(records: readonly Buffer[], before = 5): MessageBatch {
  const length = records.reduce((sum, one) => sum + one.length, 0);
  const bytes = new Uint8Array(before + length + 9).fill(0xee);
  bytes.set(Buffer.concat(records), before);
  const sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };
  expect(checkRecords(bytes, before, length, records.length, 0, sums)).toBe('');
  return MessageBatch.ofRecords(bytes, before, before + length, records.length, sums, null);
}

/** A batch of messages that differ only in their data. */
export function alike(
  name: string,
  data: readonly string[],
  options: Omit<MessageOptions, 'id'> = {},
): MessageBatch {
  const [first = '', ...more] = data;
  return batchOf([record(new Message(name, first, options)), ...more.map(same)]);
}

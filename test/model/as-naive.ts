import type { MessageBatch } from '../../src/bus/index.ts';
import type { NaiveMessage } from './naive-bus.ts';

const latin1 = new TextDecoder('latin1');

/** Converts a message of the engine to one of the model. */
export function asNaive(batch: MessageBatch): NaiveMessage {
  return {
    network: batch.idNetwork,
    serial: batch.idSerial,
    replyNetwork: batch.replyNetwork,
    replySerial: batch.replySerial,
    to: batch.to,
    from: batch.from,
    origFrom: [batch.carried?.origNetwork ?? 0, batch.carried?.origLocal ?? 0],
    finalTo: [batch.carried?.finalNetwork ?? 0, batch.carried?.finalLocal ?? 0],
    flags: batch.flags,
    name: batch.name,
    // Large data may lie in several pieces.
    data: latin1.decode(batch.copyData()),
  };
}

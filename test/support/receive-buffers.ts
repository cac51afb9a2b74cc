import { Memory } from '../../src/bus/memory.ts';
import { Work } from '../../src/bus/work.ts';
import { Chunks } from '../../src/daemon/chunks.ts';
import { ReceiveBuffers } from '../../src/daemon/receive-buffers.ts';
import { ReceivePools } from '../../src/daemon/receive-pools.ts';

/** Those of a daemon to which nothing comes but what the test sends. */
export function receiveBuffers(): ReceiveBuffers {
  const chunks = new Chunks(new Memory(Number.MAX_SAFE_INTEGER), new Work());
  return new ReceiveBuffers(() => {}, new ReceivePools(chunks));
}

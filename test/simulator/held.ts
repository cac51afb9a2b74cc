import type { Bus } from '../../src/bus/bus.ts';
import type { MessageBatch } from '../../src/bus/message-batch.ts';
import { COSTS, costOfBinding } from '../../src/bus/settings.ts';
import type { Session } from '../../src/daemon/session.ts';

/** What a session keeps of the sends of its client. */
interface Insides {
  readonly parts: {
    readonly ksock: { readonly driverBytes: number };
    readonly sends: {
      readonly head: number;
      readonly behind: readonly MessageBatch[];
      readonly requests: {
        readonly lines: ReadonlyMap<unknown, ReadonlyMap<number, MessageBatch>>;
      };
    };
  } | null;
}

/** All that a bus and its sessions hold in memory, in bytes, added up (spec 1 §14.1). */
export function heldBy(bus: Bus, sessions: Iterable<Session>): number {
  const batches = new Set<MessageBatch>();
  let bytes = bus.memory.slack + (bus.routes as unknown as { keptBytes: number }).keptBytes;
  for (const { queue, outstanding, sending } of bus.ksocks.values()) {
    for (let entry = 0; entry < queue.entries; entry++) batches.add(queue.batch(entry));
    bytes += queue.entries * COSTS.place + outstanding.size * COSTS.request + COSTS.ksock;
    if (sending !== null) bytes += sending.cost + COSTS.waiting;
  }
  for (const batch of batches) bytes += batch.cost;
  for (const { name } of bus.routes) bytes += costOfBinding(name);
  for (const session of sessions) {
    const { parts } = session as unknown as Insides;
    if (session.isSilent) bytes += COSTS.connection;
    if (parts === null) continue;
    const { ksock, sends } = parts;
    bytes += ksock.driverBytes;
    for (const batch of sends.behind.slice(sends.head)) bytes += batch.cost + COSTS.waiting;
    for (const line of sends.requests.lines.values()) {
      for (const batch of line.values()) bytes += batch.cost + COSTS.waiting;
    }
  }
  return bytes;
}

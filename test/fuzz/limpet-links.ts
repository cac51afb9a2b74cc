import { strictEqual } from 'node:assert';
import { QUIET_BUS } from '../../harness/quiet-bus.mjs';
import type { Random } from '../../harness/random.mjs';
import { BadMessage } from '../../src/limpet/errors.ts';
import { ClassicPort } from '../../src/limpet/hub/classic-port.ts';
import { Hub } from '../../src/limpet/hub/hub.ts';
import { RecentIds } from '../../src/limpet/hub/recent-ids.ts';
import { decodeClassic, encodeClassic } from '../../src/limpet/link/classic-codec.ts';
import { Connection } from '../../src/limpet/link/connection.ts';
import type { Wire } from '../../src/limpet/link/wire.ts';
import { cut } from './mutate.ts';

/** The most that a link may write in answer to a peer's bytes. */
const MAX_ANSWER = 64 * 1024 * 1024;

class Drain implements Wire {
  backlog = 0;
  written = 0;
  isEnded = false;

  write(...pieces: Uint8Array[]): void {
    for (const { length } of pieces) this.written += length;
    if (this.written > MAX_ANSWER) throw new Error(`${this.written} bytes were written`);
  }

  pause(): void {}
  resume(): void {}
  end(): void {
    this.isEnded = true;
  }
  destroy(): void {
    this.isEnded = true;
  }
}

/** A Limpet that meets a peer with these bytes: the link may end, with a reason, and nothing else may happen. */
export function feedLimpet(bytes: Uint8Array, random: Random): void {
  const address = { id: 1, life: 7 };
  let closed = '';
  let connection: Connection | null = null;
  const hub = new Hub(
    { address, maxBytes: 1_000_000, forgetAfter: 10 },
    {
      ...QUIET_BUS,
      sendBatch: (batch) => {
        for (const message of batch.messages()) strictEqual(String(message).length > 0, true);
      },
      bind: (name) => hub.bound(name, true),
      transmit: (_link, frame) => connection?.send(frame) ?? true,
    },
  );
  hub.joinBus(1);
  const greeting = {
    isClassic: false,
    isSibling: false,
    number: 0,
    federation: 0,
    out: ['$.*'],
    in: ['$.*'],
    limit: null,
  };
  connection = new Connection(
    { ...greeting, isServer: true },
    {
      address,
      bus: 'a bus',
      now: () => 0,
      refuse: ({ id, bus }) => (id === 1 || bus === 'a bus' ? 'no' : ''),
      linkUp: (_connection, link) => hub.linkUp(link),
      received: (link, frame) => hub.received(link, frame),
      drained: () => {},
      flush: () => hub.flush(),
      refuseClassic: (id) => (id === 1 ? 'no' : ''),
      classicUp: (to, id) => {
        const port = new ClassicPort(id, hub, new RecentIds(), greeting, {
          write: (message) => to.sendClassic(message),
          warn: () => {},
          send: (_message, refused) => refused(99),
        });
        hub.addClassic(port);
        return port;
      },
      closed: (_connection, why) => {
        closed = why;
      },
    },
  );
  const wire = new Drain();
  connection.begin(wire);
  for (const piece of cut(random, bytes, 'any')) if (!wire.isEnded) connection.received(piece);
  connection.tick();
  hub.tick();
  connection.closed('');
  strictEqual(closed !== '', true, 'the link ends without a reason');
  if (connection.link !== null) hub.linkDown(connection.link);
  connection.classic?.lost();
  strictEqual(hub.neighbours.links.size + hub.classics.size, 0, 'a link is left');
}

/** A message of a classic link: what is decoded is encoded to the same. */
export function feedClassicMessage(bytes: Uint8Array): void {
  try {
    const decoded = decodeClassic(bytes);
    if (typeof decoded === 'number') return;
    const again = decodeClassic(encodeClassic(decoded.message));
    if (typeof again === 'number') throw new Error('it is not whole any more');
    strictEqual(String(again.message), String(decoded.message));
  } catch (error) {
    if (!(error instanceof BadMessage)) throw error;
  }
}

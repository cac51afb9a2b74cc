import { beforeEach, describe } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { BusSettings } from '../../src/bus/settings.ts';
import { Ksock } from '../../src/client/ksock.ts';
import type { Limpet } from '../../src/limpet/limpet.ts';
import type { Connection } from '../../src/limpet/link/connection.ts';
import type { Mode } from '../../src/message/calls.ts';
import { goingAway } from '../conformance/going-away.ts';
import { messages } from '../conformance/messages.ts';
import { names } from '../conformance/names.ts';
import { staged } from '../conformance/original.ts';
import { promises } from '../conformance/promises.ts';
import { sending } from '../conformance/sending.ts';
import type { Place, Transport } from '../conformance/transport.ts';
import { Bowls, LINK_KINDS, type LinkKind } from './bowls.ts';

// The rules of spec 1, with a test's Ksocks in turn on two joined buses: the sender's on one, the recipients' on the other.

/** Calls that others hear of. */
const TOLD = new Set([
  'bind',
  'unbind',
  'sendMsg',
  'send',
  'close',
  'waitForMsg',
  'readNextMsg',
  'nextMsg',
  'discard',
]);

class JoinedPlace implements Place<Ksock> {
  readonly bus = null;
  private readonly bowls = new Bowls();
  private readonly buses: [Bus, Bus];
  private readonly kind: LinkKind;
  private opened = 0;

  constructor(kind: LinkKind, settings: Partial<BusSettings>) {
    this.kind = kind;
    this.buses = [new Bus(settings), new Bus(settings)];
  }

  async join(): Promise<this> {
    const [one, other] = this.buses;
    await this.bowls.join(one, other, this.kind);
    await this.quiet();
    return this;
  }

  /** Waits until the Limpets have nothing to do: nothing is unread, on its way, or unacknowledged by the other bus. */
  private async quiet(): Promise<void> {
    for (let calm = 0; calm < 6; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const { limpets } = this.bowls;
      const isBusy =
        limpets.some((limpet, at) => isAtWork(limpet, this.buses[at] as Bus)) ||
        isOnItsWay(limpets) ||
        isInStream(limpets);
      calm = isBusy ? 0 : calm + 1;
    }
  }

  async open(mode: Mode = 'rw', number = 0): Promise<Ksock> {
    if (number !== 0) return Ksock.open(number);
    const bus = this.buses[this.opened++ % 2] as Bus;
    const ksock = await this.bowls.open(bus, { mode, onMissed: () => {} });
    return new Proxy(ksock, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...given: unknown[]) => {
          const result = value.apply(target, given);
          try {
            return await result;
          } finally {
            if (TOLD.has(String(name))) await this.quiet();
          }
        };
      },
    });
  }

  async bindings(): Promise<string> {
    return '';
  }

  async stats(): Promise<string> {
    return '';
  }

  close(): Promise<void> {
    return this.bowls.end();
  }
}

/** What no program sees of a Limpet. */
interface Inside {
  readonly life: { readonly side: { readonly port: { readonly ksockId: number } } };
  readonly connections: ReadonlyMap<Connection, unknown>;
}

const inside = (limpet: Limpet): Inside => limpet as unknown as Inside;

const isAtWork = (limpet: Limpet, bus: Bus): boolean =>
  (bus.ksocks.get(inside(limpet).life.side.port.ksockId)?.numMessages ?? 0) > 0;

/** Whether a Limpet has sent bytes that the other one has not received. */
function isOnItsWay(limpets: readonly Limpet[]): boolean {
  const sum = (count: 'bytesSent' | 'bytesReceived') =>
    limpets
      .flatMap((limpet) => [...inside(limpet).connections.keys()])
      .reduce((all, connection) => all + connection[count], 0);
  return sum('bytesSent') !== sum('bytesReceived');
}

/** Whether a Limpet has not stored its Announcements yet, or not read those of the other one. */
function isInStream(limpets: readonly Limpet[]): boolean {
  const links = limpets.flatMap((limpet) => limpet.report().links);
  const streams = links.flatMap(({ stream }) => stream ?? []);
  const positions = new Set(streams.map(({ position }) => position));
  return positions.size > 1 || streams.some(({ waiting }) => waiting > 0);
}

const joinedBy = (kind: LinkKind): Transport<Ksock> => ({
  name: `on two buses joined by ${kind.name}`,
  hasNumbers: false,
  place: (settings = {}) => new JoinedPlace(kind, settings).join(),
});

/** What does not carry over, by why: docs/limpets.md has the same list. */
const DOES_NOT_CARRY_OVER: Record<string, readonly RegExp[]> = {
  'one order of all messages': [
    /^Every recipient of messages on one bus/,
    /^The bindings go between the two/,
  ],
  'a full queue of another bus': [
    /^A Replier never misses a Request/,
    /^A Listener may miss a message/,
    /^A send either fails at once/,
    /queue full.*nothing is delivered/,
  ],
  'the ids of Ksocks and messages': [
    /^Buses are numbered 0/,
    /^Each Ksock has an id/,
    /^An id is printed/,
    /^A message sent with (?:network_id 0|a non-zero)/,
    /^A send that got as far as being given an id/,
    /^Every message that KBUS itself makes/,
    /^from is the sender's Ksock id/,
    /^A Status is a Reply made by KBUS/,
    /^A Status goes to its requester only/,
    /^A Reply goes to the requester/,
    /^spec 1 §6.3/,
    /^spec 1 §6.6: A stateful Request to the Replier that is bound/,
    /^An Announcement that nobody listens for/,
    /^In this order: every unread Request/,
    /^The order is that in which/,
    /^New: a \*stateful\* Request lost/,
    /^New: KBUS feeds no Statuses/,
  ],
  'what another bus knows: its Ksocks, bindings, settings and open Requests': [
    /^Nothing passes between two buses/,
    /larger than the bus/,
    /Request and no Replier matches' →/,
    /stateful Request and the matching Rep.* →/,
    /Reply: requester n.* →/,
    /^spec 1 §6.5: The Replier can answer a Request before/,
    /^KBUS forgets the outstanding Requests that the Ksock itself sent/,
    /^Requests whose requester has closed/,
    /^New: KBUS does not answer a Request twice/,
  ],
};

describe.each(LINK_KINDS)('on two buses joined by $name: what carries over of spec 1', (kind) => {
  const exceptions = Object.values(DOES_NOT_CARRY_OVER).flat();
  beforeEach(({ task, skip }) => {
    if (exceptions.some((name) => name.test(task.name))) skip();
  });
  const stage = staged(joinedBy(kind));
  promises(stage);
  names(stage);
  messages(stage);
  sending(stage);
  goingAway(stage);
});

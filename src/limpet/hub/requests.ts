import { codeOf, Errno } from '../../message/errno.ts';
import { Head } from '../../message/head.ts';
import { MessageId, OrigFrom } from '../../message/id.ts';
import { Message } from '../../message/message.ts';
import { type Address, keyOf } from './address.ts';
import type { ClassicLink } from './classic-link.ts';
import type { Entry } from './frame.ts';
import { GONE_AWAY, LINK_LOST, NOT_SAME_KSOCK, NOT_SENT, REMOTE_ERROR } from './names.ts';
import { NOT_CARRIED, type Passage } from './passage.ts';
import type { Repliers } from './repliers.ts';
import type { Streams } from './streams.ts';
import type { KnownHub, Topology } from './topology.ts';

/** A Request of this bus that another Limpet gets answered. */
interface PendingRequest {
  readonly key: string;
  readonly network: number;
  readonly serial: number;
  readonly from: number;
}

/** A Request of another Limpet that this bus answers. */
interface AskedRequest {
  /** null: a classic Limpet, whose port knows the Request. */
  readonly origin: Address | null;
  readonly n: number;
}

/** What the Requests need of their hub. */
export interface RequestsHost {
  readonly address: Address;
  readonly topology: Topology;
  readonly streams: Streams;
  readonly repliers: Repliers;
  readonly passage: Passage;
  readonly counts: { sent: number; received: number; refused: number; late: number };
  /** The id of the Limpet's Ksock; 0 while another Limpet speaks for the bus. */
  readonly ksock: number;
  /** Whether the Limpet hears this one, and is heard. */
  mayAsk(key: string): boolean;
  /** Sends a Request on the bus; calls `refused` if the bus refuses it. */
  send(request: Message, refused: (errno: number) => void): void;
  /** Sends a Reply on the bus. */
  reply(message: Message): void;
  flush(): void;
}

/** The Requests that cross, in both directions, until each has its one answer (spec 3 §7.3). */
export class Requests {
  private readonly hub: RequestsHost;
  /** Those of this bus, by number in the own stream. */
  private readonly pending = new Map<number, PendingRequest>();
  /** Those of other buses, by `network:serial`. */
  private readonly asked = new Map<string, AskedRequest>();

  constructor(hub: RequestsHost) {
    this.hub = hub;
  }

  /** How many of this bus wait for an answer from another Limpet. */
  get inFlight(): number {
    return this.pending.size;
  }

  // Requests of this bus

  /** The bus has given this Limpet a Request to answer. */
  askedByBus(message: Message): void {
    const { head, idSerial: serial, from } = message;
    const { idNetwork: network, name } = head;
    const before = from === this.hub.ksock ? this.asked.get(`${network}:${serial}`) : undefined;
    // A copy for listeners, which is forgotten already.
    if (from === this.hub.ksock && before === undefined) return;
    const request = { network, serial, from };
    const { finalTo } = head;
    if (finalTo.networkId === this.hub.address.id) {
      this.answer(request, NOT_SAME_KSOCK);
      return;
    }
    const provider = this.providerFor(name, finalTo);
    if (provider === null) {
      this.answer(request, NOT_SENT);
    } else if (before !== undefined && before.origin !== null && !('classic' in provider)) {
      // Its Replier is gone, and the next one is on another bus, where it was heard already.
      this.answer(request, `${REMOTE_ERROR}EADDRNOTAVAIL`);
    } else if ('classic' in provider) {
      (provider as ClassicLink).ask(this.hub.passage.carried(message), network, serial);
    } else {
      const { hub, key } = provider;
      const entry = this.hub.streams.append(this.hub.passage.carried(message), hub);
      // To spread `request` would take longer than all else here.
      this.pending.set(entry.n, { key, network, serial, from });
      this.hub.counts.sent++;
    }
  }

  /** Who gets a Request answered: for a stateful one, the Limpet that it names, if that is one of ours. */
  private providerFor(name: string, finalTo: OrigFrom): KnownHub | ClassicLink | null {
    if (finalTo.networkId !== 0) {
      for (const known of this.hub.topology.hubs.values()) {
        if (known.hub.id !== finalTo.networkId) continue;
        if (this.hub.topology.paths.has(known.key) && this.hub.mayAsk(known.key)) return known;
      }
      for (const { hub } of this.hub.topology.hubs.values()) {
        if (hub.id === finalTo.networkId) return null;
      }
    }
    const provider = this.hub.repliers.choose(name);
    if (provider === null) return null;
    return 'classic' in provider ? (provider as ClassicLink) : provider.hub;
  }

  /** Answers a Request of this bus. */
  answer(
    { network, serial, from }: Omit<PendingRequest, 'key'>,
    status: string,
    message?: Message,
  ): void {
    const head = new Head(
      status,
      message === undefined ? 0 : message.flags & ~NOT_CARRIED,
      from,
      0,
      network,
      serial,
      message?.origFrom,
    );
    this.hub.reply(new Message(status, message?.data, head as never));
  }

  /**
   * The bus has refused an answer: that was too large for it, or had to reach full queues, too. A Status has room, unless nobody waits
   * any more.
   */
  answerRefused(errno: number, { inReplyTo, name, to: from }: Message): void {
    if (name.startsWith(REMOTE_ERROR)) return;
    const { networkId: network, serialNum: serial } = inReplyTo;
    this.answer({ network, serial, from }, `${REMOTE_ERROR}${codeOf(errno) ?? 'EINVAL'}`);
  }

  /** Answers Requests whose Limpet is out of reach. */
  answerLost(isLost: (key: string) => boolean): void {
    for (const [n, request] of this.pending) {
      if (!isLost(request.key)) continue;
      this.pending.delete(n);
      const wasSent = n < this.hub.streams.sentBefore;
      this.hub.streams.own.withdraw(n);
      this.answer(request, wasSent ? LINK_LOST : NOT_SENT);
    }
  }

  // Requests of other buses

  /** Another Limpet has answered a Request of this bus. */
  answered(origin: Address, { message, answers }: Entry): void {
    const request = this.pending.get(answers);
    if (request === undefined || request.key !== keyOf(origin)) {
      this.hub.counts.late++;
      return;
    }
    this.pending.delete(answers);
    this.hub.counts.received++;
    this.answer(request, message.name, message);
  }

  /** Sends a Request of another bus on this one, and remembers whom its answer is for. */
  carryOut(origin: Address, { n, message, refusal }: Entry): void {
    const refuse = (status: string): void => this.answerTo(origin, n, status);
    if (refusal !== 0 || this.hub.ksock === 0) {
      refuse(`${REMOTE_ERROR}${codeOf(refusal || Errno.EADDRNOTAVAIL)}`);
      return;
    }
    const { finalTo } = message.head;
    let { to } = message.head;
    if (to !== 0) {
      const isHere = finalTo.networkId === this.hub.address.id;
      to = isHere ? finalTo.localId : this.hub.repliers.binderOf(message.name);
      if (to === 0) {
        refuse(GONE_AWAY);
        return;
      }
    }
    const request = this.hub.passage.sendable(message, to);
    let serial = request.idSerial;
    const { idNetwork } = request.head;
    // An earlier run of the other bus may have used the id for a Request that still waits for its answer.
    while (this.asked.has(`${idNetwork}:${serial}`)) serial = (serial + 0x8000_0001) >>> 0;
    if (serial !== request.idSerial) request.id = new MessageId(idNetwork, serial);
    const key = `${idNetwork}:${serial}`;
    this.asked.set(key, { origin, n });
    this.hub.send(request, (errno) => {
      if (!this.asked.delete(key)) return;
      this.hub.counts.refused++;
      if (errno === Errno.ECONNRESET) refuse(LINK_LOST);
      else refuse(to === 0 ? `${REMOTE_ERROR}${codeOf(errno)}` : statefulRefusal(errno));
      this.hub.flush();
    });
  }

  /** A Reply was heard on the bus. False if it answers no Request of a native Limpet. */
  heardReply(message: Message): boolean {
    const { replyNetwork, replySerial } = message.head;
    const key = `${replyNetwork}:${replySerial}`;
    const request = message.head.to === this.hub.ksock ? this.asked.get(key) : undefined;
    if (request !== undefined) this.asked.delete(key);
    if (request === undefined || request.origin === null) return false;
    this.hub.counts.sent++;
    const { origFrom } = message;
    const from =
      origFrom.networkId !== 0 ? origFrom : new OrigFrom(this.hub.address.id, message.from);
    this.answerTo(request.origin, request.n, message.name, message, from);
    return true;
  }

  private answerTo(
    origin: Address,
    n: number,
    name: string,
    reply?: Message,
    origFrom?: OrigFrom,
  ): void {
    const flags = (reply?.flags ?? 0) & ~NOT_CARRIED;
    this.hub.streams.append(new Message(name, reply?.data, { flags, origFrom }), origin, n);
  }

  /** A classic Limpet asks this bus. */
  askForClassic({ head, idSerial }: Message): void {
    this.asked.set(`${head.idNetwork}:${idSerial}`, { origin: null, n: 0 });
  }

  classicRefused({ head, idSerial }: Message): void {
    this.asked.delete(`${head.idNetwork}:${idSerial}`);
  }
}

function statefulRefusal(errno: number): string {
  if (errno === Errno.EPIPE) return NOT_SAME_KSOCK;
  return errno === Errno.EADDRNOTAVAIL ? GONE_AWAY : `${REMOTE_ERROR}${codeOf(errno)}`;
}

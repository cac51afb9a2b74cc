import { splitReplierBindEventData } from '../../message/bind-event.ts';
import { codeOf, Errno } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import { Head } from '../../message/head.ts';
import { MessageId, OrigFrom } from '../../message/id.ts';
import { Message, REPLIER_BIND_EVENT } from '../../message/message.ts';
import { type Address, isSame, keyOf } from './address.ts';
import type { ClassicLink } from './classic-link.ts';
import type { Entry, Frame, LinkState } from './frame.ts';
import {
  GONE_AWAY,
  LIMPET_NAMES,
  LINK_LOST,
  MISSED,
  NOT_SAME_KSOCK,
  NOT_SENT,
  REMOTE_ERROR,
} from './names.ts';
import { Filter } from './patterns.ts';
import { RecentIds } from './recent-ids.ts';
import { Repliers } from './repliers.ts';
import { type Inflow, type Link, Streams } from './streams.ts';
import { federationAddress, type KnownHub, Topology } from './topology.ts';

/** Flags that a message loses when a Limpet sends it: only the bus sets them. */
const OF_KBUS = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

/** A Request or Reply loses this one too: it would hold up all that comes behind it. An Announcement waits a while. */
const NOT_CARRIED = OF_KBUS | Flag.ALL_OR_WAIT;

/** For so many senders of one name, the hub keeps the heads of their messages. */
const MAX_SENDERS = 8;

/** A Limpet of the same id must be in reach for this many ticks: an earlier run of this one soon is not. */
const TICKS_TO_WARN = 5;

const UNBIND_EVENTS_LOST = '$.KBUS.UnbindEventsLost';

/** How the hub reaches its bus and its links. It calls back only with the events of {@link Hub}. */
export interface HubHost {
  /** Sends a message on the bus, and lets one with ALL_OR_WAIT wait a while; calls `refused` if the bus refuses it. */
  send(message: Message, refused: ((errno: number) => void) | null): void;
  /** Sends a Reply on the bus. */
  reply(message: Message): void;
  /** Sends a Request for listeners only: its Replier is this Limpet, which forgets it when it comes back. */
  copy(message: Message, refused: () => void): void;
  /** Binds a name as Replier; {@link Hub.bound} has the result. */
  bind(name: string): void;
  unbind(name: string): void;
  /** Reads the Repliers of the bus anew, for {@link Hub.localRepliers}. */
  readRepliers(): void;
  /** Stops reading from the bus, or goes on. */
  pause(isPaused: boolean): void;
  /** Sends a frame over a native link. False if the peer reads slowly; then {@link Hub.drained} follows. */
  transmit(link: Link, frame: Frame): boolean;
  warn(text: string): void;
}

export interface HubOptions {
  readonly address: Address;
  /** How many bytes of messages to keep for Limpets that are out of reach or slow. */
  readonly maxBytes: number;
  /** After how many ticks to forget a Limpet that is out of reach. */
  readonly forgetAfter: number;
}

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

/** Counts, from the start of the Limpet on. */
export interface HubCounts {
  /** Messages of this bus passed on, and messages of others delivered here. */
  sent: number;
  received: number;
  /** Messages for this bus, or from it, that are lost. */
  missed: number;
  /** Messages that this bus refused, such as those with ALL_OR_FAIL at a full queue. */
  refused: number;
  /** Answers that came after the requester had another one. */
  late: number;
}

/**
 * One Limpet: its bus, and any number of links. A pure state machine: no I/O, no clock, no randomness. Its driver calls it
 * with what happened, and it calls the driver with what to do ({@link HubHost}). See docs/limpets.md for what it promises.
 */
export class Hub {
  readonly address: Address;
  readonly topology: Topology;
  readonly streams: Streams;
  readonly repliers: Repliers;
  readonly links = new Set<Link>();
  readonly classics = new Set<ClassicLink>();
  readonly counts: HubCounts = { sent: 0, received: 0, missed: 0, refused: 0, late: 0 };
  private readonly host: HubHost;
  private readonly forgetAfter: number;
  /** The id of this Limpet's Ksock; 0 while another Limpet speaks for the bus. */
  private ksockId = 0;
  private isPaused = false;
  /** Some Limpet has taken over from another one. */
  private hasReplaced = false;
  /** Messages that this Limpet's full queue has missed, and other Limpets have not been told of. */
  private missedUntold = 0;
  /** By number in the own stream. */
  private readonly pending = new Map<number, PendingRequest>();
  /** By `network:serial`. */
  private readonly asked = new Map<string, AskedRequest>();
  /** The heads that were made of others: those of this bus for other buses, one for each sender; and the reverse. */
  private readonly carriedHeads = new WeakMap<Head, Head[]>();
  private readonly heads = new WeakMap<Head, Head>();
  /** What was delivered on the bus before this Limpet spoke for it. */
  private readonly delivered = new RecentIds();
  /** By network: the latest of them. */
  private readonly deliveredUpTo = new Map<number, number>();

  constructor({ address, maxBytes, forgetAfter }: HubOptions, host: HubHost) {
    this.address = address;
    this.host = host;
    this.forgetAfter = forgetAfter;
    this.topology = new Topology(address);
    this.streams = new Streams(address, maxBytes, {
      transmit: (link, frame) => host.transmit(link, frame),
      arrived: (inflow, entry) => this.arrived(inflow, entry),
      lost: (inflow, count) => this.lost(inflow, count),
      paired: (key) => {
        const known = this.topology.hubs.get(key);
        if (known !== undefined) this.repliers.changedAll(known);
      },
    });
    this.repliers = new Repliers(this.topology, {
      bind: (name) => this.ksockId !== 0 && host.bind(name),
      unbind: (name) => this.ksockId !== 0 && host.unbind(name),
      advertise: (name, isBound) => this.advertise(name, isBound),
      provided: (name) => {
        for (const classic of this.classics) classic.provided(name);
      },
      mayAsk: (key) => this.mayAsk(key),
    });
  }

  /** Whether this Limpet speaks for its bus. */
  get isOnBus(): boolean {
    return this.ksockId !== 0;
  }

  /** Requests that wait for an answer from another Limpet. */
  get inFlight(): number {
    return this.pending.size;
  }

  /** Whether the Limpet hears this one, and is heard. */
  mayAsk(key: string): boolean {
    const { own, inflows } = this.streams;
    return own.acknowledged.has(key) && inflows.get(key)?.hasBegun === true;
  }

  // The bus

  /**
   * Another Limpet speaks for the bus, and this one, which stands by, has heard a message there. If it takes over, it must
   * not deliver that again.
   */
  overheard({ head, idSerial }: Message): void {
    if (head.idNetwork === 0) return;
    this.delivered.add(head.idNetwork, idSerial);
    const before = this.deliveredUpTo.get(head.idNetwork) ?? 0;
    if (idSerial > before) this.deliveredUpTo.set(head.idNetwork, idSerial);
  }

  /** Whether it is too late to deliver a message: the Limpet before this one has, or has delivered a later one. */
  private isOverheard({ head, idSerial }: Message): boolean {
    if (idSerial > (this.deliveredUpTo.get(head.idNetwork) ?? 0)) return false;
    if (this.delivered.has(head.idNetwork, idSerial)) this.streams.duplicates++;
    else this.counts.missed++;
    return true;
  }

  /** This Limpet speaks for its bus from now on. It has heard all that the one before it has delivered. */
  joinBus(ksockId: number, before: Address | null = null): void {
    this.ksockId = ksockId;
    this.topology.own.replaces = before;
    this.linksChanged(null);
    this.repliers.rebind();
  }

  /** The bus has given this Limpet a message. `flush` passes on what came. */
  heard(message: Message): void {
    const { head } = message;
    if (head.isReply) {
      this.heardReply(message);
      return;
    }
    if ((head.flags & Flag.SYNTHETIC) !== 0 && message.from === 0) {
      this.heardFromKbus(message);
      return;
    }
    if (head.wantsUsToReply) {
      this.askedByBus(message);
      return;
    }
    if (message.from === this.ksockId || head.name.startsWith(LIMPET_NAMES)) return;
    const carried = this.carried(message);
    this.streams.append(carried);
    this.counts.sent++;
    if (this.classics.size > 0) this.passToClassics(carried, null);
  }

  private heardFromKbus(message: Message): void {
    if (message.name === UNBIND_EVENTS_LOST) this.host.readRepliers();
    if (message.name !== REPLIER_BIND_EVENT) return;
    let event: ReturnType<typeof splitReplierBindEventData>;
    try {
      event = splitReplierBindEventData(message.data);
    } catch {
      return;
    }
    if (event.binder === this.ksockId) return;
    if (event.isBind) this.repliers.localBound(event.name, event.binder);
    else this.repliers.localUnbound(event.name);
  }

  /** All Repliers of the bus, by name. */
  localRepliers(all: ReadonlyMap<string, number>): void {
    const others = [...all].filter(([, binder]) => binder !== this.ksockId);
    this.repliers.localAre(new Map(others));
  }

  bound(name: string, isBound: boolean): void {
    this.repliers.bound(name, isBound);
  }

  /** This Limpet's queue was full, and missed messages (spec 3 §7.6). */
  missedByBus(count: number): void {
    this.counts.missed += count;
    this.missedUntold += count;
  }

  /** The message with the id and the origin that it has on other buses. */
  private carried(message: Message): Message {
    const { head, from } = message;
    const known = this.carriedHeads.get(head);
    message.head =
      known?.find(({ origFrom }) => origFrom.localId === from) ?? this.carriedHead(head, from);
    return message;
  }

  private carriedHead(head: Head, from: number): Head {
    const { id } = this.address;
    const made = head.with({
      idNetwork: head.idNetwork === 0 ? id : head.idNetwork,
      origFrom: head.origFrom.networkId === 0 ? new OrigFrom(id, from) : head.origFrom,
      flags: head.flags & ~Flag.WANT_YOU_TO_REPLY,
    });
    // A head that has an origin is not shared by messages.
    if (head.origFrom.networkId !== 0) return made;
    const known = this.carriedHeads.get(head);
    if (known === undefined) this.carriedHeads.set(head, [made]);
    else if (known.unshift(made) > MAX_SENDERS) known.pop();
    return made;
  }

  // Requests of this bus

  private askedByBus(message: Message): void {
    const { head, idSerial: serial, from } = message;
    const { idNetwork: network, name } = head;
    const before = from === this.ksockId ? this.asked.get(`${network}:${serial}`) : undefined;
    // A copy for listeners, which is forgotten already.
    if (from === this.ksockId && before === undefined) return;
    const request = { network, serial, from };
    const { finalTo } = head;
    if (finalTo.networkId === this.address.id) {
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
      (provider as ClassicLink).ask(this.carried(message), network, serial);
    } else {
      const { hub, key } = provider;
      const entry = this.streams.append(this.carried(message), hub);
      this.pending.set(entry.n, { ...request, key });
      this.counts.sent++;
    }
  }

  /** Who gets a Request answered: for a stateful one, the Limpet that it names, if that is one of ours. */
  private providerFor(name: string, finalTo: OrigFrom): KnownHub | ClassicLink | null {
    if (finalTo.networkId !== 0) {
      for (const known of this.topology.hubs.values()) {
        if (known.hub.id !== finalTo.networkId) continue;
        if (this.topology.paths.has(known.key) && this.mayAsk(known.key)) return known;
      }
      for (const { hub } of this.topology.hubs.values()) {
        if (hub.id === finalTo.networkId) return null;
      }
    }
    const provider = this.repliers.choose(name);
    if (provider === null) return null;
    return 'classic' in provider ? (provider as ClassicLink) : provider.hub;
  }

  /** Answers a Request of this bus. */
  private answer(
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
    this.host.reply(new Message(status, message?.data, head as never));
  }

  /** Answers Requests whose Limpet is out of reach. */
  private answerLost(isLost: (key: string) => boolean): void {
    for (const [n, request] of this.pending) {
      if (!isLost(request.key)) continue;
      this.pending.delete(n);
      const wasSent = n < this.streams.sentBefore;
      this.streams.own.withdraw(n);
      this.answer(request, wasSent ? LINK_LOST : NOT_SENT);
    }
  }

  // Requests of other buses

  private arrived({ origin }: Inflow, entry: Entry): void {
    const { message, dest, answers } = entry;
    const isForUs = dest !== null && isSame(dest, this.address);
    if (answers !== 0) {
      if (isForUs) this.answered(origin, entry);
      return;
    }
    if (this.hasReplaced && this.topology.isReplaced(origin)) {
      this.counts.missed++;
      return;
    }
    this.counts.received++;
    if (isForUs) this.carryOut(origin, entry);
    else if (entry.isBlocked) return;
    else if (this.deliveredUpTo.size === 0 || !this.isOverheard(message)) this.deliver(message);
  }

  private answered(origin: Address, { message, answers }: Entry): void {
    const request = this.pending.get(answers);
    if (request === undefined || request.key !== keyOf(origin)) {
      this.counts.late++;
      return;
    }
    this.pending.delete(answers);
    this.counts.received++;
    this.answer(request, message.name, message);
  }

  /** Sends a Request of another bus on this one, and remembers whom its answer is for. */
  private carryOut(origin: Address, { n, message, isBlocked }: Entry): void {
    const refuse = (status: string): void => this.answerTo(origin, n, status);
    if (isBlocked || !this.isOnBus) {
      refuse(`${REMOTE_ERROR}EADDRNOTAVAIL`);
      return;
    }
    const { finalTo } = message.head;
    let { to } = message.head;
    if (to !== 0) {
      const isHere = finalTo.networkId === this.address.id;
      to = isHere ? finalTo.localId : this.repliers.binderOf(message.name);
      if (to === 0) {
        refuse(GONE_AWAY);
        return;
      }
    }
    const request = this.sendable(message, to);
    let serial = request.idSerial;
    const { idNetwork } = request.head;
    // An earlier run of the other bus may have used the id for a Request that still waits for its answer.
    while (this.asked.has(`${idNetwork}:${serial}`)) serial = (serial + 0x8000_0001) >>> 0;
    if (serial !== request.idSerial) request.id = new MessageId(idNetwork, serial);
    const key = `${idNetwork}:${serial}`;
    this.asked.set(key, { origin, n });
    this.host.send(request, (errno) => {
      if (!this.asked.delete(key)) return;
      this.counts.refused++;
      refuse(to === 0 ? `${REMOTE_ERROR}${codeOf(errno)}` : statefulRefusal(errno));
      this.flush();
    });
  }

  private heardReply(message: Message): void {
    const { replyNetwork, replySerial } = message.head;
    const key = `${replyNetwork}:${replySerial}`;
    const request = message.head.to === this.ksockId ? this.asked.get(key) : undefined;
    if (request !== undefined) this.asked.delete(key);
    if (request === undefined || request.origin === null) {
      for (const classic of this.classics) if (classic.replied(message)) return;
      return;
    }
    this.counts.sent++;
    const { origFrom } = message;
    const from = origFrom.networkId !== 0 ? origFrom : new OrigFrom(this.address.id, message.from);
    this.answerTo(request.origin, request.n, message.name, message, from);
  }

  private answerTo(
    origin: Address,
    n: number,
    name: string,
    reply?: Message,
    origFrom?: OrigFrom,
  ): void {
    const flags = (reply?.flags ?? 0) & ~NOT_CARRIED;
    this.streams.append(new Message(name, reply?.data, { flags, origFrom }), origin, n);
  }

  // Messages of other buses

  /** Delivers a message of another bus to the listeners of this one. */
  private deliver(message: Message): void {
    if (this.isOnBus) this.deliverToBus(message);
    if (this.classics.size > 0) this.passToClassics(message, null);
  }

  /** Sends a message of another bus on this one: a Request only for its listeners. */
  deliverToBus(message: Message): void {
    const { flags, name } = message.head;
    if ((flags & Flag.WANT_A_REPLY) === 0) {
      this.host.send(this.sendable(message, 0), this.countRefused);
    } else if (this.repliers.isProxyOf(name)) {
      this.host.copy(this.sendable(message, this.ksockId), this.countRefused);
    } else {
      // A Request would go to a Replier of this bus, which is not to answer it.
      const plain = this.sendable(message, 0);
      plain.flags &= ~Flag.WANT_A_REPLY;
      this.host.send(plain, this.countRefused);
    }
  }

  private readonly countRefused = (): void => {
    this.counts.refused++;
  };

  /** A copy of the message that may be sent on this bus. */
  private sendable(message: Message, to: number): Message {
    const { head } = message;
    let made = this.heads.get(head);
    if (made === undefined || made.to !== to) {
      const isRequest = (head.flags & Flag.WANT_A_REPLY) !== 0;
      const flags = (head.flags & ~(isRequest ? NOT_CARRIED : OF_KBUS)) >>> 0;
      made = head.with({ flags, to });
      this.heads.set(head, made);
    }
    const sent = Message.fromMessage(message);
    sent.head = made;
    return sent;
  }

  /** Messages of another Limpet are lost: no Limpet kept them. */
  private lost({ origin, key }: Inflow, count: number): void {
    // Answers may be among them.
    this.answerLost((each) => each === key);
    if (count > 0) this.tellMissed(count, origin.id);
  }

  private tellMissed(count: number, origin: number): void {
    this.counts.missed += count;
    if (!this.isOnBus) return;
    this.host.send(missedMessage(count, origin), this.countRefused);
  }

  // Classic links

  /** Passes a message on to the classic links, but for the one that it came from. */
  passToClassics(message: Message, but: ClassicLink | null): void {
    for (const classic of this.classics) if (classic !== but) classic.pass(message);
  }

  /** A message of a classic link is for all. */
  arrivedByClassic(message: Message, port: ClassicLink): void {
    this.counts.received++;
    if (this.isOnBus) this.deliverToBus(message);
    this.passToClassics(message, port);
    this.streams.append(message);
  }

  /** A classic Limpet asks this bus. */
  askForClassic({ head, idSerial }: Message): void {
    this.asked.set(`${head.idNetwork}:${idSerial}`, { origin: null, n: 0 });
  }

  classicRefused({ head, idSerial }: Message): void {
    this.asked.delete(`${head.idNetwork}:${idSerial}`);
  }

  /** Whether a Limpet of this network id is this one, or can be reached over native links. */
  isNative(id: number): boolean {
    if (id === this.address.id) return true;
    for (const { hub } of this.topology.paths.values()) if (hub.hub.id === id) return true;
    return false;
  }

  addClassic(port: ClassicLink): void {
    this.classics.add(port);
    for (const name of this.repliers.allNames()) port.provided(name);
  }

  removeClassic(port: ClassicLink): void {
    this.classics.delete(port);
    this.repliers.classicGone(port);
    this.flush();
  }

  /** Sends a Reply or Status to a Request that this Limpet read from its bus. */
  answerBus(network: number, serial: number, from: number, name: string, message?: Message): void {
    this.answer({ network, serial, from }, name, message);
  }

  get ksock(): number {
    return this.ksockId;
  }

  // Links

  linkUp(link: Link): void {
    this.links.add(link);
    this.linksChanged(link);
    const { own, hubs, paths } = this.topology;
    const inOrder = [...hubs.values()].sort((a, b) => costOf(paths, a) - costOf(paths, b));
    const neighbours = this.neighboursIn(link.federation);
    for (const known of inOrder) {
      if (known === own || (known.links.length === 0 && known.repliers.size === 0)) continue;
      if (neighbours.has(known.key)) continue;
      this.transmit(link, { kind: 'state', state: this.topology.stateOf(known) });
    }
    this.flush();
  }

  linkDown(link: Link): void {
    if (!this.links.delete(link)) return;
    this.streams.linkDown(link);
    this.linksChanged(null);
    this.flush();
  }

  /** A frame has come over a link. */
  received(link: Link, frame: Frame): void {
    if (!this.links.has(link)) return;
    switch (frame.kind) {
      case 'state':
        // In a new life of a Limpet, the serial numbers of its bus may begin again.
        if (!this.topology.hubs.has(keyOf(frame.state.hub))) {
          this.deliveredUpTo.delete(frame.state.hub.id);
        }
        if (!this.topology.learn(frame.state)) break;
        this.flood(frame, link);
        this.pathsChanged();
        this.repliers.changedAll(this.topology.hubs.get(keyOf(frame.state.hub)) as KnownHub);
        break;
      case 'links': {
        const known = this.topology.change(frame.hub, frame.seq);
        if (known === null) break;
        known.links = frame.links;
        known.replaces = frame.replaces;
        this.flood(frame, link);
        this.pathsChanged();
        break;
      }
      case 'replier': {
        const known = this.topology.change(frame.hub, frame.seq);
        if (known === null) break;
        if (frame.isBound) known.repliers.add(frame.name);
        else known.repliers.delete(frame.name);
        this.flood(frame, link);
        this.repliers.changed(known, frame.name);
        break;
      }
      case 'subscribe':
        this.streams.subscribed(link, frame);
        break;
      case 'unsubscribe':
        this.streams.unsubscribed(link, frame.origin);
        break;
      case 'begin':
        this.streams.begin(link, frame);
        break;
      case 'entries':
        this.streams.entries(link, frame.origin, frame.entries);
        break;
      case 'skip':
        this.streams.skip(link, frame);
        break;
      case 'acknowledge':
        this.streams.acknowledged(frame);
        break;
    }
  }

  drained(link: Link): void {
    if (this.links.has(link)) this.streams.drained(link);
  }

  /** Sends what has come in since the last flush. Call it after each event, or after several. */
  flush(): void {
    if (this.missedUntold > 0 && this.isOnBus) {
      this.streams.append(missedMessage(this.missedUntold, this.address.id));
      this.missedUntold = 0;
    }
    this.streams.flush();
    const mustPause = this.streams.trim((key) => this.topology.paths.has(key));
    if (mustPause === this.isPaused) return;
    this.isPaused = mustPause;
    this.host.pause(mustPause);
  }

  /** A second or so has passed. */
  tick(): void {
    this.streams.tick();
    this.delivered.tick();
    this.checkIds();
    if (this.isOnBus) this.repliers.tick();
    for (const { key } of this.topology.forgetLost(this.forgetAfter)) this.streams.forget(key);
    this.flush();
  }

  private transmit(link: Link, frame: Frame): void {
    if (!this.host.transmit(link, frame)) link.isCongested = true;
  }

  /** Tells all neighbours, but for the one that it came from, and for those that have it from the same one. */
  private flood(frame: Frame, from: Link | null): void {
    for (const link of this.links) {
      if (link === from) continue;
      if (from !== null && link.federation !== 0 && link.federation === from.federation) continue;
      this.transmit(link, frame);
    }
  }

  /** The neighbours in this federation, by key: all others of it have them as neighbours as well. */
  private neighboursIn(federation: number): Set<string> {
    const keys = new Set<string>();
    if (federation === 0) return keys;
    for (const link of this.links) if (link.federation === federation) keys.add(link.key);
    return keys;
  }

  /** Tells all of the links of this Limpet; a new neighbour does not know the rest yet. */
  private linksChanged(added: Link | null): void {
    const { own } = this.topology;
    this.topology.ownLinks = this.linkStates();
    const links = this.toldLinks();
    if (!isSameList(links, own.links) || own.replaces !== this.toldReplaces) {
      own.links = links;
      own.seq++;
      this.toldReplaces = own.replaces;
      const { hub, seq, replaces } = own;
      this.flood({ kind: 'links', hub, seq, links, replaces }, added);
    }
    // What it hears next of other Limpets can be reached through this one.
    if (added !== null) {
      this.transmit(added, { kind: 'state', state: this.topology.stateOf(own) });
    }
    this.pathsChanged();
  }

  private toldReplaces: Address | null = null;

  /** What others are told of the links: of a federation which is all that there is, the federation only. */
  private toldLinks(): LinkState[] {
    const federations = new Map<number, LinkState>();
    let isMore = false;
    for (const { federation, cost, out } of this.links) {
      if (federation === 0) isMore = true;
      else if (!federations.has(federation)) {
        const peer = federationAddress(federation);
        federations.set(federation, { peer, cost, filters: out.patterns });
      }
    }
    const all = [...federations.values()];
    return isMore || all.length > 1 ? [...all, ...this.topology.ownLinks] : all;
  }

  /** One for each neighbour: of several links to it, what any of them lets pass. */
  private linkStates(): LinkState[] {
    const states = new Map<string, LinkState>();
    for (const { key, peer, cost, out } of this.links) {
      const before = states.get(key);
      const filters = new Set([...(before?.filters ?? []), ...out.patterns]);
      states.set(key, { peer, cost: Math.min(cost, before?.cost ?? cost), filters: [...filters] });
    }
    return [...states.values()];
  }

  private pathsChanged(): void {
    const { topology, streams } = this;
    const changed = topology.computePaths();
    const inUse = this.linksInUse();
    this.hasReplaced = [...topology.hubs.values()].some(({ replaces }) => replaces !== null);
    for (const { hub, key } of topology.hubs.values()) {
      if (hub === this.address || isSame(hub, this.address)) continue;
      const path = topology.paths.get(key);
      streams.route(hub, path === undefined ? null : (inUse.get(path.first) ?? null));
    }
    this.answerLost((key) => !topology.paths.has(key));
    for (const known of changed) this.repliers.changedAll(known);
  }

  /** The link to each neighbour that is in use: of several, the one that was configured first. */
  private linksInUse(): Map<string, Link> {
    const inUse = new Map<string, Link>();
    for (const link of this.links) {
      const best = inUse.get(link.key);
      if (best === undefined || link.number < best.number) inUse.set(link.key, link);
    }
    return inUse;
  }

  private advertise(name: string, isBound: boolean): void {
    const { own } = this.topology;
    if (isBound) own.repliers.add(name);
    else own.repliers.delete(name);
    own.seq++;
    this.flood({ kind: 'replier', hub: this.address, seq: own.seq, isBound, name }, null);
  }

  /** By key, the Limpets of the same id in reach, and for how many ticks they have been. */
  private readonly sameId = new Map<string, number>();

  /** Two Limpets with one id in reach: messages and answers would be taken for each other's. */
  private checkIds(): void {
    for (const { hub } of this.topology.paths.values()) {
      if (hub.hub.id !== this.address.id) continue;
      const ticks = (this.sameId.get(hub.key) ?? 0) + 1;
      this.sameId.set(hub.key, ticks);
      if (ticks !== TICKS_TO_WARN) continue;
      this.host.warn(
        `another Limpet that can be reached also has the network id ${hub.hub.id}: give one of them another --id`,
      );
    }
  }
}

function isSameList(some: readonly LinkState[], others: readonly LinkState[]): boolean {
  return JSON.stringify(some) === JSON.stringify(others);
}

function costOf(paths: Topology['paths'], { key }: KnownHub): number {
  return paths.get(key)?.cost ?? Number.MAX_SAFE_INTEGER;
}

function statefulRefusal(errno: number): string {
  if (errno === Errno.EPIPE) return NOT_SAME_KSOCK;
  return errno === Errno.EADDRNOTAVAIL ? GONE_AWAY : `${REMOTE_ERROR}${codeOf(errno)}`;
}

function missedMessage(count: number, origin: number): Message {
  return new Message(MISSED, String(count), { origFrom: new OrigFrom(origin, 0) });
}

/** For links of a hub. */
export function linkOf(
  number: number,
  peer: Address,
  cost: number,
  out: readonly string[],
  federation = 0,
): Link {
  return {
    number,
    federation,
    peer,
    key: keyOf(peer),
    cost,
    out: new Filter(out),
    isCongested: false,
    isFlooded: false,
  };
}

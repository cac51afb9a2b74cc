import { splitReplierBindEventData } from '../../message/bind-event.ts';
import { Errno } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import { MessageId } from '../../message/id.ts';
import { type Message, REPLIER_BIND_EVENT } from '../../message/message.ts';
import type { RecordBatch } from '../../message/record-batch.ts';
import { type Address, isSame, keyOf } from './address.ts';
import type { ClassicLink } from './classic-link.ts';
import { type AnyEntry, countOf, isBatch } from './entries.ts';
import type { Frame } from './frame.ts';
import { Handover } from './handover.ts';
import type { Inflow } from './inflow.ts';
import type { Link } from './link.ts';
import { Losses, missedMessage, weightOf } from './losses.ts';
import { EARLIER_LIFE, LIMPET_NAMES, MISSED } from './names.ts';
import { Neighbours } from './neighbours.ts';
import { Passage } from './passage.ts';
import { Repliers } from './repliers.ts';
import { Requests, type RequestsHost } from './requests.ts';
import { Streams } from './streams.ts';
import type { Settled } from './subscriber-feed.ts';
import { type KnownHub, Topology } from './topology.ts';

/** A Limpet of the same id must be in reach for this many ticks: an earlier run of this one soon is not. */
const TICKS_TO_WARN = 5;

const UNBIND_EVENTS_LOST = '$.KBUS.UnbindEventsLost';

export type RefusedSend = (errno: number, message: Message) => void;

/** How the hub reaches its bus and its links. It calls back only with the events of {@link Hub}. */
export interface HubHost {
  /**
   * Sends a message on the bus, and lets one with ALL_OR_WAIT wait a while; calls `refused` if the bus refuses it. That must be the
   * same function for all Announcements; its message has at least id and name of the refused one.
   */
  send(message: Message, refused: RefusedSend): void;
  /** Sends a batch of another bus likewise; calls `refused` for each message that the bus refuses. */
  sendBatch(batch: RecordBatch, refused: RefusedSend): void;
  /** Sends an Announcement of this Limpet's own; calls `refused` if the bus refuses it. */
  tell(message: Message, refused: () => void): void;
  /** Sends a Reply on the bus; {@link Hub.replyRefused} follows if that refuses it. */
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
  /** Calls {@link Hub.flushAll} within some milliseconds. */
  defer(): void;
  warn(text: string): void;
}

/** Where the Announcements of this bus go in a federation of mode `stream`, in place of the Limpet's own stream. */
export interface Journal {
  /** Whether messages of this name may leave. */
  takes(name: string): boolean;
  /** Takes Announcement `number` of this Limpet; `direct` changes when something else was sent before it. */
  append(origin: Address, number: number, message: Message, direct: number): void;
  /** Stores what was appended. */
  flush(): void;
  /** It takes so much time that this Limpet must read no more from its bus. */
  readonly isFull: boolean;
  settled(): Settled;
}

export interface HubOptions {
  readonly address: Address;
  /** How many bytes of messages to keep for Limpets that are out of reach or slow. */
  readonly maxBytes: number;
  /** After how many ticks to forget a Limpet that is out of reach. */
  readonly forgetAfter: number;
}

/** Counts, from the start of the Limpet on. */
export interface HubCounts {
  /** Messages of this bus passed on, and messages of others delivered here. */
  sent: number;
  received: number;
  /** Messages for this bus, or from it, that are lost. */
  missed: number;
  /** Messages that this bus refused, such as those with ALL_OR_FAIL at a full queue, or any if it has no memory left. */
  refused: number;
  /** Answers that came after the requester had another one. */
  late: number;
}

/**
 * One Limpet: its bus, and any number of links. A pure state machine: no I/O, no clock, no randomness. Its driver calls it
 * with what happened, and it calls the driver with what to do ({@link HubHost}). See docs/limpets.md for what it promises.
 */
export class Hub implements RequestsHost {
  readonly address: Address;
  readonly topology: Topology;
  readonly streams: Streams;
  readonly repliers: Repliers;
  readonly neighbours: Neighbours;
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
  /** What the bus has missed, as far as this Limpet knew before it spoke for the bus; and of whom. */
  private readonly missedBeforeSpeaking: [count: number, origin: number][] = [];
  /** How often the classic links were told that messages are lost. */
  private toldClassics = 0;
  readonly requests: Requests;
  readonly passage: Passage;
  /** Of the federation of mode `stream` that this Limpet is in. */
  journal: Journal | null = null;
  private readonly handover = new Handover();
  private readonly losses: Losses;
  private hasDeferred = false;

  constructor({ address, maxBytes, forgetAfter }: HubOptions, host: HubHost) {
    this.address = address;
    this.host = host;
    this.forgetAfter = forgetAfter;
    this.passage = new Passage(address.id);
    this.requests = new Requests(this);
    this.losses = new Losses((message, refused) => host.tell(message, refused));
    this.topology = new Topology(address);
    this.streams = new Streams(address, maxBytes, {
      transmit: (link, frame) => host.transmit(link, frame),
      arrived: (inflow, entry) => this.arrived(inflow, entry),
      lost: (inflow, count) => this.lost(inflow, count),
      paired: (key) => {
        const known = this.topology.hubs.get(key);
        if (known !== undefined) this.repliers.changedAll(known);
      },
      settled: () => this.journal?.settled() ?? { stored: 0, seq: 0 },
      deferred: () => this.defer(),
    });
    this.repliers = new Repliers(this.topology, {
      bind: (name) => this.ksockId !== 0 && host.bind(name),
      unbind: (name) => this.ksockId !== 0 && host.unbind(name),
      advertise: (name, isBound) => this.neighbours.tellReplier(name, isBound),
      provided: (name) => {
        for (const classic of this.classics) classic.provided(name);
      },
      mayAsk: (key) => this.mayAsk(key),
    });
    this.neighbours = new Neighbours(this.topology, this.streams, {
      transmit: (link, frame) => host.transmit(link, frame),
      pathsChanged: (changed) => this.pathsChanged(changed),
      repliersChanged: (known, name) => this.repliers.changed(known, name),
    });
  }

  private defer(): void {
    if (this.hasDeferred) return;
    this.hasDeferred = true;
    this.host.defer();
  }

  private pathsChanged(changed: readonly KnownHub[]): void {
    const { topology } = this;
    this.hasReplaced = [...topology.hubs.values()].some(({ replaces }) => replaces !== null);
    this.requests.answerLost((key) => !topology.paths.has(key));
    for (const known of changed) this.repliers.changedAll(known);
  }

  /** Whether this Limpet speaks for its bus. */
  get isOnBus(): boolean {
    return this.ksockId !== 0;
  }

  /** Requests that wait for an answer from another Limpet. */
  get inFlight(): number {
    return this.requests.inFlight;
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
  overheard(message: Message): void {
    this.handover.heard(message);
  }

  /** This Limpet speaks for its bus from now on. It has heard all that the one before it has delivered. */
  joinBus(ksockId: number, before: Address | null = null): void {
    this.ksockId = ksockId;
    this.neighbours.tellReplaces(before);
    this.repliers.rebind();
    // If another Limpet spoke for the bus, that has brought it what this one had not.
    if (before === null) for (const missed of this.missedBeforeSpeaking) this.tellMissed(...missed);
    this.missedBeforeSpeaking.length = 0;
  }

  /** The bus has given this Limpet a message. `flush` passes on what came. */
  heard(message: Message): void {
    const { head } = message;
    if (head.isReply) {
      if (this.requests.heardReply(message)) return;
      for (const classic of this.classics) if (classic.replied(message)) return;
      return;
    }
    if ((head.flags & Flag.SYNTHETIC) !== 0 && message.from === 0) {
      this.heardFromKbus(message);
      return;
    }
    if (head.wantsUsToReply) {
      this.requests.askedByBus(message);
      return;
    }
    if (message.from === this.ksockId || head.name.startsWith(LIMPET_NAMES)) return;
    const carried = this.passage.carried(message);
    if ((head.flags & Flag.WANT_A_REPLY) === 0) this.announce(carried);
    else this.streams.append(carried);
    this.counts.sent++;
    if (this.classics.size > 0) this.passToClassics(carried, null);
  }

  /** The bus has given this Limpet Announcements, and none of a name that is KBUS's own. */
  heardBatch(batch: RecordBatch): void {
    if (batch.sender === this.ksockId) return;
    const carried = batch.carriedBy(this.address.id);
    if (this.journal === null) this.streams.appendBatch(carried);
    else for (const message of carried.messages()) this.announce(message);
    this.counts.sent += batch.count;
    this.passBatchToClassics(carried);
  }

  /** Passes an Announcement on to all other Limpets. */
  private announce(message: Message): void {
    const { journal, streams } = this;
    if (journal === null) {
      streams.append(message);
      return;
    }
    if (!journal.takes(message.name)) return;
    // What was sent before leaves before.
    if (streams.hasUnsent) streams.flushAll();
    streams.own.announced += weightOf(message);
    journal.append(this.address, streams.own.announced, message, streams.own.end);
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

  private arrived(inflow: Inflow, entry: AnyEntry): void {
    const { origin } = inflow;
    const single = isBatch(entry) ? null : entry;
    const isForUs = single !== null && single.dest !== null && isSame(single.dest, this.address);
    if (single !== null && single.answers !== 0) {
      if (!isForUs) return;
      if (single.answers === EARLIER_LIFE) this.missedBetweenLives(inflow, single.message);
      else this.requests.answered(origin, single);
      return;
    }
    if (this.hasReplaced && this.topology.isReplaced(origin)) {
      this.tellMissed(countOf(entry), origin.id);
      return;
    }
    this.counts.received += countOf(entry);
    if (isBatch(entry)) this.deliverBatch(entry.batch);
    else if (isForUs) this.requests.carryOut(origin, entry);
    else if (entry.refusal === Errno.EMSGSIZE) this.tellMissed(1, origin.id);
    else if (entry.refusal === 0) this.deliver(entry.message);
  }

  /** Nobody spoke for the bus after the last life of this Limpet, which had heard so many messages of the stream. */
  private missedBetweenLives({ origin, heardBeforeLife }: Inflow, told: Message): void {
    const heard = Number(told.text());
    if (!(heard >= 0 && heard < heardBeforeLife)) return;
    const count = heardBeforeLife - heard;
    if (this.isOnBus) this.tellMissed(count, origin.id);
    else this.missedBeforeSpeaking.push([count, origin.id]);
  }

  // Messages of other buses

  /** Delivers a message of another bus to the listeners of this one. */
  private deliver(message: Message): void {
    const state = this.handover.check(message);
    if (state === 'duplicate') this.streams.duplicates++;
    else if (state === 'late') this.tellMissed(1, message.head.idNetwork);
    if (state !== 'new') return;
    if (this.isOnBus) this.deliverToBus(message);
    if (this.classics.size === 0) return;
    const { name, origFrom } = message.head;
    if (name === MISSED) this.tellClassicsMissed(weightOf(message), origFrom.networkId);
    else this.passToClassics(message, null);
  }

  private deliverBatch(batch: RecordBatch): void {
    if (!this.handover.isNew(batch.network, batch.serial)) {
      for (const message of batch.messages()) this.deliver(message);
      return;
    }
    if (this.isOnBus) {
      this.losses.tell(batch.network);
      this.host.sendBatch(batch, this.refusedByBus);
    }
    this.passBatchToClassics(batch);
  }

  /** Sends a message of another bus on this one: a Request only for its listeners. */
  deliverToBus(message: Message): void {
    const { flags, idNetwork, name, origFrom } = message.head;
    if (name === MISSED) {
      this.losses.add(weightOf(message), origFrom.networkId);
      this.losses.tell(origFrom.networkId);
      return;
    }
    this.losses.tell(idNetwork);
    if ((flags & Flag.WANT_A_REPLY) === 0) {
      this.host.send(this.passage.sendable(message, 0), this.refusedByBus);
    } else if (this.repliers.isProxyOf(name)) {
      const copy = this.passage.sendable(message, this.ksockId);
      this.host.copy(copy, () => this.refusedByBus(0, copy));
    } else {
      // A Request would go to a Replier of this bus, which is not to answer it.
      const plain = this.passage.sendable(message, 0);
      plain.flags &= ~Flag.WANT_A_REPLY;
      this.host.send(plain, this.refusedByBus);
    }
  }

  /** The bus has refused a message of another one: its listeners hear that they miss it. */
  private readonly refusedByBus: RefusedSend = (_errno, { id }) => {
    this.counts.refused++;
    this.losses.add(1, id.networkId);
    this.defer();
  };

  /** The bus has refused a Reply of this Limpet. */
  replyRefused(errno: number, reply: Message): void {
    this.counts.refused++;
    this.requests.answerRefused(errno, reply);
  }

  /** Messages of another Limpet are lost: no Limpet kept them. */
  private lost({ origin, key }: Inflow, count: number): void {
    // Answers may be among them.
    this.requests.answerLost((each) => each === key);
    if (count > 0) this.tellMissed(count, origin.id);
  }

  /** The stream of the federation has brought an Announcement of this Limpet. */
  announced(message: Message): void {
    this.counts.received++;
    if (this.isOnBus) this.deliverToBus(message);
  }

  /** Announcements of the Limpets of this network id are lost. */
  tellMissed(count: number, origin: number): void {
    this.counts.missed += count;
    this.tellClassicsMissed(count, origin);
    if (!this.isOnBus) return;
    this.losses.add(count, origin);
    this.losses.tell(origin);
  }

  // Classic links

  /** Passes a message on to the classic links, but for the one that it came from. */
  passToClassics(message: Message, but: ClassicLink | null): void {
    for (const classic of this.classics) if (classic !== but) classic.pass(message);
  }

  /**
   * Tells the classic links that messages for them are lost. The id must be of this Limpet and new: classic Limpets would take it for
   * one of their own bus, and others for one that comes a second time.
   */
  private tellClassicsMissed(count: number, origin: number): void {
    if (this.classics.size === 0) return;
    const missed = missedMessage(count, origin);
    const serial = 0x8000_0000 + ((this.address.life + this.toldClassics++) % 0x8000_0000);
    missed.id = new MessageId(this.address.id, serial);
    this.passToClassics(missed, null);
  }

  private passBatchToClassics(batch: RecordBatch): void {
    if (this.classics.size === 0) return;
    for (const message of batch.messages()) this.passToClassics(message, null);
  }

  /** A message of a classic link is for all. */
  arrivedByClassic(message: Message, port: ClassicLink): void {
    this.counts.received++;
    if (this.isOnBus) this.deliverToBus(message);
    this.passToClassics(message, port);
    this.streams.append(message);
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
    this.requests.answer({ network, serial, from }, name, message);
  }

  get ksock(): number {
    return this.ksockId;
  }

  send(request: Message, refused: RefusedSend): void {
    this.host.send(request, refused);
  }

  reply(message: Message): void {
    this.host.reply(message);
  }

  // Links

  linkUp(link: Link): void {
    this.neighbours.add(link);
    this.flush();
  }

  linkDown(link: Link): void {
    this.neighbours.remove(link);
    this.flush();
  }

  /** A frame has come over a link. */
  received(link: Link, frame: Frame): void {
    if (!this.neighbours.links.has(link)) return;
    switch (frame.kind) {
      case 'state':
        if (frame.state.seq > 0 && !this.topology.hubs.has(keyOf(frame.state.hub))) {
          this.handover.met(frame.state.hub);
        }
        this.neighbours.told(link, frame);
        break;
      case 'links':
      case 'replier':
        this.neighbours.told(link, frame);
        break;
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
      case 'batch':
        this.streams.entries(link, frame.origin, [frame.entry]);
        break;
      case 'skip':
        this.streams.skip(link, frame);
        break;
      case 'acknowledge':
        this.streams.acknowledged(frame);
        break;
      case 'after':
        // For the federation's part of this Limpet, which holds back what must wait.
        break;
    }
  }

  drained(link: Link): void {
    if (this.neighbours.links.has(link)) this.streams.drained(link);
  }

  /** Sends what has come in since the last flush. Call it after each event, or after several. */
  flush(): void {
    if (this.missedUntold > 0 && this.isOnBus) {
      this.announce(missedMessage(this.missedUntold, this.address.id));
      this.tellClassicsMissed(this.missedUntold, this.address.id);
      this.missedUntold = 0;
    }
    this.streams.flush();
    this.journal?.flush();
    const isBehind = this.streams.trim((key) => this.topology.paths.has(key));
    const mustPause = isBehind || this.journal?.isFull === true;
    if (mustPause === this.isPaused) return;
    this.isPaused = mustPause;
    this.host.pause(mustPause);
  }

  /** Sends also what could wait for a while. */
  flushAll(): void {
    this.hasDeferred = false;
    this.losses.tellAll();
    this.streams.flushAll();
    this.flush();
  }

  /** This Limpet stops: its next life is told what comes from now on. */
  leave(): void {
    this.streams.acknowledgeAll();
  }

  /** A second or so has passed. */
  tick(): void {
    this.streams.tick();
    this.handover.tick();
    this.checkIds();
    if (this.isOnBus) {
      this.repliers.tick();
      this.losses.tellAll();
    }
    this.neighbours.tick();
    for (const { key } of this.topology.forgetLost(this.forgetAfter)) this.streams.forget(key);
    this.flush();
  }

  /** By key, the Limpets of the same id in reach, and for how many ticks they have been without a break. */
  private sameId = new Map<string, number>();

  /** Two Limpets with one id in reach: messages and answers would be taken for each other's. */
  private checkIds(): void {
    const before = this.sameId;
    this.sameId = new Map();
    for (const { hub } of this.topology.paths.values()) {
      if (hub.hub.id !== this.address.id) continue;
      const ticks = (before.get(hub.key) ?? 0) + 1;
      this.sameId.set(hub.key, ticks);
      if (ticks !== TICKS_TO_WARN) continue;
      this.host.warn(
        `another Limpet that can be reached also has the network id ${hub.hub.id}: give one of them another --id`,
      );
    }
  }
}

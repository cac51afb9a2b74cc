import { type Address, keyOf } from './address.ts';
import type { Frame, LinkState } from './frame.ts';
import type { Link } from './link.ts';
import { Filter } from './patterns.ts';
import type { SizeLimit } from './size-limit.ts';
import type { Streams } from './streams.ts';
import { federationAddress, type KnownHub, type Topology } from './topology.ts';

export interface NeighboursHost {
  /** Sends a frame over a link. False if the peer reads slowly. */
  transmit(link: Link, frame: Frame): boolean;
  /** Paths to these Limpets are others now, or have gone, or they have other names. */
  pathsChanged(changed: readonly KnownHub[]): void;
  /** A Limpet has bound or unbound this name. */
  repliersChanged(known: KnownHub, name: string): void;
}

/** What all Limpets are told: of links, and of Repliers. */
type News = Extract<Frame, { kind: 'state' | 'links' | 'replier' }>;
type Change = Exclude<News, { kind: 'state' }>;

/** Of so many Limpets, so many changes each are kept that came before those before them. */
const MAX_EARLY_LIMPETS = 64;
const MAX_EARLY = 256;

/**
 * The native links of a Limpet. It tells its neighbours what it knows, and what they tell it (link-state routing), and gets each
 * stream from the neighbour on the shortest path to its origin.
 */
export class Neighbours {
  readonly links = new Set<Link>();
  private readonly topology: Topology;
  private readonly streams: Streams;
  private readonly host: NeighboursHost;
  private toldReplaces: Address | null = null;
  /** By key of a Limpet and number: changes that came before those before them, and over which link. */
  private readonly early = new Map<string, Map<number, readonly [Link, Change]>>();

  constructor(topology: Topology, streams: Streams, host: NeighboursHost) {
    this.topology = topology;
    this.streams = streams;
    this.host = host;
  }

  add(link: Link): void {
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
  }

  remove(link: Link): void {
    if (!this.links.delete(link)) return;
    this.streams.linkDown(link);
    this.linksChanged(null);
  }

  /** A neighbour tells what it knows of some Limpet; what is news goes on to the others. */
  told(link: Link, news: News): void {
    const { topology } = this;
    if (news.kind === 'state') {
      const { hub, seq } = news.state;
      if (seq === 0) this.asked(link, hub);
      if (!topology.learn(news.state)) return;
      this.flood(news, link);
      this.pathsChanged(topology.hubs.get(keyOf(news.state.hub)));
      this.toldNext(news.state.hub);
    } else if (this.changed(link, news)) this.toldNext(news.hub);
    else if (topology.isEarly(news.hub, news.seq)) this.keepEarly(link, news);
  }

  /** A change of some Limpet. False if it is not the next one of what is known. */
  private changed(link: Link, news: Change): boolean {
    const known = this.topology.change(news.hub, news.seq);
    if (known === null) return false;
    if (news.kind === 'links') {
      known.links = news.links;
      known.replaces = news.replaces;
    } else if (news.isBound) known.repliers.add(news.name);
    else known.repliers.delete(news.name);
    this.flood(news, link);
    if (news.kind === 'links') this.pathsChanged();
    else this.host.repliersChanged(known, news.name);
    return true;
  }

  /** Changes may come over several paths, and so before those that came first. */
  private keepEarly(link: Link, news: Change): void {
    const { early } = this;
    const { hub, seq } = news;
    const key = keyOf(hub);
    const kept = early.get(key);
    const hasRoom = kept === undefined ? early.size < MAX_EARLY_LIMPETS : kept.size < MAX_EARLY;
    if (!hasRoom) this.ask(link, hub);
    else if (kept === undefined) early.set(key, new Map([[seq, [link, news]]]));
    else kept.set(seq, [link, news]);
  }

  /**
   * A second has passed. A Limpet that this one has forgotten may be in reach again, and to those between them it is no news: then this
   * one must ask.
   */
  tick(): void {
    const { topology } = this;
    const inUse = this.linksInUse();
    for (const [hub, first] of topology.unknown()) {
      const link = inUse.get(first);
      if (link !== undefined) this.ask(link, hub);
    }
  }

  /** Asks what the neighbour knows of a Limpet. */
  private ask(link: Link, hub: Address): void {
    const nothing = { hub, seq: 0, links: [], replaces: null, repliers: [] };
    this.transmit(link, { kind: 'state', state: nothing });
  }

  private asked(link: Link, hub: Address): void {
    const { topology } = this;
    const known = topology.hubs.get(keyOf(hub));
    if (known !== undefined) {
      this.transmit(link, { kind: 'state', state: topology.stateOf(known) });
    }
  }

  /** More is known of a Limpet: what has come too early may be next. */
  private toldNext(hub: Address): void {
    const key = keyOf(hub);
    const kept = this.early.get(key);
    if (kept === undefined) return;
    for (let next = this.next(key); kept.has(next); next = this.next(key)) {
      const [link, news] = kept.get(next) as readonly [Link, Change];
      this.changed(link, news);
    }
    const next = this.next(key);
    for (const seq of kept.keys()) if (seq < next) kept.delete(seq);
    if (kept.size === 0) this.early.delete(key);
  }

  private next(key: string): number {
    return (this.topology.hubs.get(key)?.seq ?? 0) + 1;
  }

  /** Tells all that this Limpet speaks for its bus in place of another one. */
  tellReplaces(before: Address | null): void {
    this.topology.own.replaces = before;
    this.linksChanged(null);
  }

  /** Tells all that Requests of this name are answered here, or no more. */
  tellReplier(name: string, isBound: boolean): void {
    const { hub, repliers } = this.topology.own;
    if (isBound) repliers.add(name);
    else repliers.delete(name);
    const seq = ++this.topology.own.seq;
    this.flood({ kind: 'replier', hub, seq, isBound, name }, null);
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

  private transmit(link: Link, frame: Frame): void {
    if (!this.host.transmit(link, frame)) link.isCongested = true;
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
      for (const link of this.links) {
        if (link !== added) this.transmit(link, { kind: 'links', hub, seq, links, replaces });
      }
    }
    // What it hears next of other Limpets can be reached through this one.
    if (added !== null) {
      this.transmit(added, { kind: 'state', state: this.topology.stateOf(own) });
    }
    this.pathsChanged();
  }

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

  /** `more`: a Limpet that has other names. */
  private pathsChanged(more?: KnownHub): void {
    const { topology, streams } = this;
    const changed = topology.computePaths();
    for (const { key } of changed) if (!topology.paths.has(key)) streams.outOfReach(key);
    const inUse = this.linksInUse();
    for (const { hub, key } of topology.hubs.values()) {
      if (key === topology.own.key) continue;
      const path = topology.paths.get(key);
      streams.route(hub, path === undefined ? null : (inUse.get(path.first) ?? null));
    }
    this.host.pathsChanged(more === undefined ? changed : [...changed, more]);
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
}

function isSameList(some: readonly LinkState[], others: readonly LinkState[]): boolean {
  return JSON.stringify(some) === JSON.stringify(others);
}

function costOf(paths: Topology['paths'], { key }: KnownHub): number {
  return paths.get(key)?.cost ?? Number.MAX_SAFE_INTEGER;
}

/** For links of a hub. */
export function linkOf(
  number: number,
  peer: Address,
  cost: number,
  out: readonly string[],
  federation = 0,
  limit: SizeLimit | null = null,
): Link {
  return {
    number,
    federation,
    peer,
    key: keyOf(peer),
    cost,
    out: new Filter(out),
    limit,
    isCongested: false,
    isFlooded: false,
    after: 0,
  };
}

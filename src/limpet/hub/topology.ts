import { Heap } from '../../base/heap.ts';
import { type Address, isSame, keyOf } from './address.ts';
import type { HubState, LinkState } from './frame.ts';
import { EVERYTHING, intersections } from './patterns.ts';

/** The cost of a link; that of the short way between two Limpets of one bus counts as no link. */
export const LINK_COST = 1024;
export const SIBLING_COST = 1;

/** What this Limpet knows of another one. */
export interface KnownHub {
  readonly hub: Address;
  readonly key: string;
  seq: number;
  /** Its links; of a Limpet that has no other, its federation stands for those in it (`federationAddress`). */
  links: readonly LinkState[];
  replaces: Address | null;
  readonly repliers: Set<string>;
  /** For how many ticks no path of links has led to it. */
  lostFor: number;
}

/** The shortest path to another Limpet. */
export interface Path {
  readonly hub: KnownHub;
  readonly cost: number;
  /** The key of the neighbour through which it goes. */
  readonly first: string;
  /** What the filters on the way let pass from here to there. */
  readonly passes: readonly string[];
}

/**
 * In what a Limpet tells of its links, a federation stands for all its links there: each Limpet of it has as many as there are
 * others, and would have to tell all of them whenever one comes or goes.
 */
export function federationAddress(federation: number): Address {
  return { id: 0, life: federation };
}

/** How many links the path has. */
export function linksOf({ cost }: { readonly cost: number }): number {
  return Math.floor(cost / LINK_COST);
}

/**
 * All Limpets that this one has heard of, and their links: every Limpet tells every other one (link-state routing). So
 * each can compute all paths by itself, and a Limpet that has gone takes its names with it, however many believed in them.
 */
export class Topology {
  private readonly self: Address;
  /** The links of this Limpet itself. */
  ownLinks: readonly LinkState[] = [];
  readonly hubs = new Map<string, KnownHub>();
  /** By key: those to which a path leads, but for this Limpet. */
  paths = new Map<string, Path>();

  constructor(self: Address) {
    this.self = self;
    const key = keyOf(self);
    const repliers = new Set<string>();
    this.hubs.set(key, { hub: self, key, seq: 1, links: [], replaces: null, repliers, lostFor: 0 });
  }

  get own(): KnownHub {
    return this.hubs.get(keyOf(this.self)) as KnownHub;
  }

  /** Whether this is news. */
  learn(state: HubState): boolean {
    const key = keyOf(state.hub);
    const known = this.hubs.get(key);
    if (state.seq === 0) return false;
    if (known === undefined) {
      const repliers = new Set(state.repliers);
      this.hubs.set(key, { ...state, key, repliers, lostFor: 0 });
      return true;
    }
    if (state.seq <= known.seq || known === this.own) return false;
    known.seq = state.seq;
    known.links = state.links;
    known.replaces = state.replaces;
    known.repliers.clear();
    for (const name of state.repliers) known.repliers.add(name);
    return true;
  }

  /** The Limpet that a change is about, if the change is news: then its `seq` is the new one. */
  change(hub: Address, seq: number): KnownHub | null {
    const known = this.hubs.get(keyOf(hub));
    if (known === undefined || known === this.own || seq !== known.seq + 1) return null;
    known.seq = seq;
    return known;
  }

  /** Whether a change comes before others that are not known yet. */
  isEarly(hub: Address, seq: number): boolean {
    const known = this.hubs.get(keyOf(hub));
    return known !== this.own && seq > (known?.seq ?? 0) + 1;
  }

  stateOf({ hub, seq, links, replaces, repliers }: KnownHub): HubState {
    return { hub, seq, links, replaces, repliers: [...repliers] };
  }

  /** Whether another Limpet speaks for the bus of this one by now. */
  isReplaced(hub: Address): boolean {
    for (const { replaces } of this.hubs.values()) {
      if (replaces !== null && isSame(replaces, hub)) return true;
    }
    return false;
  }

  /**
   * Finds the shortest path to each Limpet; of two as short, the one through the smaller ids. Gives the Limpets to which the
   * path is another one now, or is no more.
   */
  computePaths(): KnownHub[] {
    const { own, paths: before } = this;
    const paths = new Map<string, Path>();
    const open = new Heap(compare);
    open.push({ hub: own, cost: 0, first: '', passes: [EVERYTHING] });
    const done = new Set<string>();
    for (let nearest = open.pop(); nearest !== undefined; nearest = open.pop()) {
      const { hub, cost } = nearest;
      if (done.has(hub.key)) continue;
      done.add(hub.key);
      if (hub !== own) paths.set(hub.key, nearest);
      for (const link of hub === own ? this.ownLinks : hub.links) {
        const peer = this.hubs.get(keyOf(link.peer));
        if (peer === undefined || done.has(peer.key) || !hasLinkTo(peer, hub)) continue;
        open.push({
          hub: peer,
          cost: cost + link.cost,
          first: hub === own ? peer.key : nearest.first,
          passes: intersections(nearest.passes, link.filters),
        });
      }
    }
    this.paths = paths;
    const changed: KnownHub[] = [];
    for (const [key, path] of paths) {
      const old = before.get(key);
      if (old === undefined || !isSamePath(old, path)) changed.push(path.hub);
    }
    for (const [key, { hub }] of before) if (!paths.has(key)) changed.push(hub);
    return changed;
  }

  /** Limpets that those in reach have links to, and of which nothing is known; and the key of the neighbour to ask. */
  *unknown(): Generator<readonly [hub: Address, neighbour: string]> {
    for (const { hub, first } of this.paths.values()) {
      for (const { peer } of hub.links) {
        if (peer.id !== 0 && !this.hubs.has(keyOf(peer))) yield [peer, first];
      }
    }
  }

  /** Counts a tick for the Limpets that are out of reach; gives those that were for `ticks`, and forgets them. */
  forgetLost(ticks: number): KnownHub[] {
    const forgotten: KnownHub[] = [];
    for (const known of this.hubs.values()) {
      known.lostFor = known === this.own || this.paths.has(known.key) ? 0 : known.lostFor + 1;
      if (known.lostFor > ticks) forgotten.push(known);
    }
    for (const { key } of forgotten) this.hubs.delete(key);
    return forgotten;
  }
}

/** Whether a Limpet says that it has a link to another one, or to a federation of which the other one is. */
function hasLinkTo(one: KnownHub, { hub, links }: KnownHub): boolean {
  return one.links.some(
    ({ peer }) =>
      isSame(peer, hub) || (peer.id === 0 && links.some((other) => isSame(other.peer, peer))),
  );
}

function isSamePath(one: Path, other: Path): boolean {
  return (
    one.hub === other.hub &&
    one.cost === other.cost &&
    one.first === other.first &&
    one.passes.length === other.passes.length &&
    one.passes.every((pattern, at) => pattern === other.passes[at])
  );
}

/** Negative if the first path is the better one: it is shorter, or the id at its end is smaller. */
export function compare(one: Path, other: Path): number {
  return (
    one.cost - other.cost ||
    one.hub.hub.id - other.hub.hub.id ||
    Number.parseInt(one.first, 10) - Number.parseInt(other.first, 10)
  );
}

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

  /** Finds the shortest path to each Limpet; of two as short, the one through the smaller ids. */
  computePaths(): void {
    const { own } = this;
    const paths = new Map<string, Path>();
    const open: Path[] = [{ hub: own, cost: 0, first: '', passes: [EVERYTHING] }];
    const done = new Set<string>();
    for (;;) {
      const nearest = takeNearest(open);
      if (nearest === undefined) break;
      const { hub, cost } = nearest;
      if (done.has(hub.key)) continue;
      done.add(hub.key);
      if (hub !== own) paths.set(hub.key, nearest);
      for (const link of hub.links) {
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

function hasLinkTo(one: KnownHub, { hub }: KnownHub): boolean {
  return one.links.some(({ peer }) => peer.id === hub.id && peer.life === hub.life);
}

/** There are few Limpets: a list will do. */
function takeNearest(open: Path[]): Path | undefined {
  let best = 0;
  for (let at = 1; at < open.length; at++) {
    if (compare(open[at] as Path, open[best] as Path) < 0) best = at;
  }
  return open.splice(best, 1)[0];
}

/** Negative if the first path is the better one: it is shorter, or the id at its end is smaller. */
export function compare(one: Path, other: Path): number {
  return (
    one.cost - other.cost ||
    one.hub.hub.id - other.hub.hub.id ||
    Number.parseInt(one.first, 10) - Number.parseInt(other.first, 10)
  );
}

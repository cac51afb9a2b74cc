import { isMoreSpecific, isWildcard, matches } from '../../message/name.ts';
import { LIMPET_NAMES } from './names.ts';
import { EVERYTHING, intersections } from './patterns.ts';
import { type KnownHub, linksOf, type Path, type Topology } from './topology.ts';

/** A classic Limpet at the other end of a link, as one that has Repliers. */
export interface ClassicProvider {
  readonly classic: true;
}

/** Who gets the Requests of a name answered. */
export type Provider = Path | ClassicProvider;

export interface RepliersHost {
  /** Binds a name on the bus as Replier, in place of one on another bus; the result comes to {@link Repliers.bound}. */
  bind(name: string): void;
  unbind(name: string): void;
  /** Tells all Limpets that Requests of this name are answered here, or no more. */
  advertise(name: string, isBound: boolean): void;
  /** Tells the classic Limpets, but for that one if it alone provides the name. */
  provided(name: string): void;
  /** Whether the Limpet hears this one and is heard. */
  mayAsk(key: string): boolean;
}

type ProxyState = 'bound' | 'refused';

/**
 * The Repliers of all buses, and the names that this Limpet replies for on its own bus in their place (spec 3 §7.4).
 */
export class Repliers {
  /** The Repliers of this bus: their names, and their Ksocks. */
  readonly local = new Map<string, number>();
  private readonly classic = new Map<string, Set<ClassicProvider>>();
  private readonly proxies = new Map<string, ProxyState>();
  private readonly topology: Topology;
  private readonly host: RepliersHost;
  /** By name as it can be asked for from here: the Limpets that have it. */
  private readonly offers = new Map<string, Set<KnownHub>>();
  /** By key of a Limpet: the names that it is in `offers` with. */
  private readonly offered = new Map<string, Set<string>>();
  /** The wildcards among `local` and `proxies`. */
  private readonly wildcards = new Set<string>();

  constructor(topology: Topology, host: RepliersHost) {
    this.topology = topology;
    this.host = host;
  }

  /** The names that this Limpet is bound to, or tries to be. */
  get proxied(): ReadonlyMap<string, ProxyState> {
    return this.proxies;
  }

  // Repliers of this bus

  localBound(name: string, binder: number): void {
    if (name.startsWith(LIMPET_NAMES)) return;
    this.changeOwn(name, () => this.local.set(name, binder));
  }

  localUnbound(name: string): void {
    this.changeOwn(name, () => this.local.delete(name));
  }

  /** All Repliers of this bus, after events were lost. */
  localAre(all: ReadonlyMap<string, number>): void {
    for (const name of [...this.local.keys()]) if (!all.has(name)) this.localUnbound(name);
    for (const [name, binder] of all) this.localBound(name, binder);
  }

  /** The Ksock that the bus gives a Request of this name, unless it is this Limpet; 0 if there is none. */
  binderOf(name: string): number {
    const { local, proxies } = this;
    const best = this.boundFor(name, (bound) => local.has(bound) || proxies.has(bound));
    return best === null ? 0 : (local.get(best) ?? 0);
  }

  /** The most specific of the bound names that matches; a name without wildcards is more specific than any. */
  private boundFor(name: string, isBound: (bound: string) => boolean): string | null {
    if (isBound(name)) return name;
    let best: string | null = null;
    for (const wildcard of this.wildcards) {
      if (!matches(wildcard, name) || !isBound(wildcard)) continue;
      if (best === null || isMoreSpecific(wildcard, best)) best = wildcard;
    }
    return best;
  }

  private noteWildcard(name: string): void {
    if (!isWildcard(name)) return;
    if (this.local.has(name) || this.proxies.has(name)) this.wildcards.add(name);
    else this.wildcards.delete(name);
  }

  /** Whether the bus gives a Request of this name to this Limpet. */
  isProxyOf(name: string): boolean {
    return this.proxies.size > 0 && this.choose(name) !== null && this.binderOf(name) === 0;
  }

  // Repliers behind classic Limpets

  classicBound(provider: ClassicProvider, name: string): void {
    if (name.startsWith(LIMPET_NAMES)) return;
    this.changeOwn(name, () => {
      const known = this.classic.get(name);
      if (known === undefined) this.classic.set(name, new Set([provider]));
      else known.add(provider);
    });
  }

  classicUnbound(provider: ClassicProvider, name: string): void {
    this.changeOwn(name, () => {
      const known = this.classic.get(name);
      known?.delete(provider);
      if (known?.size === 0) this.classic.delete(name);
    });
  }

  classicGone(provider: ClassicProvider): void {
    for (const [name, providers] of [...this.classic]) {
      if (providers.has(provider)) this.classicUnbound(provider, name);
    }
  }

  private changeOwn(name: string, change: () => void): void {
    const before = this.isOwn(name);
    change();
    const after = this.isOwn(name);
    this.noteWildcard(name);
    if (before !== after) this.host.advertise(name, after);
    this.decide(name);
  }

  private isOwn(name: string): boolean {
    return this.local.has(name) || this.classic.has(name);
  }

  // Repliers of other Limpets

  /** A Limpet has bound or unbound this name. */
  changed(hub: KnownHub, name: string): void {
    const path = this.topology.paths.get(hub.key);
    if (path === undefined) return;
    if (path.passes.includes(EVERYTHING)) {
      this.offer(hub, name, hub.repliers.has(name));
      this.decide(name);
    } else this.changedAll(hub);
  }

  /** The path to a Limpet has changed, or its names have, or it may be asked from now on. */
  changedAll(hub: KnownHub): void {
    const path = this.topology.paths.get(hub.key);
    const names = path === undefined ? [] : intersections(path.passes, [...hub.repliers]);
    const now = new Set(names);
    for (const name of [...(this.offered.get(hub.key) ?? [])]) {
      if (now.has(name)) continue;
      this.offer(hub, name, false);
      this.decide(name);
    }
    for (const name of now) {
      this.offer(hub, name, true);
      this.decide(name);
    }
  }

  private offer(hub: KnownHub, name: string, isOffered: boolean): void {
    change(this.offers, name, hub, isOffered);
    change(this.offered, hub.key, name, isOffered);
  }

  /** Binds or unbinds a name on this bus, as who has Repliers for it. */
  private decide(name: string): void {
    const isWanted = !this.local.has(name) && this.providerOf(name) !== null;
    const isBound = this.proxies.has(name);
    if (isWanted && !isBound) {
      this.proxies.set(name, 'bound');
      this.noteWildcard(name);
      this.host.bind(name);
    } else if (!isWanted && isBound) {
      const state = this.proxies.get(name);
      this.proxies.delete(name);
      this.noteWildcard(name);
      if (state === 'bound') this.host.unbind(name);
    }
    this.host.provided(name);
  }

  /** The bus has bound the name, or refused to: a Replier of this bus was faster, or an event was in the way. */
  bound(name: string, isBound: boolean): void {
    if (!isBound && this.proxies.has(name)) this.proxies.set(name, 'refused');
  }

  /** Tries again what the bus has refused. */
  tick(): void {
    for (const [name, state] of this.proxies) {
      if (state !== 'refused') continue;
      this.proxies.set(name, 'bound');
      this.host.bind(name);
    }
  }

  /** The Limpet has another Ksock: nothing is bound. */
  rebind(): void {
    for (const name of this.proxies.keys()) {
      this.proxies.set(name, 'bound');
      this.host.bind(name);
    }
  }

  /** Who has the name, if this bus has not: a classic Limpet of a link of this one, or the nearest other Limpet. */
  providerOf(name: string): Provider | null {
    for (const provider of this.classic.get(name) ?? []) return provider;
    let best: Path | null = null;
    for (const { key } of this.offers.get(name) ?? []) {
      const path = this.topology.paths.get(key);
      if (path === undefined || !this.host.mayAsk(key)) continue;
      if (best === null || isNearer(path, best)) best = path;
    }
    return best;
  }

  /** Whether somebody else than this classic Limpet gets Requests of this name answered. */
  isProvidedTo(provider: ClassicProvider, name: string): boolean {
    if (this.local.has(name)) return true;
    for (const other of this.classic.get(name) ?? []) if (other !== provider) return true;
    for (const { key } of this.offers.get(name) ?? []) if (this.host.mayAsk(key)) return true;
    return false;
  }

  /** Every name that anybody gets answered. */
  allNames(): Set<string> {
    return new Set([...this.local.keys(), ...this.classic.keys(), ...this.offers.keys()]);
  }

  /** The names that classic Limpets provide. */
  get classicNames(): Iterable<string> {
    return this.classic.keys();
  }

  /** Who answers a Request that the bus gave to this Limpet: the provider of the most specific name that it is bound to. */
  choose(name: string): Provider | null {
    const best = this.boundFor(name, (bound) => this.proxies.has(bound));
    return best === null ? null : this.providerOf(best);
  }
}

/** Puts a value into the set of a key, or takes it out. */
function change<K, V>(sets: Map<K, Set<V>>, key: K, value: V, isIn: boolean): void {
  const set = sets.get(key);
  if (isIn) {
    if (set === undefined) sets.set(key, new Set([value]));
    else set.add(value);
  } else if (set?.delete(value) && set.size === 0) sets.delete(key);
}

/** The path over fewer links is the nearer one, then the one to the smaller network id (spec 3 §7.4). */
function isNearer(one: Path, other: Path): boolean {
  const difference = linksOf(one) - linksOf(other) || one.hub.hub.id - other.hub.hub.id;
  return difference < 0;
}

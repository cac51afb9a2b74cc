import { isMoreSpecific, matches } from '../../message/name.ts';
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
  private offers = new Map<string, Set<KnownHub>>();

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
    let best: string | null = null;
    for (const bound of [...local.keys(), ...proxies.keys()]) {
      if (matches(bound, name) && (best === null || isMoreSpecific(bound, best))) best = bound;
    }
    return best === null ? 0 : (local.get(best) ?? 0);
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
    if (!path.passes.includes(EVERYTHING)) {
      this.changedAll();
      return;
    }
    const offering = this.offers.get(name) ?? new Set();
    if (hub.repliers.has(name)) offering.add(hub);
    else offering.delete(hub);
    if (offering.size > 0) this.offers.set(name, offering);
    else this.offers.delete(name);
    this.decide(name);
  }

  /** Paths have changed, or a Limpet may be asked from now on. */
  changedAll(): void {
    const offers = new Map<string, Set<KnownHub>>();
    for (const { hub, passes } of this.topology.paths.values()) {
      for (const name of intersections(passes, [...hub.repliers])) {
        const offering = offers.get(name);
        if (offering === undefined) offers.set(name, new Set([hub]));
        else offering.add(hub);
      }
    }
    const names = new Set([...this.offers.keys(), ...offers.keys(), ...this.proxies.keys()]);
    this.offers = offers;
    for (const name of names) this.decide(name);
  }

  /** Binds or unbinds a name on this bus, as who has Repliers for it. */
  private decide(name: string): void {
    const isWanted = !this.local.has(name) && this.providerOf(name) !== null;
    const isBound = this.proxies.has(name);
    if (isWanted && !isBound) {
      this.proxies.set(name, 'bound');
      this.host.bind(name);
    } else if (!isWanted && isBound) {
      const state = this.proxies.get(name);
      this.proxies.delete(name);
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
    let best: string | null = null;
    for (const bound of this.proxies.keys()) {
      if (matches(bound, name) && (best === null || isMoreSpecific(bound, best))) best = bound;
    }
    return best === null ? null : this.providerOf(best);
  }
}

/** The path over fewer links is the nearer one, then the one to the smaller network id (spec 3 §7.4). */
function isNearer(one: Path, other: Path): boolean {
  const difference = linksOf(one) - linksOf(other) || one.hub.hub.id - other.hub.hub.id;
  return difference < 0;
}

import { Random } from '../../../harness/random.mjs';
import { type Address, keyOf } from '../../../src/limpet/hub/address.ts';
import { Bowl, type Goldfish } from './bowl.ts';
import { Cable, type Ledger, Limpet, type PondOptions } from './pond.ts';

const NAMES = ['$.a', '$.b', '$.b.c', '$.d.*', '$.d.e'] as const;
const SENT = ['$.a', '$.b', '$.b.c', '$.d.e', '$.d.f'] as const;
const EVERYTHING = [['$.*'], ['$.*']] as const;

/** One place where a Limpet may run: on this bowl, with this network id. */
interface Berth {
  readonly bowl: Bowl;
  readonly id: number;
  limpet: Limpet | null;
  lives: number;
}

/** What may happen in a run. */
export interface Weather {
  readonly bowls: number;
  /** Limpets die and start, and buses restart. */
  readonly deaths: boolean;
  readonly filters: boolean;
  /** How many federations there may be. */
  readonly federations: number;
  readonly steps: number;
  readonly maxBytes: number;
  readonly congested: number;
  /** After how many ticks a Limpet out of reach is forgotten. */
  readonly forgetAfter: number;
  /** Buses refuse what Limpets bring, for a while. */
  readonly shortages: boolean;
}

export interface Figures {
  steps: number;
  announcements: number;
  deliveries: number;
  requests: number;
  cuts: number;
  deaths: number;
  missed: number;
  statuses: Record<string, number>;
}

export function drawWeather(random: Random): Weather {
  return {
    bowls: 2 + random.below(7),
    deaths: random.chance(0.5),
    filters: random.chance(0.2),
    federations: random.chance(0.5) ? 1 + random.below(2) : 0,
    steps: 100 + random.below(500),
    maxBytes: random.chance(0.3) ? 2000 : 1_000_000,
    congested: random.chance(0.3) ? 2 : 1000,
    forgetAfter: random.chance(0.2) ? 2 : 20,
    shortages: random.chance(0.3),
  };
}

/** Buses, Limpets and links at random; checks what docs/limpets.md promises. */
export class World {
  private readonly random: Random;
  private readonly weather: Weather;
  private readonly options: PondOptions;
  private readonly bowls: Bowl[] = [];
  private readonly berths: Berth[] = [];
  private readonly cables: Cable[] = [];
  private readonly speakers = new Map<Bowl, Address>();
  private readonly announced: string[] = [];
  /** What Limpets have passed on: in which bowl it was sent; and the same by Limpet and number. */
  private readonly passed = new Map<string, Bowl>();
  private readonly numbered = new Map<string, string>();
  /** Requests that were to be carried out in a bowl, which did not hear them. */
  private readonly refused = new Map<Bowl, Set<string>>();
  readonly figures: Figures = {
    steps: 0,
    announcements: 0,
    deliveries: 0,
    requests: 0,
    cuts: 0,
    deaths: 0,
    missed: 0,
    statuses: {},
  };

  constructor(random: Random, weather: Weather, sabotage?: PondOptions['sabotage']) {
    this.random = random;
    this.weather = weather;
    this.options = {
      maxBytes: weather.maxBytes,
      forgetAfter: weather.forgetAfter,
      congested: weather.congested,
      ledger: this.ledger(),
      sabotage,
    };
    for (let at = 0; at < weather.bowls; at++) this.bowls.push(new Bowl(at));
    this.build();
  }

  private ledger(): Ledger {
    const numberOf = (hub: Address, n: number): string => `${keyOf(hub)} ${n}`;
    return {
      passed: ({ bowl, hub }, n, text) => {
        this.passed.set(text, bowl);
        this.numbered.set(numberOf(hub.address, n), text);
      },
      refused: ({ bowl }, origin, n) => {
        const text = this.numbered.get(numberOf(origin, n)) ?? '';
        this.refused.set(bowl, (this.refused.get(bowl) ?? new Set()).add(text));
      },
    };
  }

  /** A random graph: some bowls have two Limpets, some links are doubled; chance makes rings. */
  private build(): void {
    const { random, bowls } = this;
    let id = 1;
    for (const bowl of bowls) {
      const count = random.chance(0.25) ? 2 : 1;
      for (let at = 0; at < count; at++) {
        this.berths.push({ bowl, id: id++, limpet: null, lives: 0 });
      }
    }
    for (const bowl of bowls) {
      const [one, other] = this.berths.filter((berth) => berth.bowl === bowl);
      if (other !== undefined) this.join(one as Berth, other, true);
    }
    // A tree, and some more; or only what federations join.
    const isTree = this.weather.federations === 0 || random.chance(0.7);
    for (let at = 1; isTree && at < bowls.length; at++) {
      this.join(
        this.anyBerthOf(bowls[at] as Bowl),
        this.anyBerthOf(bowls[random.below(at)] as Bowl),
      );
    }
    const more = isTree ? random.below(4) : 0;
    for (let at = 0; at < more; at++) {
      const one = random.pick(bowls);
      const other = random.pick(bowls);
      if (one !== other) this.join(this.anyBerthOf(one), this.anyBerthOf(other));
    }
    for (let federation = 1; federation <= this.weather.federations; federation++) {
      this.federate(federation, isTree ? random.pick([0.5, 1]) : 1);
    }
    for (const berth of this.berths) this.start(berth);
    for (const cable of this.cables) cable.connect();
    this.settle();
    for (const bowl of bowls) {
      bowl.add();
      if (random.chance(0.5)) bowl.add();
    }
  }

  /** Joins this part of the Limpets, each with each other one that is of another bowl. */
  private federate(federation: number, part: number): void {
    const some = this.berths.filter(() => this.random.chance(part));
    for (const [at, one] of some.entries()) {
      for (const other of some.slice(at + 1)) {
        if (one.bowl !== other.bowl) this.join(one, other, false, federation);
      }
    }
  }

  private anyBerthOf(bowl: Bowl): Berth {
    return this.random.pick(this.berths.filter((berth) => berth.bowl === bowl));
  }

  private join(one: Berth, other: Berth, isSibling = false, federation = 0): void {
    const filters =
      this.weather.filters && !isSibling && federation === 0 && this.random.chance(0.5)
        ? [[this.random.pick(['$.a', '$.b.*', '$.%', '$.d.*'])], ['$.*']]
        : EVERYTHING;
    const { congested } = this.options;
    const both = (): readonly [Limpet, Limpet] | null =>
      one.limpet === null || other.limpet === null ? null : [one.limpet, other.limpet];
    this.cables.push(
      new Cable(this.cables.length, isSibling, congested, filters, both, federation),
    );
  }

  private start(berth: Berth): void {
    const life = 1 + ++berth.lives * 10 + this.random.below(10);
    berth.limpet = new Limpet(berth.bowl, berth.id, life, this.options);
    this.elect(berth.bowl);
  }

  /** If no Limpet speaks for the bus, one of those that are there does. */
  private elect(bowl: Bowl): void {
    const there = this.berths.filter((berth) => berth.bowl === bowl && berth.limpet !== null);
    if (there.length === 0 || there.some(({ limpet }) => limpet?.speaks)) return;
    const { limpet } = this.random.pick(there);
    limpet?.speak(this.speakers.get(bowl) ?? null);
    if (limpet !== null) this.speakers.set(bowl, limpet.hub.address);
  }

  private kill(berth: Berth): void {
    berth.limpet?.die();
    berth.limpet = null;
    this.figures.deaths++;
    this.elect(berth.bowl);
  }

  private allFish(): Goldfish[] {
    return this.bowls.flatMap(({ fish }) => fish);
  }

  /** A random run; then all becomes quiet, and everything must be right. */
  run(): void {
    const { random, weather } = this;
    for (let at = 0; at < weather.steps; at++) {
      this.figures.steps++;
      this.step();
      if (random.chance(0.05)) for (const fish of this.allFish()) fish.readAll();
    }
    this.end();
  }

  private step(): void {
    const { random, weather } = this;
    const fishes = this.allFish();
    const fish = fishes.length > 0 ? random.pick(fishes) : undefined;
    const what = random.weighted({
      announce: 20,
      ask: 12,
      answer: 10,
      bind: 5,
      unbind: 3,
      leave: 0.5,
      appear: 1,
      read: 25,
      take: 60,
      cut: 1.5,
      connect: 6,
      tick: weather.forgetAfter < 10 ? 20 : 3,
      flush: 10,
      die: weather.deaths ? 0.5 : 0,
      start: weather.deaths ? 3 : 0,
      restart: weather.deaths ? 0.3 : 0,
      shortage: weather.shortages ? 3 : 0,
    });
    switch (what) {
      case 'announce':
        if (fish === undefined) return;
        this.announced.push(fish.announce(random.pick(SENT)));
        this.figures.announcements++;
        return;
      case 'ask':
        if (fish?.ask(random.pick(SENT)) !== undefined) this.figures.requests++;
        return;
      case 'answer':
        fish?.readAll();
        fish?.answerOne();
        return;
      case 'bind':
        fish?.bind(random.pick(NAMES));
        return;
      case 'unbind':
        // What a Replier has not read, it does not hear any more; the first of a bowl hears all.
        if (fish?.bowl.fish[0] === fish) fish?.readAll();
        fish?.unbind(random.pick(NAMES));
        return;
      case 'leave':
        // The first of a bowl stays: it hears all.
        if (fish === undefined || fish.bowl.fish[0] === fish) return;
        fish.readAll();
        fish.leave();
        fish.bowl.fish.splice(fish.bowl.fish.indexOf(fish), 1);
        return;
      case 'appear': {
        const bowl = random.pick(this.bowls);
        if (bowl.fish.length < 4) bowl.add();
        return;
      }
      case 'read':
        random.pick(this.berths).limpet?.read(1 + random.below(5));
        return;
      case 'take': {
        const cable = random.pick(this.cables);
        cable.take(random.below(2), 1 + random.below(6));
        return;
      }
      case 'cut': {
        const cable = random.pick(this.cables);
        if (!cable.isUp || cable.cost === 1) return;
        cable.cut();
        this.figures.cuts++;
        return;
      }
      case 'connect':
        random.pick(this.cables).connect();
        return;
      case 'tick':
        random.pick(this.berths).limpet?.hub.tick();
        return;
      case 'flush':
        random.pick(this.berths).limpet?.flushAll();
        return;
      case 'die': {
        const berth = random.pick(this.berths);
        if (berth.limpet !== null) this.kill(berth);
        return;
      }
      case 'start': {
        const berth = this.berths.find(({ limpet }) => limpet === null);
        if (berth !== undefined) this.start(berth);
        return;
      }
      case 'shortage': {
        const bowl = random.pick(this.bowls);
        bowl.isShort = !bowl.isShort;
        bowl.refusesLate = random.chance(0.5);
        return;
      }
      case 'restart':
        this.restart(random.pick(this.bowls));
        return;
    }
  }

  /** The bus restarts: its goldfish are gone, and its Limpets begin a new life. */
  private restart(bowl: Bowl): void {
    for (const fish of bowl.fish) fish.readAll();
    const berths = this.berths.filter((berth) => berth.bowl === bowl && berth.limpet !== null);
    for (const berth of berths) {
      berth.limpet?.die();
      berth.limpet = null;
    }
    bowl.restart();
    this.speakers.delete(bowl);
    this.figures.deaths++;
    for (const berth of berths) this.start(berth);
    bowl.add();
  }

  /** Everything that can happen happens, until nothing can. It must not go on for ever. */
  private settle(): void {
    const limit = 200 + 20 * this.bowls.length;
    for (let round = 0; ; round++) {
      if (round > limit) {
        const st = this.cables.map((c) =>
          c.ends.map((e) =>
            e.queue
              .slice(0, 3)
              .map((f) => (typeof f === 'string' ? f : JSON.stringify(f).slice(0, 150))),
          ),
        );
        throw new Error(
          `it does not become quiet in ${limit} rounds` +
            JSON.stringify(st, null, 1).slice(0, 3000),
        );
      }
      let isBusy = false;
      for (const cable of this.cables) {
        for (const which of [0, 1]) {
          const count = 1 + this.random.below(20);
          if (cable.take(which, count)) isBusy = true;
        }
      }
      for (const { limpet } of this.berths) {
        if (limpet?.read(1000)) isBusy = true;
        if (limpet?.flushAll()) isBusy = true;
      }
      if (!isBusy) return;
    }
  }

  private end(): void {
    for (const bowl of this.bowls) bowl.isShort = false;
    for (const berth of this.berths) if (berth.limpet === null) this.start(berth);
    this.settle();
    for (const cable of this.cables) cable.connect();
    this.settle();
    for (let round = 0; round < 10; round++) {
      for (const fish of this.allFish()) {
        fish.readAll();
        fish.answerAll();
      }
      for (const { limpet } of this.berths) limpet?.hub.tick();
      this.settle();
    }
    for (const fish of this.allFish()) fish.readAll();
    this.checkAnswers();
    this.checkProxies();
    if (!this.weather.deaths && !this.weather.filters) this.checkDeliveries();
    for (const { limpet } of this.berths) {
      if (limpet === null) continue;
      this.figures.missed += limpet.hub.counts.missed;
      if (limpet.hub.inFlight > 0) throw new Error(`Limpet ${limpet.id} still waits for answers`);
      for (const { hub } of limpet.hub.topology.paths.values()) {
        if (hub.hub.id === limpet.id)
          throw new Error(`an ended life of Limpet ${limpet.id} is in reach`);
      }
      // Ticks may have come faster than the news that the last life of a Limpet had ended.
      const warnings = limpet.warnings.filter((text) => !text.includes('also has the network id'));
      if (warnings.length > 0) throw new Error(warnings.join('; '));
    }
  }

  private checkAnswers(): void {
    for (const fish of this.allFish()) {
      for (const asked of fish.asked.values()) {
        if (asked.answers.length !== 1) {
          throw new Error(
            `${asked.answers.length} answers, not one: ${JSON.stringify(asked)} in ${fish.bowl.name}`,
          );
        }
        const [name = ''] = asked.answers;
        const { statuses } = this.figures;
        const status = name.startsWith('$.KBUS.') ? name : 'Reply';
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    }
  }

  /** Each bus asks its own Replier if it has one; else there is a proxy, if and only if another bus has a Replier. */
  private checkProxies(): void {
    if (this.weather.filters) return;
    for (const bowl of this.bowls) {
      const speaker = this.berths.find((each) => each.bowl === bowl && each.limpet?.speaks);
      const proxied = new Set(speaker?.limpet?.proxied);
      for (const name of NAMES) {
        const has = (other: Bowl): boolean => other.fish.some(({ replying }) => replying.has(name));
        const isHere = has(bowl);
        const isElsewhere = this.bowls.some((other) => other !== bowl && has(other));
        if (proxied.has(name) !== (isElsewhere && !isHere)) {
          throw new Error(
            `${bowl.name} ${proxied.has(name) ? 'has a' : 'lacks its'} proxy for ${name}`,
          );
        }
      }
    }
  }

  /** The first goldfish of each bowl was there all the time: it heard each message, or was told how many it missed. */
  private checkDeliveries(): void {
    const { announced, passed, weather } = this;
    for (const text of announced)
      if (!passed.has(text)) throw new Error(`${text} was not passed on`);
    for (const bowl of this.bowls) {
      const [witness] = bowl.fish;
      if (witness === undefined) continue;
      const refused = this.refused.get(bowl);
      let unheard = 0;
      for (const [text, from] of passed) {
        if (from === bowl || refused?.has(text)) continue;
        if (witness.heard.has(text)) this.figures.deliveries++;
        else unheard++;
      }
      if (unheard !== witness.missed) {
        throw new Error(
          `${bowl.name} lacks ${unheard} messages, and was told of ${witness.missed}`,
        );
      }
      const isRich = weather.maxBytes > 100_000 && weather.forgetAfter > 10 && !weather.shortages;
      if (isRich && witness.missed > bowl.refusedCopies) {
        throw new Error(`${bowl.name} was told of ${witness.missed} missed messages`);
      }
    }
  }
}

/** A run from its seed; throws what is wrong. */
export function simulate(seed: number, sabotage?: PondOptions['sabotage']): Figures {
  const random = new Random(seed);
  const world = new World(random, drawWeather(random), sabotage);
  world.run();
  return world.figures;
}

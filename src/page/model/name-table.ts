import { Errno } from '../../message/errno.ts';
import type { MessageKind } from '../../message/fields.ts';
import { isWildcard, matches } from '../../message/name.ts';
import type { BindingInfo, SeenMessage, TapEvent } from '../../tap/events.ts';
import { KBUS } from './programs.ts';
import { RateLine } from './rate-line.ts';

/** So many names are told apart; when there are more, those that were not used for longest are forgotten. */
const MAX_NAMES = 5000;
/** So many bytes of a last value are shown. */
const VALUE_BYTES = 200;

/** What is known of a name. */
export class NameFacts {
  readonly name: string;
  count = 0;
  /** When the last message of this name came; -1: none did. */
  lastAt = -1;
  lastFrom = 0;
  lastKind: MessageKind = 'Announcement';
  /** The beginning of its data; a copy, so that it keeps nothing else in memory. */
  lastData: Uint8Array = NO_DATA;
  lastSize = 0;
  /** Requests that were refused, because nobody replies. */
  unanswerable = 0;
  readonly line = new RateLine();

  constructor(name: string) {
    this.name = name;
  }
}

const NO_DATA = new Uint8Array(0);

/** Who is bound to a name. */
export interface BoundTo {
  readonly listeners: readonly BindingInfo[];
  readonly repliers: readonly BindingInfo[];
}

/** The names that are used on a bus, or bound to. */
export class NameTable {
  /** By name, the one that was used last at the end. */
  private readonly names = new Map<string, NameFacts>();
  private readonly bindings = new Map<number, BindingInfo>();
  /** Names that were forgotten. */
  forgotten = 0;
  /** Rises when names or bindings come and go. */
  version = 0;
  private readonly bound = new Map<string, BoundTo>();

  apply(event: TapEvent): void {
    switch (event.type) {
      case 'begin':
        this.bindings.clear();
        this.changed();
        break;
      case 'binding':
      case 'bound':
        this.bindings.set(event.binding, event);
        if (!isWildcard(event.name)) this.factsOf(event.name);
        this.changed();
        break;
      case 'unbound':
        this.bindings.delete(event.binding);
        this.changed();
        break;
      case 'closed':
        for (const [number, { ksock }] of this.bindings) {
          if (ksock === event.ksock) this.bindings.delete(number);
        }
        this.changed();
        break;
      case 'messages':
        for (const message of event.messages) this.note(message, event.from, event.time);
        break;
      case 'refused':
        if (event.errno !== Errno.EADDRNOTAVAIL) break;
        for (const message of event.messages) {
          if (message.isRequest()) this.factsOf(message.name).unanswerable++;
        }
        break;
    }
  }

  private changed(): void {
    this.version++;
    this.bound.clear();
  }

  private note(message: SeenMessage, from: number, time: number): void {
    const facts = this.factsOf(message.name);
    facts.count++;
    facts.lastAt = time;
    facts.lastFrom = message.isSynthetic() ? KBUS : from;
    facts.lastKind = message.kind;
    facts.lastSize = message.wholeLength;
    const { bytes, dataAt, dataLength } = message;
    facts.lastData = bytes.slice(dataAt, dataAt + Math.min(dataLength, VALUE_BYTES));
    facts.line.add(time);
  }

  private factsOf(name: string): NameFacts {
    let facts = this.names.get(name);
    if (facts === undefined) {
      if (this.names.size >= MAX_NAMES) this.forget();
      facts = new NameFacts(name);
      this.names.set(name, facts);
      this.version++;
    }
    return facts;
  }

  private forget(): void {
    let oldest: NameFacts | null = null;
    let searched = 0;
    // Among the first ones: good enough, and quick.
    for (const facts of this.names.values()) {
      if (oldest === null || facts.lastAt < oldest.lastAt) oldest = facts;
      if (++searched >= 64) break;
    }
    if (oldest === null) return;
    this.names.delete(oldest.name);
    this.bound.delete(oldest.name);
    this.forgotten++;
  }

  get(name: string): NameFacts | undefined {
    return this.names.get(name);
  }

  get size(): number {
    return this.names.size;
  }

  all(): Iterable<NameFacts> {
    return this.names.values();
  }

  /** Bindings to wildcards, in the order in which they were made. */
  get wildcards(): BindingInfo[] {
    return [...this.bindings.values()].filter(({ name }) => isWildcard(name));
  }

  boundTo(name: string): BoundTo {
    let bound = this.bound.get(name);
    if (bound === undefined) {
      const all = [...this.bindings.values()].filter((one) => matches(one.name, name));
      bound = {
        listeners: all.filter(({ replier }) => !replier),
        repliers: all.filter(({ replier }) => replier),
      };
      this.bound.set(name, bound);
    }
    return bound;
  }
}

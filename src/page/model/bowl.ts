import { escaped } from '../../base/escape.ts';
import { BusView } from '../../tap/bus-view.ts';
import type { TapEvent } from '../../tap/events.ts';
import { LIMPET_NAME, Programs } from './programs.ts';

/** One end of a link, as its Limpet tells. */
export interface Link {
  readonly kind: string;
  readonly address: string;
  readonly state: string;
  readonly why: string;
  /** The network id of the Limpet at the other end; null if it is not known. */
  readonly peer: number | null;
  /** Milliseconds there and back. */
  readonly roundTrip: number | null;
}

/** A bus as the picture of all of them shows it. */
export class Bowl {
  readonly bus: number;
  readonly view = new BusView();
  readonly programs = new Programs();
  /** Why it can't be observed; '' if it can. */
  fault = '';
  /** The links of its Limpets, by their network ids; null: the Limpet did not tell. */
  readonly links = new Map<number, readonly Link[] | null>();

  constructor(bus: number) {
    this.bus = bus;
  }

  apply(event: TapEvent): void {
    this.view.apply(event);
    this.programs.apply(event);
  }

  /** Network ids of the Limpets on the bus. */
  get limpets(): number[] {
    const found = new Set<number>();
    for (const { name, replier } of this.view.bindings.values()) {
      const id = Number(name.slice(LIMPET_NAME.length));
      if (replier && name.startsWith(LIMPET_NAME) && Number.isInteger(id)) found.add(id);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** The names of the programs that are no Limpets, and how many Ksocks each has. */
  get names(): [name: string, ksocks: number][] {
    const counts = new Map<string, number>();
    for (const ksock of this.view.ksocks.keys()) {
      const program = this.programs.get(ksock);
      if (program === undefined || program.limpet !== null) continue;
      const name = this.programs.nameOf(ksock);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts].sort(([a], [b]) => a.localeCompare(b));
  }
}

/** The links in a Limpet's report, which any program may have made; null: it is none. */
export function linksOf(report: unknown): Link[] | null {
  const { links } = (report ?? {}) as { links?: unknown };
  if (!Array.isArray(links)) return null;
  return links.slice(0, MOST_LINKS).map((link: Record<string, unknown>) => {
    const text = (key: string): string => escaped(String(link?.[key] ?? '').slice(0, MOST_LETTERS));
    const number = (key: string): number | null => {
      const value = link?.[key];
      return typeof value === 'number' && Number.isFinite(value) ? value : null;
    };
    return {
      kind: text('kind'),
      address: text('address'),
      state: text('state'),
      why: text('why'),
      peer: number('peer'),
      roundTrip: number('roundTrip'),
    };
  });
}

const MOST_LINKS = 64;
const MOST_LETTERS = 200;

/** A link between two Limpets, of which at least one is on a bus that is shown. */
export interface Joint {
  readonly from: number;
  /** The other Limpet; null if nobody is there. */
  readonly to: number | null;
  /** As each of those that are shown tells it. */
  readonly ends: readonly Link[];
}

/** The links of all bowls, each once, though both of its Limpets tell of it. */
export function jointsOf(bowls: readonly Bowl[]): Joint[] {
  const joints = new Map<string, Joint>();
  for (const { links } of bowls) {
    for (const [id, all] of links) {
      for (const [at, link] of (all ?? []).entries()) {
        const { peer } = link;
        const key = peer === null ? `${id} alone ${at}` : [id, peer].sort((a, b) => a - b).join();
        const known = joints.get(key);
        if (known === undefined) joints.set(key, { from: id, to: peer, ends: [link] });
        else joints.set(key, { ...known, ends: [...known.ends, link] });
      }
    }
  }
  return [...joints.values()];
}

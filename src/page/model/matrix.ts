import type { Pair, Pairs } from './pairs.ts';
import type { Program, Programs } from './programs.ts';
import { KBUS } from './programs.ts';

/** Who talks to whom, as a table: senders are rows, receivers are columns, both in the order of their ids. */
export interface Matrix {
  readonly senders: readonly number[];
  readonly receivers: readonly number[];
  readonly pairs: readonly Pair[];
  /** The highest rate, and the highest count, of a pair. */
  readonly topRate: number;
  readonly topCount: number;
}

/** The matrix of all who send or receive. */
export function matrixOf(pairs: Pairs): Matrix {
  const all = [...pairs.all()];
  const sorted = (ids: number[]): number[] => [...new Set(ids)].sort((a, b) => a - b);
  return {
    senders: sorted(all.map(({ from }) => from)),
    receivers: sorted(all.map(({ to }) => to)),
    pairs: all,
    topRate: all.reduce((most, { rate }) => Math.max(most, rate), 0),
    topCount: all.reduce((most, { count }) => Math.max(most, count), 0),
  };
}

/** How strongly a pair is shown, from 0 to 1: by its rate; one that was busy before is shown faintly. */
export function strengthOf({ count, rate }: Pair, { topCount, topRate }: Matrix): number {
  const part = (value: number, top: number): number =>
    top <= 0 ? 0 : Math.log1p(value) / Math.log1p(top);
  return rate > 0 ? 0.35 + 0.65 * part(rate, topRate) : 0.1 + 0.1 * part(count, topCount);
}

/** Someone who talks with the one that is chosen. */
export interface Neighbour {
  readonly ksock: number;
  readonly program: Program | undefined;
  readonly pair: Pair;
}

/** The neighbourhood of a Ksock: who sends to it, and to whom it sends; the busiest first. */
export function neighboursOf(
  pairs: Pairs,
  programs: Programs,
  ksock: number,
): { senders: Neighbour[]; receivers: Neighbour[] } {
  const senders: Neighbour[] = [];
  const receivers: Neighbour[] = [];
  for (const pair of pairs.all()) {
    if (pair.to === ksock) {
      senders.push({ ksock: pair.from, program: programs.get(pair.from), pair });
    }
    if (pair.from === ksock) {
      receivers.push({ ksock: pair.to, program: programs.get(pair.to), pair });
    }
  }
  const busiest = (a: Neighbour, b: Neighbour): number =>
    b.pair.rate - a.pair.rate || b.pair.count - a.pair.count || a.ksock - b.ksock;
  return { senders: senders.sort(busiest), receivers: receivers.sort(busiest) };
}

/** `⇄ Limpet 2` for a link to other buses, and the name of everybody else. */
export function labelOf(programs: Programs, ksock: number): string {
  const isLimpet = ksock !== KBUS && programs.get(ksock)?.limpet != null;
  return `${isLimpet ? '⇄ ' : ''}${programs.nameOf(ksock)}`;
}

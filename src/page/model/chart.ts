import { type Filter, NO_FILTER, testOf } from './filter.ts';
import type { Entry, History } from './history.ts';
import type { Programs } from './programs.ts';

/** One line of the chart: a message, or several that are alike. */
export interface Row {
  readonly first: Entry;
  /** The newest of those alike. */
  last: Entry;
  count: number;
  readonly key: string;
  /** Its place among all rows, from 0. */
  readonly number: number;
}

/** So many rows can be scrolled back to. */
const MAX_ROWS = 5000;
/** A message folds into one of so many rows before it. */
const FOLD_WITHIN = 8;

/**
 * The rows of the sequence chart: those messages of a history that a filter shows, in order, and folded where they repeat.
 * Bounded: the first rows are forgotten.
 */
export class Chart {
  private readonly history: History;
  private readonly programs: Programs;
  private rows: Row[] = [];
  private begin = 0;
  private next = 0;
  /** Rows that went by too quickly to be drawn. */
  undrawn = 0;
  /** Rows before this number were drawn, or counted; -1: none of what is there now was. */
  private drawnUpTo = -1;
  private filter: Filter = NO_FILTER;
  private isFolding = false;
  private test: (entry: Entry) => boolean = () => true;
  /** The time of the model, for the filter. */
  private now = 0;
  /** While paused, the chart ends before this message. */
  private pausedAt: number | null = null;

  constructor(history: History, programs: Programs) {
    this.history = history;
    this.programs = programs;
  }

  /** Chooses what is shown: all of the history is looked through again. */
  choose(filter: Filter, isFolding: boolean): void {
    if (filter === this.filter && isFolding === this.isFolding) return;
    this.filter = filter;
    this.isFolding = isFolding;
    this.test = testOf(filter, this.programs, () => this.now);
    this.rebuild();
  }

  private rebuild(): void {
    this.rows = [];
    this.begin = 0;
    this.drawnUpTo = -1;
    this.next = Math.max(this.history.first, 0);
    this.take(this.now);
  }

  pause(): void {
    this.pausedAt ??= this.history.end;
  }

  resume(): void {
    this.pausedAt = null;
  }

  get isPaused(): boolean {
    return this.pausedAt !== null;
  }

  /** Messages that came while the chart is paused. */
  get held(): number {
    return this.pausedAt === null ? 0 : this.history.end - this.pausedAt;
  }

  /** Takes the messages that have come. What comes of a message that is being sent now is taken the next time. */
  take(now: number): void {
    this.now = now;
    const { history } = this;
    const end = Math.min(history.end, this.pausedAt ?? history.end);
    if (this.next < history.first) this.next = history.first;
    for (; this.next < end; this.next++) {
      const entry = history.get(this.next) as Entry;
      if (entry.state === 'sending' && this.next === history.end - 1) break;
      if (this.filter.slower > 0 && entry.request !== null) this.addRequestOf(entry);
      if (this.test(entry)) this.add(entry);
    }
  }

  /** A Request that took long is known to have done so only when its answer comes. */
  private addRequestOf({ request }: Entry): void {
    if (request === null || !this.test(request)) return;
    const isThere = this.latest(FOLD_WITHIN).some(({ last }) => last === request);
    if (!isThere) this.add(request);
  }

  private add(entry: Entry): void {
    const key = keyOf(entry);
    if (this.isFolding) {
      const same = this.latest(FOLD_WITHIN).find((row) => row.key === key);
      if (same !== undefined) {
        same.last = entry;
        same.count++;
        return;
      }
    }
    const number = (this.rows.at(-1)?.number ?? -1) + 1;
    this.rows.push({ first: entry, last: entry, count: 1, key, number });
    // Now and then, so that each row is moved only a few times.
    if (this.rows.length - this.begin > MAX_ROWS) this.begin++;
    if (this.begin > MAX_ROWS) {
      this.rows.splice(0, this.begin);
      this.begin = 0;
    }
  }

  private latest(count: number): Row[] {
    return this.rows.slice(Math.max(this.begin, this.rows.length - count));
  }

  get length(): number {
    return this.rows.length - this.begin;
  }

  /** The last so many rows were drawn: counts those before them that came and went since the last call. */
  drawn(visible: number): void {
    const added = (this.rows.at(-1)?.number ?? -1) + 1;
    if (this.drawnUpTo >= 0) this.undrawn += Math.max(0, added - this.drawnUpTo - visible);
    this.drawnUpTo = added;
  }

  /** The row at an index, from 0. */
  at(index: number): Row | undefined {
    return this.rows[this.begin + index];
  }

  /** Those that the rows are about: the one that the filter chooses, and then the others in the order of their ids. */
  lanes(): number[] {
    const lanes = new Set<number>();
    for (let at = this.begin; at < this.rows.length; at++) {
      const { last } = this.rows[at] as Row;
      lanes.add(last.from);
      for (const { ksock } of last.copies) lanes.add(ksock);
      for (const ksock of last.missed) lanes.add(ksock);
    }
    const { ksock: first } = this.filter;
    return [...lanes].sort((a, b) => Number(b === first) - Number(a === first) || a - b);
  }
}

function keyOf({ copies, errno, from, kind, missed, name }: Entry): string {
  const to = copies.map(({ ksock }) => ksock).join();
  return `${kind} ${name} ${from} ${to} ${missed.join()} ${errno}`;
}

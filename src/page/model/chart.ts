import { type Filter, NO_FILTER, testOf } from './filter.ts';
import { answerTime, type Entry, type History } from './history.ts';
import type { Programs } from './programs.ts';

/** One line of the chart: a message, or several that are alike. */
export interface Row {
  readonly first: Entry;
  /** The newest of those alike. */
  last: Entry;
  count: number;
  /** Of answers: the shortest and the longest time that they took, in milliseconds; null: of no answers. */
  took: readonly [least: number, most: number] | null;
  readonly key: string;
  /** Its place among all rows, from 0. */
  readonly number: number;
}

/** A message folds into one of so many rows before it: pairs of a Request and its answer, too, if few others are between. */
const FOLD_WITHIN = 8;

/** So many forgotten rows take memory at most, beside as many as there are. */
const MAX_FORGOTTEN = 1024;

/** Of so many rows at the end, it is not known yet who gets their messages. */
const OPEN_ROWS = 64;

/**
 * The rows of the sequence chart: those messages of a history that a filter shows, in order, and folded where they repeat.
 * It goes as far back as the history.
 */
export class Chart {
  private readonly history: History;
  private readonly programs: Programs;
  private rows: Row[] = [];
  private begin = 0;
  /** Those that the rows up to `lanesUpTo` are about, and perhaps rows that are forgotten. */
  private known = new Set<number>();
  private lanesUpTo = 0;
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
    this.known.clear();
    this.lanesUpTo = 0;
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
    this.forget();
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
        same.took = spanOf(same.took, entry);
        return;
      }
    }
    const number = (this.rows.at(-1)?.number ?? -1) + 1;
    const took = spanOf(null, entry);
    this.rows.push({ first: entry, last: entry, count: 1, took, key, number });
  }

  /** Forgets the rows of messages that the history has forgotten. */
  private forget(): void {
    const { history, rows } = this;
    while (this.begin < rows.length && (rows[this.begin] as Row).last.seq < history.first) {
      this.begin++;
    }
    // Now and then, so that each row is moved only a few times.
    if (this.begin < MAX_FORGOTTEN || this.begin < rows.length / 2) return;
    rows.splice(0, this.begin);
    this.begin = 0;
    this.known.clear();
    this.lanesUpTo = 0;
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

  /** The index of the last row that began at this time or before; 0 if none did. */
  indexAt(time: number): number {
    let [from, to] = [0, this.length];
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if ((this.at(middle) as Row).first.time <= time) from = middle;
      else to = middle;
    }
    return from;
  }

  /** Those that the rows are about: the one that the filter chooses, and then the others in the order of their ids. */
  lanes(): number[] {
    const { known, rows } = this;
    for (let at = Math.max(this.begin, this.lanesUpTo); at < rows.length; at++) {
      const { last } = rows[at] as Row;
      known.add(last.from);
      for (const { ksock } of last.copies) known.add(ksock);
      for (const ksock of last.missed) known.add(ksock);
    }
    this.lanesUpTo = Math.max(0, rows.length - OPEN_ROWS);
    const { ksock: first } = this.filter;
    return [...known].sort((a, b) => Number(b === first) - Number(a === first) || a - b);
  }
}

function spanOf(took: Row['took'], answer: Entry): Row['took'] {
  const ms = answer.kind === 'Request' ? null : answerTime(answer);
  if (ms === null) return took;
  return took === null ? [ms, ms] : [Math.min(took[0], ms), Math.max(took[1], ms)];
}

function keyOf({ copies, errno, from, kind, missed, name }: Entry): string {
  const to = copies.map(({ ksock }) => ksock).join();
  return `${kind} ${name} ${from} ${to} ${missed.join()} ${errno}`;
}

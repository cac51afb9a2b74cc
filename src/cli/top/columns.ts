import { bytes, compact, count, duration } from '../../base/units.ts';
import type { Percentiles } from '../../seeing/histogram.ts';
import { type KsockTraffic, type NameTraffic, OTHER_NAMES } from '../../seeing/traffic.ts';

/** A column of a table of `kbus top`. */
export interface Column<T> {
  /** Also the name by which the user sorts. */
  readonly heading: string;
  /** Columns of the terminal. */
  readonly width: number;
  /** Text begins at the left, numbers end at the right. */
  readonly isText?: true;
  /** Columns of high rank are left out where there is no room; 0: never. */
  readonly rank: number;
  readonly show: (row: T) => string;
  /** Rows with high values come first; for text, none. */
  readonly value?: (row: T) => number;
}

function percentile<T>(
  heading: string,
  rank: number,
  of: (row: T) => Percentiles | null,
  which: 'p50' | 'p99',
): Column<T> {
  return {
    heading,
    width: Math.max(7, heading.length),
    rank,
    show: (row) => {
      const found = of(row);
      return found === null ? '-' : duration(found[which]);
    },
    value: (row) => of(row)?.[which] ?? -1,
  };
}

function rate<T>(heading: string, rank: number, of: (row: T) => number): Column<T> {
  return {
    heading,
    width: Math.max(7, heading.length + 1),
    rank,
    show: (row) => compact(of(row)),
    value: of,
  };
}

function size<T>(heading: string, rank: number, of: (row: T) => number): Column<T> {
  return { heading, width: 8, rank, show: (row) => bytes(of(row)), value: of };
}

function age(of: number | null, isOlder: boolean): string {
  return of === null ? '-' : `${isOlder ? '>' : ''}${duration(of)}`;
}

/** How slow a Ksock is: the milliseconds that something has waited for it, the messages it misses a second, its queue. */
function slowness({ info, missedRate, unansweredAge, unreadAge }: KsockTraffic): number {
  const waited = Math.max(unreadAge ?? 0, unansweredAge ?? 0);
  return waited + missedRate + info.unread / Math.max(1, info.maxMessages);
}

export const KSOCK_COLUMNS: readonly Column<KsockTraffic>[] = [
  {
    heading: 'Ksock',
    width: 5,
    rank: 0,
    show: ({ info }) => String(info.ksock),
    value: ({ info }) => -info.ksock,
  },
  { heading: 'program', width: 12, isText: true, rank: 0, show: ({ info }) => info.program },
  {
    heading: 'pid',
    width: 7,
    rank: 3,
    show: ({ info }) => (info.pid === 0 ? '' : String(info.pid)),
    value: ({ info }) => info.pid,
  },
  {
    heading: 'queue',
    width: 9,
    rank: 0,
    show: ({ info }) => `${compact(info.unread)} ${percent(info.unread / info.maxMessages)}`,
    value: ({ info }) => info.unread,
  },
  {
    heading: 'oldest',
    width: 7,
    rank: 0,
    show: ({ unreadAge, isOlder }) => age(unreadAge, isOlder),
    value: slowness,
  },
  rate('read/s', 0, ({ readRate }) => readRate),
  rate('sent/s', 0, ({ sentRate }) => sentRate),
  rate('missed/s', 1, ({ missedRate }) => missedRate),
  size('bytes/s', 4, ({ bytesRate }) => bytesRate),
  percentile('read p50', 5, ({ toRead }) => toRead, 'p50'),
  percentile('read p99', 2, ({ toRead }) => toRead, 'p99'),
  {
    heading: 'owes',
    width: 7,
    rank: 1,
    show: ({ info }) => compact(info.unreplied),
    value: ({ info }) => info.unreplied,
  },
  {
    heading: 'since',
    width: 7,
    rank: 3,
    show: ({ unansweredAge, isUnansweredOlder }) => age(unansweredAge, isUnansweredOlder),
    value: ({ unansweredAge }) => unansweredAge ?? -1,
  },
  percentile('reply p50', 5, ({ toAnswer }) => toAnswer, 'p50'),
  percentile('reply p99', 4, ({ toAnswer }) => toAnswer, 'p99'),
];

export const NAME_COLUMNS: readonly Column<NameTraffic>[] = [
  {
    heading: 'name',
    width: 24,
    isText: true,
    rank: 0,
    show: ({ name }) => (name === OTHER_NAMES ? '(other names)' : name),
  },
  rate('sent/s', 0, ({ rate: perSecond }) => perSecond),
  size('bytes/s', 1, ({ bytesRate }) => bytesRate),
  size('size', 3, ({ size: each }) => each),
  rate('missed/s', 2, ({ missedRate }) => missedRate),
  rate('refused/s', 4, ({ refusedRate }) => refusedRate),
  percentile('read p50', 5, ({ toRead }) => toRead, 'p50'),
  percentile('read p99', 2, ({ toRead }) => toRead, 'p99'),
  percentile('reply p50', 5, ({ toAnswer }) => toAnswer, 'p50'),
  percentile('reply p99', 2, ({ toAnswer }) => toAnswer, 'p99'),
];

function percent(part: number): string {
  return part > 0 && part < 0.01 ? '<1%' : `${count(part * 100)}%`;
}

/** Which columns fit in so many of the terminal; what is left over is for the text column. */
export function columnsThatFit<T>(columns: readonly Column<T>[], width: number): Column<T>[] {
  const chosen = [...columns];
  while (widthOf(chosen) > width) {
    const most = Math.max(...chosen.map(({ rank }) => rank));
    if (most === 0) break;
    chosen.splice(chosen.map(({ rank }) => rank).lastIndexOf(most), 1);
  }
  const spare = Math.max(0, Math.min(MAX_SPARE, width - widthOf(chosen)));
  return chosen.map((column) =>
    column.isText ? { ...column, width: column.width + spare } : column,
  );
}

/** A longer text column would tear the rows apart. */
const MAX_SPARE = 36;

/** The mark of the chosen row, and each column with a space before the next. */
function widthOf(columns: readonly Column<never>[]): number {
  return columns.reduce((sum, { width }) => sum + width + 1, MARK_COLUMNS - 1);
}

const MARK_COLUMNS = 2;

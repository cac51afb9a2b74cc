import { escaped } from '../../base/escape.ts';
import { bytes, compact, count, counted, duration } from '../../base/units.ts';
import { matches } from '../../message/name.ts';
import { bottleneckOf } from '../../seeing/bottleneck.ts';
import type { KsockTraffic, NameTraffic, TrafficSnapshot } from '../../seeing/traffic.ts';
import { whoOf } from '../../seeing/who.ts';
import type { BindingView } from '../../tap/bus-view.ts';
import { filled } from '../text-width.ts';
import { type Column, columnsThatFit, KSOCK_COLUMNS, NAME_COLUMNS } from './columns.ts';

/** How a line is shown. Only with colours. */
export type Style = 'plain' | 'heading' | 'chosen' | 'bad' | 'good' | 'dim';

export interface Line {
  readonly text: string;
  readonly style: Style;
}

export type Table = 'ksocks' | 'names';

/** What the user has chosen to see. */
export interface Choices {
  table: Table;
  /** Headings of the columns that the tables are sorted by. */
  readonly sort: Record<Table, string>;
  /** Shows programs and names that have this text in them. */
  filter: string;
  /** The user types a filter. */
  isTyping: boolean;
  isPaused: boolean;
  /** The chosen row, by id or name; null: the first. */
  chosen: number | string | null;
  /** The first row that is visible, and whether the chosen one is looked into. */
  scroll: number;
  isInside: boolean;
  isHelp: boolean;
}

export function firstChoices(): Choices {
  return {
    table: 'ksocks',
    sort: { ksocks: 'oldest', names: 'sent/s' },
    filter: '',
    isTyping: false,
    isPaused: false,
    chosen: null,
    scroll: 0,
    isInside: false,
    isHelp: false,
  };
}

/** Rows in the order of the user, with what identifies each. */
export interface Rows {
  readonly ksocks: readonly KsockTraffic[];
  readonly names: readonly NameTraffic[];
}

export function rowsOf(snapshot: TrafficSnapshot, choices: Choices): Rows {
  const { filter, sort } = choices;
  const has = (text: string): boolean => text.toLowerCase().includes(filter.toLowerCase());
  return {
    ksocks: sorted(snapshot.ksocks, KSOCK_COLUMNS, sort.ksocks, ({ info }) => info.ksock).filter(
      ({ info }) =>
        has(info.program) || String(info.ksock) === filter || String(info.pid) === filter,
    ),
    names: sorted(snapshot.names, NAME_COLUMNS, sort.names, ({ name }) => name).filter(({ name }) =>
      has(name),
    ),
  };
}

/** `$.Room.2` comes before `$.Room.10`. */
const collator = new Intl.Collator(undefined, { numeric: true });

function sorted<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  by: string,
  keyOf: (row: T) => number | string,
): T[] {
  const { value = () => 0, show } =
    columns.find(({ heading }) => heading === by) ?? (columns[0] as Column<T>);
  const tie = (a: T, b: T): number => collator.compare(String(keyOf(a)), String(keyOf(b)));
  const isText = columns.find(({ heading }) => heading === by)?.isText;
  return [...rows].sort((a, b) => {
    const order = isText ? collator.compare(show(a), show(b)) : value(b) - value(a);
    return order || tie(a, b);
  });
}

export const keyOfKsock = ({ info }: KsockTraffic): number => info.ksock;
export const keyOfName = ({ name }: NameTraffic): string => name;

const HELP = [
  'Tab    Ksocks or names            s S    sort by the next column, or the last',
  '↑ ↓    choose a row               Enter  look into it; Esc comes back',
  '/      only what has a text       Esc    show all again',
  'Space  pause, and go on           q      quit',
  '',
  'queue     unread messages, and how full the queue is',
  'oldest    how long the oldest unread message has waited',
  'owes      Requests that it has read and not answered',
  'since     how long it has had the oldest of them',
  'read p99  99 of 100 messages are read within this time; p50: half of them',
  'reply p99 the same from a Request to its Reply',
  '',
  'Rates are of the last interval, percentiles of the last 5 to 10 seconds.',
];

/** The lines of the whole terminal. `bindings` are those of the bus. */
export function screenOf(
  snapshot: TrafficSnapshot,
  rows: Rows,
  choices: Choices,
  bindings: readonly BindingView[],
  { width, height }: { width: number; height: number },
): Line[] {
  const lines = [headLine(snapshot, choices), ...bottleneckLines(snapshot, width)];
  const left = (): number => height - lines.length - 1;
  if (choices.isHelp) {
    for (const text of HELP.slice(0, left())) lines.push(plain(text));
  } else if (choices.isInside) {
    for (const line of insideOf(snapshot, choices, bindings).slice(0, left())) lines.push(line);
  } else {
    const both = height >= MIN_BOTH_HEIGHT;
    const other = choices.table === 'ksocks' ? 'names' : 'ksocks';
    const room = both ? Math.ceil(left() * MAIN_PART) : left();
    lines.push(...tableOf(choices.table, rows, choices, width, room, true));
    if (both) {
      lines.push(plain(''));
      lines.push(...tableOf(other, rows, choices, width, left(), false));
    }
  }
  while (lines.length < height - 1) lines.push(plain(''));
  lines.push(footLine(choices));
  return lines.slice(0, height).map(({ text, style }) => ({
    text:
      style === 'heading' || style === 'chosen'
        ? filled(text, width)
        : filled(text, width).trimEnd(),
    style,
  }));
}

/** A terminal of so many lines shows both tables: the chosen one gets the larger part. */
const MIN_BOTH_HEIGHT = 40;
const MAIN_PART = 0.6;

function plain(text: string): Line {
  return { text, style: 'plain' };
}

function headLine(
  { bus, bytesRate, ksocks, lostEvents, names, refusedRate, sentRate }: TrafficSnapshot,
  { isPaused }: Choices,
): Line {
  const parts = [
    `kbus top: bus ${bus}`,
    isPaused ? 'PAUSED' : '',
    counted(ksocks.length, 'Ksock'),
    counted(names.length, 'name'),
    `${compact(sentRate)} messages/s`,
    `${bytes(bytesRate)}/s`,
    refusedRate > 0 ? `${compact(refusedRate)} refused/s` : '',
    lostEvents > 0 ? `${compact(lostEvents)} events not seen` : '',
  ];
  return plain(parts.filter((part) => part !== '').join('   '));
}

/** Always two lines, so that the table stays in its place. */
const BOTTLENECK_LINES = 2;

function bottleneckLines(snapshot: TrafficSnapshot, width: number): Line[] {
  const { ksock, text } = bottleneckOf(snapshot);
  const style = ksock === null ? 'good' : 'bad';
  const lines = wrapped(text, width, BOTTLENECK_LINES);
  while (lines.length < BOTTLENECK_LINES) lines.push('');
  return lines.map((line) => ({ text: line, style }));
}

/** Text in lines of a width, at most so many: the last one is cut when it is drawn. */
function wrapped(text: string, width: number, most: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width && lines.length < most - 1) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function tableOf(
  table: Table,
  rows: Rows,
  choices: Choices,
  width: number,
  room: number,
  isMain: boolean,
): Line[] {
  return table === 'ksocks'
    ? tableLines(
        rows.ksocks,
        KSOCK_COLUMNS,
        keyOfKsock,
        choices.sort.ksocks,
        choices,
        width,
        room,
        isMain,
      )
    : tableLines(
        rows.names,
        NAME_COLUMNS,
        keyOfName,
        choices.sort.names,
        choices,
        width,
        room,
        isMain,
      );
}

function tableLines<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  keyOf: (row: T) => number | string,
  sort: string,
  choices: Choices,
  width: number,
  room: number,
  isMain: boolean,
): Line[] {
  if (room < 2) return [];
  const shown = columnsThatFit(columns, width);
  const headings = shown.map((column) =>
    cell(column, sort === column.heading ? `${column.heading}*` : column.heading),
  );
  const lines: Line[] = [{ text: `  ${headings.join(' ')}`, style: 'heading' }];
  const from = isMain ? choices.scroll : 0;
  for (const row of rows.slice(from, from + room - 1)) {
    const isChosen = isMain && keyOf(row) === choices.chosen;
    const cells = shown.map((column) => cell(column, escaped(column.show(row))));
    lines.push({
      text: `${isChosen ? '> ' : '  '}${cells.join(' ')}`,
      style: isChosen ? 'chosen' : 'plain',
    });
  }
  if (rows.length === 0)
    lines.push({
      text: choices.filter === '' ? '  none' : '  none has this text in it',
      style: 'dim',
    });
  return lines;
}

function cell<T>(column: Column<T>, text: string): string {
  const { width } = column;
  return column.isText
    ? filled(text, width)
    : filled(' '.repeat(Math.max(0, width - text.length)) + text, width);
}

/** Everything about the chosen Ksock, or name. */
function insideOf(
  { ksocks, names }: TrafficSnapshot,
  choices: Choices,
  bindings: readonly BindingView[],
): Line[] {
  const { chosen, table } = choices;
  if (table === 'ksocks') {
    const one = ksocks.find(({ info }) => info.ksock === chosen);
    if (one === undefined) return [plain(`Ksock ${chosen} has left`)];
    const own = bindings.filter(({ ksock }) => ksock === chosen);
    return [
      { text: whoOf(one.info), style: 'heading' },
      ...figures(one, KSOCK_COLUMNS),
      plain(
        `limit      ${count(one.info.maxMessages)} messages in its queue; ${counted(one.info.missed, 'message')} missed since it was opened`,
      ),
      plain(
        `waits for  ${counted(one.info.outstanding, 'answer')}${one.info.sending ? ', and for room to send a message' : ''}`,
      ),
      plain(''),
      plain(
        own.length === 0
          ? 'It is bound to no name.'
          : `It is bound to ${counted(own.length, 'name')}:`,
      ),
      ...own.map(({ name, replier }) =>
        plain(`  ${replier ? 'replies to' : 'listens to'}  ${escaped(name)}`),
      ),
    ];
  }
  const one = names.find(({ name }) => name === chosen);
  if (one === undefined) return [plain('nothing was sent by this name for a minute')];
  const bound = bindings.filter(({ name }) => matches(name, one.name));
  return [
    { text: escaped(one.name), style: 'heading' },
    ...figures(one, NAME_COLUMNS),
    plain(''),
    plain(bound.length === 0 ? 'Nobody is bound to it.' : 'Bound to it:'),
    ...bound.map(({ ksock, name, replier }) => {
      const who = ksocks.find(({ info }) => info.ksock === ksock);
      const by = name === one.name ? '' : ` by ${escaped(name)}`;
      return plain(
        `  ${who === undefined ? `Ksock ${ksock}` : whoOf(who.info)} ${replier ? 'replies' : 'listens'}${by}`,
      );
    }),
  ];
}

function figures<T>(row: T, columns: readonly Column<T>[]): Line[] {
  return columns
    .filter(({ isText }) => !isText)
    .map(({ heading, show }) => plain(`${heading.padEnd(10)} ${show(row)}`));
}

function footLine({ filter, isInside, isTyping, isPaused, isHelp, table }: Choices): Line {
  if (isTyping) return plain(`show only: ${escaped(filter)}_   (Enter to keep, Esc to show all)`);
  if (isHelp || isInside) return { text: 'Esc back  q quit', style: 'dim' };
  const shown = filter === '' ? '' : `only '${escaped(filter)}'   `;
  const other = table === 'ksocks' ? 'names' : 'Ksocks';
  return {
    text: `${shown}Tab ${other}  s sort  / filter  Space ${isPaused ? 'go on' : 'pause'}  ↑↓ Enter look into  h help  q quit`,
    style: 'dim',
  };
}

/** Everything at once, for a pipe. */
export function wholeText(snapshot: TrafficSnapshot, maxRows: number): string {
  const choices = firstChoices();
  const rows = rowsOf(snapshot, choices);
  const width = WHOLE_WIDTH;
  const lines = [
    headLine(snapshot, choices),
    plain(`rates of ${duration(snapshot.interval)}`),
    plain(bottleneckOf(snapshot).text),
    plain(''),
    ...tableOf('ksocks', rows, choices, width, maxRows + 1, false),
    ...more(rows.ksocks.length - maxRows, 'Ksock'),
    plain(''),
    ...tableOf('names', rows, choices, width, maxRows + 1, false),
    ...more(rows.names.length - maxRows, 'name'),
  ];
  return lines.map(({ text }) => `${text.trimEnd()}\n`).join('');
}

const WHOLE_WIDTH = 160;

function more(left: number, what: string): Line[] {
  return left > 0 ? [plain(`  and ${counted(left, `more ${what}`)}`)] : [];
}

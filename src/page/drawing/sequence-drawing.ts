import { count, duration } from '../../base/units.ts';
import { codeOf } from '../../message/errno.ts';
import type { Row } from '../model/chart.ts';
import { shortText } from '../model/data-view.ts';
import type { Entry } from '../model/history.ts';
import { type Palette, shortened } from './palette.ts';

/** What is drawn: rows from the top, lanes from the left. */
export interface Sequence {
  readonly rows: readonly Row[];
  /** The row before the first, for the time between. */
  readonly before: Row | undefined;
  readonly lanes: readonly number[];
  readonly nameOf: (ksock: number) => string;
  readonly hasLeft: (ksock: number) => boolean;
  readonly timeOf: (time: number) => string;
  readonly layout: Layout;
  readonly palette: Palette;
  /** The message that the pointer, or the keyboard, is at. */
  readonly chosen: Entry | null;
  /** What comes next will be drawn below: an open Request is drawn as going on. */
  readonly isLive: boolean;
}

/** Where things are, in pixels. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly gutter: number;
  readonly laneWidth: number;
  /** How far the lanes are scrolled. */
  readonly left: number;
}

export const HEAD_HEIGHT = 30;
export const ROW_HEIGHT = 30;
const MIN_LANE_WIDTH = 96;
const MAX_LANE_WIDTH = 260;
const NARROW = 600;

export function layoutOf(width: number, height: number, lanes: number, left: number): Layout {
  const gutter = width < NARROW ? 84 : 178;
  const least = width < NARROW ? MIN_LANE_WIDTH * 0.7 : MIN_LANE_WIDTH;
  const room = width - gutter;
  const laneWidth = Math.max(least, Math.min(MAX_LANE_WIDTH, room / Math.max(1, lanes)));
  const most = Math.max(0, laneWidth * lanes - room);
  return { width, height, gutter, laneWidth, left: Math.min(Math.max(0, left), most) };
}

export function rowsThatFit(height: number): number {
  return Math.max(1, Math.floor((height - HEAD_HEIGHT) / ROW_HEIGHT));
}

type Context = CanvasRenderingContext2D;

/** Draws a sequence chart. */
export class SequenceDrawing {
  private readonly context: Context;
  private readonly shown: Sequence;
  private readonly laneAt: ReadonlyMap<number, number>;

  constructor(context: Context, shown: Sequence) {
    this.context = context;
    this.shown = shown;
    const { gutter, laneWidth, left } = shown.layout;
    this.laneAt = new Map(
      shown.lanes.map((ksock, at) => [ksock, gutter + (at + 0.5) * laneWidth - left]),
    );
  }

  draw(): void {
    const { context, shown } = this;
    const { height, gutter, width } = shown.layout;
    context.fillStyle = shown.palette.panel;
    context.fillRect(0, 0, width, height);
    context.textBaseline = 'alphabetic';
    this.inLanes(() => {
      this.choices();
      this.lines();
      this.activations();
      for (const [at, row] of shown.rows.entries()) this.row(row, middleOf(at));
    });
    this.times();
    this.inLanes(() => this.heads(), 0);
    context.strokeStyle = shown.palette.line;
    context.lineWidth = 1;
    line(context, 0, HEAD_HEIGHT - 0.5, width, HEAD_HEIGHT - 0.5);
    line(context, gutter - 0.5, HEAD_HEIGHT, gutter - 0.5, height);
  }

  /** Draws what must not reach into the times, or into the heads. */
  private inLanes(draw: () => void, top = HEAD_HEIGHT): void {
    const { context } = this;
    const { gutter, height, width } = this.shown.layout;
    context.save();
    context.beginPath();
    context.rect(gutter, top, width - gutter, height - top);
    context.clip();
    draw();
    context.restore();
  }

  private heads(): void {
    const { context } = this;
    const { hasLeft, lanes, layout, nameOf, palette } = this.shown;
    context.font = `600 12px ${palette.font}`;
    context.textAlign = 'center';
    for (const ksock of lanes) {
      context.fillStyle = hasLeft(ksock) ? palette.muted : palette.text;
      const name = shortened(context, nameOf(ksock), layout.laneWidth - 8);
      context.fillText(name, this.xOf(ksock), 20);
    }
  }

  private lines(): void {
    const { context } = this;
    const { layout, palette } = this.shown;
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    for (const x of this.laneAt.values()) line(context, x, HEAD_HEIGHT, x, layout.height);
  }

  /** Behind the rows of the chosen message, of its Request and of its answer. */
  private choices(): void {
    const { chosen, layout, palette, rows } = this.shown;
    if (chosen === null) return;
    const family = new Set([chosen, chosen.request, chosen.answer]);
    this.context.fillStyle = palette.chosen;
    for (const [at, { first, last }] of rows.entries()) {
      if (!family.has(last) && !family.has(first)) continue;
      this.context.fillRect(layout.gutter, topOf(at), layout.width, ROW_HEIGHT);
    }
  }

  /** A bar on the lane of a Replier, from a Request to its answer. */
  private activations(): void {
    const { context } = this;
    const { isLive, layout, palette, rows } = this.shown;
    const at = new Map<Entry, number>();
    for (const [index, { first, last }] of rows.entries()) {
      at.set(first, index);
      at.set(last, index);
    }
    context.globalAlpha = 0.35;
    for (const [index, { last }] of rows.entries()) {
      const request = last.kind === 'Request' ? last : last.request;
      const replier = request?.copies.find(({ isReplier }) => isReplier)?.ksock;
      if (request === null || replier === undefined) continue;
      const begin = at.get(request);
      const end = request.answer === null ? undefined : at.get(request.answer);
      // The bar of a Request that is shown is drawn once, with it.
      if (last !== request && begin !== undefined) continue;
      const isOpen = request.answeredAt < 0 && request.givenUpAt < 0;
      if (end === undefined && last === request && !(isOpen && isLive)) continue;
      const y1 = begin === undefined ? HEAD_HEIGHT : middleOf(begin);
      const y2 =
        end === undefined ? (last === request ? layout.height : middleOf(index)) : middleOf(end);
      context.fillStyle = isOpen ? palette.warn : palette.accent;
      context.fillRect(this.xOf(replier) - 4, y1, 8, Math.max(2, y2 - y1));
    }
    context.globalAlpha = 1;
  }

  private row(row: Row, y: number): void {
    const { context } = this;
    const { palette } = this.shown;
    const { copies, from, kind, missed, state } = row.last;
    const colour = colourOf(row.last, palette);
    const start = this.xOf(from);
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = row.count > 1 ? 2.5 : 1.5;
    context.setLineDash(kind === 'Reply' || kind === 'Status' ? [5, 3] : []);
    const ends = copies.map(({ ksock }) => this.xOf(ksock));
    const missedAt = missed.map((ksock) => this.xOf(ksock));
    const least = Math.min(start, ...ends, ...missedAt);
    const most = Math.max(start, ...ends, ...missedAt);
    if (least !== most) line(context, least, y, most, y);
    context.setLineDash([]);
    for (const end of ends) arrowHead(context, start, end, y);
    context.fillStyle = palette.bad;
    context.strokeStyle = palette.bad;
    for (const x of missedAt) cross(context, x, y);
    const isAlone = ends.length === 0 && missedAt.length === 0;
    if (isAlone) {
      context.strokeStyle = colour;
      line(context, start, y, start + 26, y);
      if (state === 'refused') cross(context, start + 30, y);
      else dot(context, start + 26, y);
    }
    context.fillStyle = colour;
    dot(context, start, y);
    this.label(row, least, Math.max(most, least + 26), y - 7);
  }

  /** Above the arrow: what is sent, and what is to be said of it. */
  private label(row: Row, from: number, to: number, y: number): void {
    const { context } = this;
    const { layout, palette } = this.shown;
    context.textAlign = 'left';
    const parts: [string, string][] = [[row.last.name, palette.text]];
    const start = this.xOf(row.last.from);
    // Its lane is not in sight.
    if (start < layout.gutter || start > layout.width) {
      parts.unshift([`${this.shown.nameOf(row.last.from)}: `, palette.muted]);
    }
    if (row.count > 1) parts.unshift([`${count(row.count)}× `, palette.accent]);
    const [note, colour] = noteOf(row, palette);
    if (note !== '') parts.push([`  ${note}`, colour]);
    const data = shortText(row.last.message.data, 40);
    if (data !== '') parts.push([`  ${data}`, palette.muted]);
    context.font = `12px ${palette.font}`;
    const widths = parts.map(([text]) => context.measureText(text).width);
    const whole = widths.reduce((sum, one) => sum + one, 0);
    const middle = (from + to - whole) / 2;
    const most = Math.max(layout.gutter + 6, layout.width - whole - 6);
    let x = Math.min(Math.max(layout.gutter + 6, from + 8, middle), most);
    context.globalAlpha = 0.85;
    context.fillStyle = palette.panel;
    context.fillRect(x - 2, y - 10, whole + 4, 13);
    context.globalAlpha = 1;
    for (const [at, [text, fill]] of parts.entries()) {
      context.fillStyle = fill;
      context.fillText(text, x, y);
      x += widths[at] as number;
    }
  }

  private times(): void {
    const { context } = this;
    const { before, layout, palette, rows, timeOf } = this.shown;
    const isNarrow = layout.gutter < 100;
    context.fillStyle = palette.panel;
    context.fillRect(0, 0, layout.gutter, layout.height);
    context.font = `12px ${palette.font}`;
    context.fillStyle = palette.muted;
    context.textAlign = 'left';
    if (!isNarrow) context.fillText('time', 8, 20);
    context.textAlign = 'right';
    context.fillText(isNarrow ? '' : 'between', layout.gutter - 10, 20);
    let last = before?.last;
    for (const [at, row] of rows.entries()) {
      const y = middleOf(at) + 1;
      context.fillStyle = palette.muted;
      context.textAlign = 'left';
      if (!isNarrow) context.fillText(timeOf(row.last.time), 8, y);
      context.textAlign = 'right';
      context.fillStyle = palette.text;
      const text = row.count > 1 ? pace(row) : last === undefined ? '' : after(row.last, last);
      context.fillText(text, layout.gutter - 10, y);
      last = row.last;
    }
  }

  private xOf(ksock: number): number {
    return Math.round(this.laneAt.get(ksock) ?? this.shown.layout.gutter) + 0.5;
  }
}

/** How long after the message before. */
function after({ time }: Entry, before: Entry): string {
  return time < before.time ? '' : `+${duration((time - before.time) / 1000)}`;
}

/** How often those come that a row folds. */
function pace({ count: folded, first, last }: Row): string {
  return `every ${duration((last.time - first.time) / 1000 / (folded - 1))}`;
}

function topOf(row: number): number {
  return HEAD_HEIGHT + row * ROW_HEIGHT;
}

function middleOf(row: number): number {
  return topOf(row) + ROW_HEIGHT - 9.5;
}

function colourOf({ kind, state }: Entry, palette: Palette): string {
  if (state === 'refused' || state === 'discarded') return palette.bad;
  if (kind === 'Request') return palette.accent;
  if (kind === 'Reply') return palette.reply;
  if (kind === 'Status') return palette.warn;
  return kind === 'ReplierBindEvent' ? palette.muted : palette.text;
}

/** What is worth saying of a message beside its name. */
function noteOf({ last, took: span }: Row, palette: Palette): [string, string] {
  const { copies, errno, givenUpAt, kind, missed, state } = last;
  if (state === 'refused') return [`refused: ${codeOf(errno) ?? errno}`, palette.bad];
  if (state === 'discarded') return ['discarded', palette.bad];
  if (state === 'waiting') return ['waits for room', palette.warn];
  if (span !== null) {
    const [least, most] = span.map(duration) as [string, string];
    return [`after ${least === most ? least : `${least} to ${most}`}`, palette.reply];
  }
  if (kind === 'Request' && givenUpAt >= 0) return ['given up', palette.warn];
  if (missed.length > 0) return [`${missed.length} missed it`, palette.bad];
  if (copies.length === 0 && kind === 'Announcement') return ['nobody listens', palette.muted];
  return ['', palette.muted];
}

function line(context: Context, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function dot(context: Context, x: number, y: number): void {
  context.beginPath();
  context.arc(x, y, 3, 0, 2 * Math.PI);
  context.fill();
}

function arrowHead(context: Context, from: number, to: number, y: number): void {
  if (from === to) return;
  const back = from < to ? -8 : 8;
  context.beginPath();
  context.moveTo(to, y);
  context.lineTo(to + back, y - 4);
  context.lineTo(to + back, y + 4);
  context.fill();
}

function cross(context: Context, x: number, y: number): void {
  context.lineWidth = 2;
  line(context, x - 4, y - 4, x + 4, y + 4);
  line(context, x - 4, y + 4, x + 4, y - 4);
}

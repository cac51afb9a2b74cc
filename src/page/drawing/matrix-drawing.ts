import { type Matrix, strengthOf } from '../model/matrix.ts';
import { type Palette, shortened } from './palette.ts';

/** Where the table is, in pixels. */
export interface MatrixLayout {
  readonly cell: number;
  /** Room for the names of senders, and of receivers. */
  readonly left: number;
  readonly top: number;
  /** Of the whole table. */
  readonly width: number;
  readonly height: number;
}

const MIN_CELL = 11;
const MAX_CELL = 44;
/** Names are not drawn smaller. */
const FONT_SIZE = 11;
/** The names of receivers rise by this angle; in small cells they stand upright, so that they do not touch. */
const SLOPE = Math.PI / 3;
const SMALL_CELL = 16;

export function layoutOfMatrix(
  { receivers, senders }: Matrix,
  width: number,
  height: number,
): MatrixLayout {
  const isNarrow = width < 600;
  const left = isNarrow ? 100 : 140;
  const top = isNarrow ? 92 : 110;
  // The last name leans out of the table.
  const beside = 60;
  const room = Math.min(
    (width - left - beside) / Math.max(1, receivers.length),
    (height - top) / Math.max(1, senders.length),
  );
  const cell = Math.floor(Math.min(MAX_CELL, Math.max(MIN_CELL, room)));
  return {
    cell,
    left,
    top,
    width: left + cell * receivers.length + beside,
    height: top + cell * senders.length + 2,
  };
}

export interface MatrixView {
  readonly matrix: Matrix;
  readonly layout: MatrixLayout;
  readonly width: number;
  readonly height: number;
  /** How far the table is scrolled. */
  readonly x: number;
  readonly y: number;
  readonly labelOf: (ksock: number) => string;
  /** The Ksock that is chosen; 0: none. */
  readonly chosen: number;
  /** The cell that the pointer is at. */
  readonly at: { readonly from: number; readonly to: number } | null;
  readonly palette: Palette;
}

/** Draws the part of a matrix that is in sight; the names stay where they are when the table is scrolled. */
export function drawMatrix(context: CanvasRenderingContext2D, view: MatrixView): void {
  const { at, chosen, height, layout, matrix, palette, width, x, y } = view;
  const { cell, left, top } = layout;
  const { receivers, senders } = matrix;
  const columnAt = new Map(receivers.map((id, index) => [id, left + index * cell - x]));
  const rowAt = new Map(senders.map((id, index) => [id, top + index * cell - y]));
  const right = Math.min(width, left + receivers.length * cell - x);
  const bottom = Math.min(height, top + senders.length * cell - y);
  context.fillStyle = palette.panel;
  context.fillRect(0, 0, width, height);

  context.save();
  context.beginPath();
  context.rect(left, top, width - left, height - top);
  context.clip();
  context.fillStyle = palette.chosen;
  for (const id of [chosen, at?.from]) {
    const row = rowAt.get(id ?? -1);
    if (row !== undefined) context.fillRect(left, row, right - left, cell);
  }
  for (const id of [chosen, at?.to]) {
    const column = columnAt.get(id ?? -1);
    if (column !== undefined) context.fillRect(column, top, cell, bottom - top);
  }
  context.strokeStyle = palette.line;
  context.lineWidth = 0.5;
  context.beginPath();
  for (let index = 0; index <= receivers.length; index++) {
    const column = Math.round(left + index * cell - x) + 0.5;
    context.moveTo(column, top);
    context.lineTo(column, bottom);
  }
  for (let index = 0; index <= senders.length; index++) {
    const row = Math.round(top + index * cell - y) + 0.5;
    context.moveTo(left, row);
    context.lineTo(right, row);
  }
  context.stroke();
  for (const pair of matrix.pairs) {
    const column = columnAt.get(pair.to) as number;
    const row = rowAt.get(pair.from) as number;
    if (column < left - cell || row < top - cell || column > width || row > height) continue;
    const inset = cell < 16 ? 1 : 2;
    context.globalAlpha = strengthOf(pair, matrix);
    context.fillStyle = palette.accent;
    context.fillRect(column + inset, row + inset, cell - 2 * inset + 0.5, cell - 2 * inset + 0.5);
    context.globalAlpha = 1;
    if (pair.missed > 0) {
      context.fillStyle = palette.bad;
      const size = Math.max(3, cell / 3.5);
      context.fillRect(column + cell - size - inset, row + inset, size, size);
    }
  }
  context.restore();

  drawNames(context, view, columnAt, rowAt);
}

function drawNames(
  context: CanvasRenderingContext2D,
  view: MatrixView,
  columnAt: ReadonlyMap<number, number>,
  rowAt: ReadonlyMap<number, number>,
): void {
  const { at, chosen, height, labelOf, layout, palette, width } = view;
  const { cell, left, top } = layout;
  const size = Math.min(13, Math.max(FONT_SIZE, cell - 2));
  const style = (isMarked: boolean): void => {
    context.font = `${isMarked ? '600 ' : ''}${size}px ${palette.font}`;
    context.fillStyle = isMarked ? palette.accent : palette.text;
  };
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  context.save();
  context.beginPath();
  context.rect(0, top, left, height - top);
  context.clip();
  for (const [ksock, row] of rowAt) {
    if (row < top - cell || row > height) continue;
    style(ksock === chosen || ksock === at?.from);
    context.fillText(shortened(context, labelOf(ksock), left - 14), left - 7, row + cell / 2 + 0.5);
  }
  context.restore();

  const slope = cell < SMALL_CELL ? Math.PI / 2 : SLOPE;
  context.textAlign = 'left';
  context.save();
  context.beginPath();
  context.rect(left - cell, 0, width, top);
  context.clip();
  for (const [ksock, column] of columnAt) {
    if (column < left - cell / 2 || column > width) continue;
    style(ksock === chosen || ksock === at?.to);
    context.save();
    context.translate(column + cell / 2, top - 6);
    context.rotate(-slope);
    context.fillText(shortened(context, labelOf(ksock), (top - 14) / Math.sin(slope)), 0, 0);
    context.restore();
  }
  context.restore();
  context.textBaseline = 'alphabetic';

  context.fillStyle = palette.muted;
  context.font = `11px ${palette.font}`;
  context.textAlign = 'right';
  context.fillText('sends ↓', left - 8, top - 8);
  context.textAlign = 'left';
  context.fillText('receives →', 8, 16);
}

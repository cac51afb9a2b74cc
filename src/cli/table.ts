import { escaped } from '../base/escape.ts';
import { columnsOf, cut } from './text-width.ts';

/** A column: its heading, and on which side its cells begin. */
export interface Column {
  readonly heading: string;
  /** Numbers stand at the right. */
  readonly align?: 'right';
  /** Longer cells are cut to this many columns of the terminal. */
  readonly max?: number;
}

/** A table with a line for its headings and one for each row, without an end of line. Cells may be text of other programs. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map(({ heading }) => heading), ...rows].map((row) =>
    row.map((cell, at) => cut(escaped(cell), columns[at]?.max)),
  );
  const widths = columns.map((_, at) =>
    cells.reduce((most, row) => Math.max(most, columnsOf(row[at] as string)), 0),
  );
  return cells.map((row) =>
    row
      .map((cell, at) => {
        const space = ' '.repeat((widths[at] as number) - columnsOf(cell));
        return columns[at]?.align === 'right' ? space + cell : cell + space;
      })
      .join('  ')
      .trimEnd(),
  );
}

import { styleText } from 'node:util';
import { escapedJson } from '../base/escape.ts';
import { ACTORS, type Actor } from './script.ts';

/** Shows the playlet. */
export interface Stage {
  act(title: string): void;
  aside(text: string): void;
  typed(who: Actor, text: string): void;
  printed(who: Actor, text: string): void;
}

/** The output of a stage: a terminal, or a file or pipe. */
export interface Screen {
  write(text: string): void;
  /** The present width in characters; Infinity for a file or pipe. */
  readonly columns: number;
  readonly hasColours: boolean;
}

type Style = Parameters<typeof styleText>[0];

const COLOURS: Readonly<Record<Actor, Style>> = {
  Rosencrantz: 'cyan',
  Audience: 'yellow',
  Guildenstern: 'green',
  Falstaff: 'magenta',
};

/** The least width for four terminals side by side. */
export const MIN_WIDE_COLUMNS = 120;

const SEPARATOR = ' │ ';

/** Shows the terminals side by side on a wide screen; on a narrow one, each line with its actor's name. */
export class ScreenStage implements Stage {
  private readonly screen: Screen;

  constructor(screen: Screen) {
    this.screen = screen;
  }

  act(title: string): void {
    this.line('');
    this.line(this.styled('bold', `=== ${title} ===`));
    if (this.isWide) this.names();
  }

  aside(text: string): void {
    this.line(this.isWide ? this.row(ACTORS.map(() => '')) : '');
    for (const line of wrap(text, clamp(this.screen.columns, MIN_COLUMNS, 100), 0)) {
      this.line(this.styled('italic', line));
    }
    this.line(this.isWide ? this.row(ACTORS.map(() => '')) : '');
  }

  typed(who: Actor, text: string): void {
    this.show(who, text, ['bold', COLOURS[who]].flat() as Style);
  }

  printed(who: Actor, text: string): void {
    this.show(who, text, COLOURS[who]);
  }

  private get isWide(): boolean {
    const { columns } = this.screen;
    return columns >= MIN_WIDE_COLUMNS && columns !== Number.POSITIVE_INFINITY;
  }

  private get width(): number {
    const separators = SEPARATOR.length * (ACTORS.length - 1);
    return Math.floor((this.screen.columns - separators) / ACTORS.length);
  }

  private names(): void {
    const { width } = this;
    const names = ACTORS.map((who, index) =>
      this.styled(COLOURS[who], `Terminal ${index + 1}: ${who}`.padEnd(width)),
    );
    this.line(this.row(names));
    this.line(this.row(ACTORS.map(() => '-'.repeat(width))));
  }

  private show(who: Actor, text: string, style: Style): void {
    if (this.isWide) {
      const { width } = this;
      for (const line of wrap(text, width, 2)) {
        const cells = ACTORS.map((one) =>
          one === who ? this.styled(style, line.padEnd(width)) : ' '.repeat(width),
        );
        this.line(this.row(cells));
      }
    } else {
      const name = this.styled(COLOURS[who], who.padEnd(NAME_WIDTH));
      const width = Math.max(MIN_COLUMNS, this.screen.columns - NAME_WIDTH - 1);
      for (const line of wrap(text, width, 2)) {
        this.line(`${name} ${this.styled(style, line)}`);
      }
    }
  }

  private row(cells: readonly string[]): string {
    const { width } = this;
    const separator = this.styled('dim', SEPARATOR);
    return cells.map((cell) => cell.padEnd(width)).join(separator);
  }

  private line(text: string): void {
    this.screen.write(`${text.trimEnd()}\n`);
  }

  private styled(style: Style, text: string): string {
    // The screen decides about colours, not the type of stdout.
    return this.screen.hasColours ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Text is not wrapped at less; a narrower terminal wraps it itself. */
const MIN_COLUMNS = 20;

const clamp = (value: number, min: number, max: number): number =>
  Math.max(min, Math.min(value, max));

const NAME_WIDTH = Math.max(...ACTORS.map((who) => who.length));

/**
 * Wraps text to lines of at most `width` characters: at spaces, else after punctuation of code and names, else anywhere.
 * Indents continuation lines.
 */
export function wrap(text: string, width: number, indentation: number): string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const indent = (/^ */.exec(line)?.[0] ?? '') + ' '.repeat(indentation);
    let rest = line;
    while (rest.length > width) {
      const room = rest.slice(0, width + 1);
      const space = room.lastIndexOf(' ');
      const mark = Math.max(...['(', '.', ','].map((one) => room.lastIndexOf(one, width - 1))) + 1;
      const end = space > indent.length ? space : mark > indent.length ? mark : width;
      lines.push(rest.slice(0, end));
      rest = indent + rest.slice(end).trimStart();
    }
    lines.push(rest);
  }
  return lines;
}

/** Keeps the output of each terminal. */
export class TranscriptStage implements Stage {
  readonly lines = new Map<Actor, string[]>(ACTORS.map((who) => [who, []]));

  act(): void {}
  aside(): void {}
  typed(): void {}

  printed(who: Actor, text: string): void {
    this.lines.get(who)?.push(text);
  }

  /** The output of all terminals, one after the other. */
  get text(): string {
    return ACTORS.map((who, index) => {
      const lines = [`Terminal ${index + 1}: ${who}`, ...(this.lines.get(who) ?? [])];
      return lines.map((line) => `${line}\n`).join('');
    }).join('\n');
  }
}

/** Writes events for programs: a JSON object per line. */
export class JsonStage implements Stage {
  private readonly write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  act(title: string): void {
    this.line({ act: title });
  }

  aside(text: string): void {
    this.line({ aside: text });
  }

  typed(who: Actor, text: string): void {
    this.line({ who, typed: text });
  }

  printed(who: Actor, text: string): void {
    this.line({ who, printed: text });
  }

  private line(value: object): void {
    this.write(`${escapedJson(value)}\n`);
  }
}

import { styleText } from 'node:util';
import { escapedJson } from '../base/escape.ts';
import { ACTORS, type Actor } from './script.ts';

/** Where the playlet is seen. */
export interface Stage {
  act(title: string): void;
  aside(text: string): void;
  typed(who: Actor, text: string): void;
  printed(who: Actor, text: string): void;
}

/** What a stage is built on. */
export interface Screen {
  write(text: string): void;
  /** Characters that fit in a line, now; Infinity when there is no such limit. */
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

/** From this width on there is room for the four terminals side by side. */
export const WIDE = 120;

const RULE = ' │ ';

/** The terminals side by side where the screen is wide, else one under the other, line by line. */
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
    for (const line of wrap(text, between(NARROWEST, this.screen.columns, 100), 0)) {
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
    return columns >= WIDE && columns !== Number.POSITIVE_INFINITY;
  }

  private get width(): number {
    return Math.floor((this.screen.columns - RULE.length * (ACTORS.length - 1)) / ACTORS.length);
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
      const width = Math.max(NARROWEST, this.screen.columns - NAME_WIDTH - 1);
      for (const line of wrap(text, width, 2)) {
        this.line(`${name} ${this.styled(style, line)}`);
      }
    }
  }

  private row(cells: readonly string[]): string {
    const { width } = this;
    const rule = this.styled('dim', RULE);
    return cells.map((cell) => cell.padEnd(width)).join(rule);
  }

  private line(text: string): void {
    this.screen.write(`${text.trimEnd()}\n`);
  }

  private styled(style: Style, text: string): string {
    // Whether there are colours is known: it doesn't depend on what stdout is.
    return this.screen.hasColours ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Narrower than this is no better than what a terminal makes of it. */
const NARROWEST = 20;

const between = (min: number, value: number, max: number): number =>
  Math.max(min, Math.min(value, max));

const NAME_WIDTH = Math.max(...ACTORS.map((who) => who.length));

/**
 * Lines of at most `width` characters, broken at spaces, or else within code and names, where there are
 * such places; what goes on is indented.
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

/** Keeps what each terminal printed. */
export class TranscriptStage implements Stage {
  readonly lines = new Map<Actor, string[]>(ACTORS.map((who) => [who, []]));

  act(): void {}
  aside(): void {}
  typed(): void {}

  printed(who: Actor, text: string): void {
    this.lines.get(who)?.push(text);
  }

  /** For each terminal, what was printed. */
  get text(): string {
    return ACTORS.map((who, index) => {
      const lines = [`Terminal ${index + 1}: ${who}`, ...(this.lines.get(who) ?? [])];
      return lines.map((line) => `${line}\n`).join('');
    }).join('\n');
  }
}

/** Tells programs: a JSON object a line. */
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

/** Within this time at most so many lines of one kind are written. */
export const WINDOW_MS = 1000;

/** The most kinds that are told apart; lines of all further ones are of one kind. */
const MAX_KINDS = 64;

/** A kind is told apart by this many characters. */
const MAX_KIND_LENGTH = 120;

/** What was suppressed of one kind of line. */
export interface Suppressed {
  readonly count: number;
  /** The text of the last of them. */
  readonly example: string;
}

interface Kind {
  readonly since: number;
  written: number;
  suppressed: number;
  example: string;
}

/**
 * Limits the rate of each kind of line, so that what one program does over and over does not fill the log. Lines that
 * differ only in numbers and quoted names are of one kind.
 */
export class LineRate {
  private readonly now: () => number;
  private readonly most: number;
  private readonly kinds = new Map<string, Kind>();

  /** `now` gives milliseconds and never goes back; `most` is the number of lines per second. */
  constructor(now: () => number, most: number) {
    this.now = now;
    this.most = most;
  }

  get hasSuppressed(): boolean {
    for (const { suppressed } of this.kinds.values()) if (suppressed > 0) return true;
    return false;
  }

  /** Whether the line may be written. If not, it is counted; call `take` after a second. */
  allows(text: string): boolean {
    const kind = this.kindOf(text);
    if (kind.written < this.most) {
      kind.written++;
      return true;
    }
    kind.suppressed++;
    kind.example = text;
    return false;
  }

  /** What was suppressed in the windows that have ended, or, with `all`, in all of them: each is given once. */
  take(all: boolean): Suppressed[] {
    const taken: Suppressed[] = [];
    for (const [key, { since, suppressed, example }] of this.kinds) {
      if (!all && this.now() - since < WINDOW_MS) continue;
      this.kinds.delete(key);
      if (suppressed > 0) taken.push({ count: suppressed, example });
    }
    return taken;
  }

  /** Whether its window has ended, and all of it was told: until then it counts further ones. */
  private isOver({ since, suppressed }: Kind): boolean {
    return suppressed === 0 && this.now() - since >= WINDOW_MS;
  }

  private kindOf(text: string): Kind {
    let key = text.slice(0, MAX_KIND_LENGTH).replace(/'[^']*'?|\d+/g, '#');
    if (!this.kinds.has(key) && this.kinds.size >= MAX_KINDS) {
      for (const [each, kind] of this.kinds) if (this.isOver(kind)) this.kinds.delete(each);
      if (this.kinds.size >= MAX_KINDS) key = '';
    }
    let kind = this.kinds.get(key);
    if (kind === undefined || this.isOver(kind)) {
      kind = { since: this.now(), written: 0, suppressed: 0, example: '' };
      this.kinds.set(key, kind);
    }
    return kind;
  }
}

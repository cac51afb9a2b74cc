import { escaped, escapedJson, escapedLines } from '../base/escape.ts';
import { systemTimers, type Timer, type Timers } from '../base/timers.ts';
import { LineRate, WINDOW_MS } from './line-rate.ts';

/**
 * Lines for people, or a JSON object per line.
 *
 * @see {@link Log} for an example
 */
export type LogFormat = 'human' | 'json';

/**
 * How important a line of the log is.
 *
 * @see {@link Log} for an example
 */
export type Level = 'debug' | 'info' | 'warn' | 'error';

type LogTimers = Pick<Timers, 'now' | 'setTimeout' | 'clearTimeout'>;

/** The most lines of one kind in a second: those of the debug log, which is on for a purpose, and others. */
const MAX_DEBUG_LINES = 1000;
const MAX_LINES = 20;

/**
 * The daemon's log: a line per event, as text or as JSON. Of lines of one kind, which differ only in numbers and quoted
 * names, it writes at most 20 a second (1000 for the debug log), and then how many more there were.
 *
 * @example
 * ```ts
 * import { type Level, Log, type LogFormat } from 'kbus/daemon';
 *
 * const format: LogFormat = 'json';
 * const log = new Log(format, (line) => {
 *   const { level, text, bus }: { level: Level; text: string; bus?: number } = JSON.parse(line);
 *   console.log(level, text, bus); // → info serving 0
 * });
 * log.info('serving', { bus: 0 });
 * ```
 */
export class Log {
  private readonly format: LogFormat;
  private readonly write: (line: string) => unknown;
  private readonly timers: LogTimers;
  private readonly rates: Readonly<Record<Level, LineRate>>;
  private timer: Timer | null = null;
  /** The number of lines that were dropped and not reported yet. */
  private dropped = 0;

  /** `write` returns false if it can't take a line; the log then drops the line and counts it. */
  constructor(format: LogFormat, write: (line: string) => unknown);
  /** @internal With a clock of the caller's own. */
  constructor(format: LogFormat, write: (line: string) => unknown, timers: LogTimers);
  constructor(
    format: LogFormat,
    write: (line: string) => unknown,
    timers: LogTimers = systemTimers,
  ) {
    this.format = format;
    this.write = write;
    this.timers = timers;
    const now = (): number => timers.now();
    const limit = (level: Level): LineRate =>
      new LineRate(now, level === 'debug' ? MAX_DEBUG_LINES : MAX_LINES);
    this.rates = {
      debug: limit('debug'),
      info: limit('info'),
      warn: limit('warn'),
      error: limit('error'),
    };
  }

  /** Writes a line for who looks for a fault; with `verbose`, each event of the buses. */
  debug(text: string, fields?: object): void {
    this.tell('debug', text, fields);
  }

  /** Writes a line about what the daemon does. */
  info(text: string, fields?: object): void {
    this.tell('info', text, fields);
  }

  /** Writes a line about what its user should know. */
  warn(text: string, fields?: object): void {
    this.tell('warn', text, fields);
  }

  /** Writes a line about what went wrong. */
  error(text: string, fields?: object): void {
    this.tell('error', text, fields);
  }

  /** @internal An error of several lines: a bug, with its stack. */
  bug(text: string): void {
    this.put(this.line('error', text, {}, escapedLines));
  }

  /** Logs how many lines were dropped. Call it when lines can be written again; false if they still can't. */
  reportDropped(): boolean {
    const { dropped } = this;
    if (dropped === 0) return true;
    const text = `dropped ${dropped} ${dropped === 1 ? 'line' : 'lines'} that this log could not be written`;
    if (this.write(this.line('warn', text, { dropped })) === false) return false;
    this.dropped = 0;
    return true;
  }

  /** Logs how many lines the rate limits have suppressed until now. Call it at the end. */
  reportSuppressed(): void {
    this.timers.clearTimeout(this.timer ?? undefined);
    this.timer = null;
    this.putSuppressed(true);
  }

  private putSuppressed(all: boolean): void {
    for (const [level, rate] of Object.entries(this.rates) as [Level, LineRate][]) {
      for (const { count, example } of rate.take(all)) {
        const text = `and ${count.toLocaleString('en')} more like this: ${example}`;
        this.put(this.line(level, text, { suppressed: count }));
      }
    }
  }

  private tell(level: Level, text: string, fields?: object): void {
    if (this.rates[level].allows(text)) this.put(this.line(level, text, fields));
    else this.timer ??= this.later();
  }

  private later(): Timer {
    const timer = this.timers.setTimeout(() => {
      this.putSuppressed(false);
      const isMore = Object.values(this.rates).some((rate) => rate.hasSuppressed);
      this.timer = isMore ? this.later() : null;
    }, WINDOW_MS);
    if (typeof timer === 'object') timer.unref();
    return timer;
  }

  private put(line: string): void {
    if (!this.reportDropped() || this.write(line) === false) this.dropped++;
  }

  private line(level: Level, text: string, fields: object = {}, escapeText = escaped): string {
    const time = new Date().toISOString();
    if (this.format === 'human') return `${time} ${level.padEnd(5)} ${escapeText(text)}\n`;
    return `${escapedJson({ time, level, text, ...fields })}\n`;
  }
}

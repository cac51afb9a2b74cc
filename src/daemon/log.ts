import { escaped, escapedJson, escapedLines } from '../base/escape.ts';

export type LogFormat = 'human' | 'json';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** The daemon's log: a line per event, as text or as JSON. */
export class Log {
  private readonly format: LogFormat;
  private readonly write: (line: string) => unknown;
  /** The number of lines that were dropped and not reported yet. */
  private dropped = 0;

  /** `write` returns false if it can't take a line; the log then drops the line and counts it. */
  constructor(format: LogFormat, write: (line: string) => unknown) {
    this.format = format;
    this.write = write;
  }

  debug(text: string, fields?: object): void {
    this.put(this.line('debug', text, fields));
  }

  info(text: string, fields?: object): void {
    this.put(this.line('info', text, fields));
  }

  warn(text: string, fields?: object): void {
    this.put(this.line('warn', text, fields));
  }

  error(text: string, fields?: object): void {
    this.put(this.line('error', text, fields));
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

  private put(line: string): void {
    if (!this.reportDropped() || this.write(line) === false) this.dropped++;
  }

  private line(level: Level, text: string, fields: object = {}, escapeText = escaped): string {
    const time = new Date().toISOString();
    if (this.format === 'human') return `${time} ${level.padEnd(5)} ${escapeText(text)}\n`;
    return `${escapedJson({ time, level, text, ...fields })}\n`;
  }
}

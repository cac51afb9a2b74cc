import { escaped, escapedJson, escapedLines } from '../base/escape.ts';

export type LogFormat = 'human' | 'json';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Writes what the daemon has to say: a line each, for people or (JSON lines) for programs. */
export class Log {
  private readonly format: LogFormat;
  private readonly write: (line: string) => unknown;
  /** Lines that were dropped, and not told of yet. */
  private dropped = 0;

  /** `write` returns false if it has no room for a line, which is then dropped, and counted. */
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

  /** @internal What a bug has to say takes several lines. */
  bug(text: string): void {
    this.put(this.line('error', text, {}, escapedLines));
  }

  /** Says how many lines were dropped; to be called when there is room again. False if there still is none. */
  tellDropped(): boolean {
    const { dropped } = this;
    if (dropped === 0) return true;
    const what = dropped === 1 ? '1 line was' : `${dropped} lines were`;
    const text = `${what} dropped from this log, which took no more`;
    if (this.write(this.line('warn', text, { dropped })) === false) return false;
    this.dropped = 0;
    return true;
  }

  private put(line: string): void {
    if (!this.tellDropped() || this.write(line) === false) this.dropped++;
  }

  private line(level: Level, text: string, fields: object = {}, shown = escaped): string {
    const time = new Date().toISOString();
    if (this.format === 'human') return `${time} ${level.padEnd(5)} ${shown(text)}\n`;
    return `${escapedJson({ time, level, text, ...fields })}\n`;
  }
}

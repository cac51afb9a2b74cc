export type LogFormat = 'human' | 'json';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Writes what the daemon has to say: a line each, for people or (JSON lines) for programs. */
export class Log {
  private readonly format: LogFormat;
  private readonly write: (line: string) => void;

  constructor(format: LogFormat, write: (line: string) => void) {
    this.format = format;
    this.write = write;
  }

  debug(text: string, fields?: object): void {
    this.line('debug', text, fields);
  }

  info(text: string, fields?: object): void {
    this.line('info', text, fields);
  }

  warn(text: string, fields?: object): void {
    this.line('warn', text, fields);
  }

  error(text: string, fields?: object): void {
    this.line('error', text, fields);
  }

  private line(level: Level, text: string, fields: object = {}): void {
    const time = new Date().toISOString();
    if (this.format === 'json') {
      this.write(`${JSON.stringify({ time, level, text, ...fields })}\n`);
    } else {
      this.write(`${time} ${level.padEnd(5)} ${text}\n`);
    }
  }
}

import process from 'node:process';
import { escapedLines } from '../base/escape.ts';
import { ending } from './ending.ts';
import { write } from './output.ts';

/** Text is written at the latest when there is so much of it. */
const MAX_PENDING_CHARACTERS = 64 * 1024;

/**
 * Prints many lines in few writes: what comes in one turn of the event loop goes out together. As with `print`, control
 * characters are escaped but newlines and tabs.
 */
export class Printer {
  private pending = '';
  private isScheduled = false;
  private writing: Promise<void> | null = null;

  /** A promise to wait for, when much is to be written. */
  print(text: string): Promise<void> | undefined {
    this.pending += text;
    if (this.pending.length >= MAX_PENDING_CHARACTERS) return this.flush();
    if (!this.isScheduled) {
      this.isScheduled = true;
      setImmediate(() => {
        this.isScheduled = false;
        // The command ends if the text can't be written: see `write`.
        this.flush().catch(() => {});
      });
    }
    return undefined;
  }

  /** One write at a time: what comes meanwhile goes out together, too. */
  private flush(): Promise<void> {
    if (this.writing === null && this.pending !== '') this.writing = this.writeAll();
    return this.writing ?? Promise.resolve();
  }

  private async writeAll(): Promise<void> {
    try {
      while (this.pending !== '') {
        const text = escapedLines(this.pending);
        this.pending = '';
        await write(text);
      }
    } finally {
      this.writing = null;
    }
  }

  /** Writes what is left. A command that ends early does not wait until it is written. */
  async finish(): Promise<void> {
    if (!ending.aborted) return this.flush();
    process.stdout.write(escapedLines(this.pending));
    this.pending = '';
  }
}

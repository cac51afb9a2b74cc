import { writeSync } from 'node:fs';
import process from 'node:process';
import { emitKeypressEvents } from 'node:readline';
import { end } from '../ending.ts';
import type { Key } from './keys.ts';
import type { Line, Style } from './screen.ts';

const ESC = '\x1b[';
/** Another screen, without a cursor; and back. */
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
/** A terminal that knows it shows a frame only when it is whole. */
const [BEGIN_FRAME, END_FRAME] = [`${ESC}?2026h`, `${ESC}?2026l`];

const SGR: Readonly<Record<Style, string>> = {
  plain: '',
  heading: '7',
  chosen: '1',
  bad: '1;31',
  good: '32',
  dim: '2',
};

/** Draws frames, and reads keys. However the command ends, the terminal is as before. */
export class Terminal {
  private readonly hasColors = process.stdout.hasColors();
  private readonly pressed: (key: Key) => void;
  private readonly redraw: () => void;
  /** The lines of the last frame: only others are written. */
  private before: string[] = [];
  private isEntered = false;
  private isBusy = false;

  constructor(pressed: (key: Key) => void, redraw: () => void) {
    this.pressed = pressed;
    this.redraw = redraw;
  }

  open(): void {
    process.on('exit', () => this.leave());
    process.on('SIGCONT', () => this.enter());
    process.stdout.on('resize', () => this.again());
    this.enter();
    if (!process.stdin.isTTY) return;
    emitKeypressEvents(process.stdin);
    process.stdin.on('keypress', (_text: string | undefined, key: Key) => this.key(key));
    process.stdin.resume();
  }

  get size(): { width: number; height: number } {
    const { columns, rows } = process.stdout;
    return { width: columns || 80, height: rows || 24 };
  }

  private enter(): void {
    if (!this.isEntered) process.stdout.write(ENTER);
    this.isEntered = true;
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    this.again();
  }

  private leave(): void {
    if (!this.isEntered) return;
    this.isEntered = false;
    try {
      if (process.stdin.isTTY) process.stdin.setRawMode(false);
      writeSync(1, LEAVE);
    } catch {
      // The terminal has gone.
    }
  }

  /** Gives the terminal back. */
  close(): void {
    this.leave();
    process.stdin.pause();
  }

  /** The terminal may show anything: draws all of it. */
  private again(): void {
    this.before = [];
    this.redraw();
  }

  private key(key: Key): void {
    if (key.ctrl && key.name === 'c') end('SIGINT');
    else if (key.ctrl && key.name === 'l') this.again();
    else if (key.ctrl && key.name === 'z') {
      this.leave();
      process.kill(process.pid, 'SIGTSTP');
    } else this.pressed(key);
  }

  /** Draws what has changed, in one write. A slow terminal gets fewer frames. */
  draw(lines: readonly Line[]): void {
    if (this.isBusy || !this.isEntered) return;
    const painted = lines.map(({ text, style }) => this.painted(text, style));
    let frame = this.before.length === 0 ? `${ESC}2J` : '';
    for (const [at, line] of painted.entries()) {
      if (line !== this.before[at]) frame += `${ESC}${at + 1};1H${line}${ESC}K`;
    }
    this.before = painted;
    if (frame === '') return;
    this.isBusy = !process.stdout.write(BEGIN_FRAME + frame + END_FRAME, () => {
      this.isBusy = false;
    });
  }

  private painted(text: string, style: Style): string {
    const sgr = this.hasColors ? SGR[style] : '';
    return sgr === '' ? text : `${ESC}${sgr}m${text}${ESC}0m`;
  }
}

import type { Bus } from '../bus/bus.ts';
import { bindingPieces, type Pieces, statsPieces } from '../bus/report.ts';
import { Op } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import type { Channel } from '../transport/channel.ts';
import type { Answers } from './answers.ts';
import { checkWaiting } from './check-waiting.ts';
import { MAX_BACKLOG_BYTES } from './prefetcher.ts';

/** The number of the report that was begun last. No connection uses those of another: a client may have lost that. */
let lastReport = 0;

/** A report that a call wants a piece of. */
interface Report {
  token: number;
  /** With which the client asks for the next piece. */
  readonly number: number;
  readonly pieces: Pieces;
}

/** Answers the calls BINDINGS and STATS, piece by piece: it makes a piece when the client can take it. */
export class ReportCalls {
  private readonly bus: Bus;
  private readonly channel: Channel;
  private readonly answers: Answers;
  /** Calls that wait for a piece, first come first. */
  private readonly waiting: Report[] = [];
  /** Reports that were begun, by the number with which the client asks for more of them. */
  private readonly begun = new Map<number, Report>();
  /** How many characters of reports are on their way to the channel. */
  private characters = 0;

  constructor(bus: Bus, channel: Channel, answers: Answers) {
    this.bus = bus;
    this.channel = channel;
    this.answers = answers;
  }

  /** A call wants the first piece of a report (0), or the next of the one with this number. */
  ask(op: number, token: number, number: number): void {
    const { begun, bus, waiting } = this;
    if (number === 0) {
      checkWaiting(waiting.length + begun.size);
      lastReport = (lastReport % 0xffff_ffff) + 1;
      const pieces = op === Op.STATS ? statsPieces(bus) : bindingPieces(bus);
      waiting.push({ token, number: lastReport, pieces });
    } else {
      const report = begun.get(number);
      // It was begun on a connection that was lost.
      if (report === undefined) {
        this.answers.refused(token, -Errno.ECONNRESET);
        return;
      }
      begun.delete(number);
      report.token = token;
      waiting.push(report);
    }
    if (waiting.length === 1) this.serve();
  }

  /** Answers calls for as long as the client takes what it is sent. */
  serve(): void {
    const { waiting, begun } = this;
    while (waiting.length > 0 && this.characters + this.channel.backlog <= MAX_BACKLOG_BYTES) {
      const report = waiting.shift() as Report;
      const { token, number, pieces } = report;
      const { value: text, done } = pieces.next();
      this.characters += text.length;
      if (!done) begun.set(number, report);
      this.answers.result(token, done ? 0 : number, 0, text);
    }
  }

  /** What was on its way is the channel's now. Whether more is on its way already. */
  flushed(): boolean {
    if (this.characters === 0) return false;
    this.characters = 0;
    this.serve();
    return this.characters > 0;
  }
}

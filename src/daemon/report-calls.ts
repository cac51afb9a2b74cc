import type { Bus } from '../bus/bus.ts';
import type { BusKsock } from '../bus/ksock.ts';
import { LEAST_BYTES } from '../bus/memory.ts';
import {
  accessPieces,
  bindingPieces,
  type NextPiece,
  PIECE_LENGTH,
  statsPieces,
} from '../bus/report.ts';
import { Op } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import type { Channel } from '../transport/channel.ts';
import type { CallResults } from './call-results.ts';
import { checkWaiting, REPORT_BYTES, WAITING_CALL_BYTES } from './check-waiting.ts';
import type { Entrance } from './entrance.ts';
import { MAX_BACKLOG_BYTES } from './prefetcher.ts';

/** Numbers of reports are unique to the daemon: a client that reconnects may ask for a piece of an old report. */
let lastReport = 0;

/** How many incomplete reports a connection may have; further ones begin when those are complete. */
const MAX_BEGUN_REPORTS = 64;

interface Report {
  /** Of the call that waits for a piece. */
  token: number;
  /** The client asks for the next piece with it. */
  readonly number: number;
  readonly next: NextPiece<object>;
}

/** A piece of a report costs about as much as so many deliveries, and as one more for each 32 characters of it. */
const PIECE_STEPS = 64;
const CHARACTERS_PER_STEP_BITS = 5;

/** Answers the calls BINDINGS, STATS and ACCESS in pieces, each made when the client's backlog allows it. */
export class ReportCalls {
  private readonly ksock: BusKsock;
  private readonly bus: Bus;
  private readonly channel: Channel;
  private readonly results: CallResults;
  private readonly entrance: Entrance;
  /** Reports whose next piece was asked for, oldest call first. */
  private readonly waiting: Report[] = [];
  /** Incomplete reports whose next piece was not asked for yet, by number; null before the first. Few connections ask for reports. */
  private begun: Map<number, Report> | null = null;
  /** Calls for reports beyond MAX_BEGUN_REPORTS. */
  private later: { op: number; token: number }[] = [];
  /** Characters of reports in the outbox. */
  private characters = 0;

  constructor(
    ksock: BusKsock,
    bus: Bus,
    channel: Channel,
    results: CallResults,
    entrance: Entrance,
  ) {
    this.ksock = ksock;
    this.entrance = entrance;
    this.bus = bus;
    this.channel = channel;
    this.results = results;
  }

  /** Handles a call for the first piece of a new report (number 0), or for the next piece of a report. */
  ask(op: number, token: number, number: number): void {
    const { begun, later, waiting } = this;
    if (number === 0) {
      const incomplete = waiting.length + (begun?.size ?? 0);
      checkWaiting(incomplete + later.length);
      if (this.held > LEAST_BYTES && !this.ksock.hasRoomFor(0)) {
        const { says } = this.ksock.share.memory;
        this.results.refused(token, -Errno.ENOMEM, `no memory is free for another report: ${says}`);
        return;
      }
      if (incomplete >= MAX_BEGUN_REPORTS) later.push({ op, token });
      else this.begin(op, token);
    } else {
      const report = begun?.get(number);
      // It belongs to a connection that was lost.
      if (report === undefined) {
        this.results.refused(token, -Errno.ECONNRESET);
        return;
      }
      begun?.delete(number);
      report.token = token;
      waiting.push(report);
    }
    if (waiting.length === 1) this.serve();
  }

  private begin(op: number, token: number): void {
    lastReport = (lastReport % 0xffff_ffff) + 1;
    this.waiting.push({ token, number: lastReport, next: this.piecesOf(op) });
  }

  private piecesOf(op: number): NextPiece<object> {
    const { bus, entrance } = this;
    if (op === Op.STATS) return statsPieces(bus);
    return op === Op.ACCESS ? accessPieces(entrance.reports()) : bindingPieces(bus);
  }

  /** What reports that are not read to their end, and calls for others, keep in memory, in bytes. */
  get held(): number {
    const { begun, later, waiting } = this;
    const incomplete = waiting.length + (begun?.size ?? 0);
    return incomplete * REPORT_BYTES + later.length * WAITING_CALL_BYTES;
  }

  /** Calls wait although the client's backlog allows to answer them: the turn was over. */
  get isPutOff(): boolean {
    const { channel, characters, waiting } = this;
    if (waiting.length === 0) return false;
    const unread = characters + channel.backlog;
    return unread === 0 || (unread <= MAX_BACKLOG_BYTES && this.ksock.hasRoomFor(characters));
  }

  /** Answers waiting calls while the client's backlog allows it, and the turn is not over. */
  serve(): void {
    const { later, waiting } = this;
    const { work } = this.bus;
    while (this.isPutOff && !work.isTurnOver) {
      const report = waiting.shift() as Report;
      const { token, number, next } = report;
      const { piece, isLast } = next(
        this.ksock.hasRoomFor(this.characters + PIECE_LENGTH) ? PIECE_LENGTH : LEAST_BYTES,
      );
      const text = JSON.stringify(piece);
      this.characters += text.length;
      work.done += PIECE_STEPS + (text.length >> CHARACTERS_PER_STEP_BITS);
      if (!isLast) {
        this.begun ??= new Map();
        this.begun.set(number, report);
      } else if (later.length > 0) {
        const call = later.shift() as { op: number; token: number };
        this.begin(call.op, call.token);
      }
      this.results.result(token, isLast ? 0 : number, 0, text);
    }
  }

  /** The outbox was flushed. True if it holds further pieces now. */
  flushed(): boolean {
    if (this.characters === 0) return false;
    this.characters = 0;
    this.serve();
    return this.characters > 0;
  }
}

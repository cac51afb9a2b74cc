import { perform } from '../bus/driver/perform.ts';
import type { SendQueue } from '../bus/driver/send-queue.ts';
import type { BusKsock } from '../bus/ksock.ts';
import { Op } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { ProtocolError } from '../wire/protocol.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Answers } from './answers.ts';
import { checkWaiting } from './check-waiting.ts';
import type { Explanations } from './explanations.ts';
import type { Prefetcher } from './prefetcher.ts';
import type { Reads } from './reads.ts';
import type { ReportCalls } from './report-calls.ts';

/** What the calls of one connection work on. */
export interface CallParts {
  readonly ksock: BusKsock;
  readonly sends: SendQueue;
  readonly acknowledgements: Acknowledgements;
  readonly prefetcher: Prefetcher;
  readonly reads: Reads;
  readonly reports: ReportCalls;
  readonly answers: Answers;
  readonly explanations: Explanations;
}

/** What the calls of one connection need of it. */
export interface CallHost {
  /** Makes the next bus, and answers when it can be opened. */
  newDevice(token: number): void;
  /** The Ksock has left the bus: the connection ends when its client knows. */
  leave(): void;
}

/** Carries out the CALL frames of one connection. */
export class Calls {
  private readonly host: CallHost;
  private readonly parts: CallParts;
  /** Tokens of the POLLs that wait until a message may be written. */
  private polls: number[] = [];

  constructor(host: CallHost, parts: CallParts) {
    this.host = host;
    this.parts = parts;
  }

  call(op: number, token: number, argument: number, text: string): void {
    const { ksock, acknowledgements, answers, explanations, prefetcher } = this.parts;
    if (op === Op.UNBIND) prefetcher.mustBeRecalled();
    const outcome = perform(ksock, op, argument, text);
    if (outcome !== null) {
      const { first, second } = outcome;
      if (first >= 0) answers.result(token, first, second);
      else {
        const why = explanations.why(() => ksock.whyNotBound(text, -first));
        answers.refused(token, first, why);
      }
      return;
    }
    switch (op) {
      case Op.RESEND:
        this.resend(token);
        break;
      case Op.DISCARD: {
        const isSending = this.parts.sends.discard();
        this.servePolls();
        answers.result(token, isSending ? 1 : 0);
        break;
      }
      case Op.POLL:
        this.poll(token, argument !== 0);
        break;
      case Op.NEW_DEVICE:
        this.host.newDevice(token);
        break;
      case Op.BINDINGS:
      case Op.STATS:
        this.parts.reports.ask(op, token, argument);
        break;
      case Op.RECALL:
        prefetcher.recall();
        answers.result(token, 0);
        break;
      case Op.SYNC:
        acknowledgements.sync();
        answers.result(token, 0);
        break;
      case Op.CLOSE:
        ksock.close();
        answers.result(token, 0);
        this.host.leave();
        break;
      case Op.CANCEL:
        this.cancel(argument);
        answers.result(token, 0);
        break;
      case Op.FORGET:
        answers.result(token, this.forget(argument) ? 1 : 0);
        break;
      default:
        throw new ProtocolError(`a call with the unknown number ${op}`);
    }
  }

  private resend(token: number): void {
    const { ksock, sends, answers, explanations } = this.parts;
    const { sending } = ksock;
    const result = sends.pending > 0 ? -Errno.EALREADY : ksock.resend();
    if (result < 0) {
      const says = (): string => (sending ? ksock.whyRefused(sending, -result) : '');
      answers.refused(token, result, explanations.why(says));
    } else answers.result(token, ksock.lastNetwork, ksock.lastSerial);
    this.servePolls();
  }

  private poll(token: number, mayWait: boolean): void {
    const { ksock, answers } = this.parts;
    if (this.isWritable()) answers.result(token, 1);
    else if (!mayWait || ksock.mode === 'r') answers.result(token, 0);
    else {
      checkWaiting(this.polls.length);
      this.polls.push(token);
    }
  }

  /** Whether a message may be written now: none waits, nor do those that wait their turn. */
  private isWritable(): boolean {
    return this.parts.sends.pending === 0 && this.parts.ksock.poll();
  }

  /** Answers those who wait until a message may be written, if it may. */
  servePolls(): void {
    if (this.polls.length === 0 || !this.isWritable()) return;
    for (const token of this.polls) this.parts.answers.result(token, 1);
    this.polls = [];
  }

  /** Whether nobody has carried out the Request of this token, and nobody will. */
  private forget(token: number): boolean {
    const { ksock, sends } = this.parts;
    if (!sends.cancel(token)) return ksock.forget(token);
    this.servePolls();
    return true;
  }

  /** Ends the TAKE, POLL or SEND of this token, if it is still pending. */
  private cancel(token: number): void {
    if (this.parts.reads.cancel(token)) return;
    const poll = this.polls.indexOf(token);
    if (poll >= 0) {
      this.polls.splice(poll, 1);
      this.parts.answers.result(token, 0);
      return;
    }
    this.parts.sends.cancel(token);
    this.servePolls();
  }
}

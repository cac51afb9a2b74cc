import { perform } from '../bus/driver/perform.ts';
import type { SendQueue } from '../bus/driver/send-queue.ts';
import type { BusKsock } from '../bus/ksock.ts';
import { Op, type OpCode } from '../message/calls.ts';
import { type Call, Errno } from '../message/errno.ts';
import { ProtocolError } from '../wire/protocol.ts';
import { type Acknowledgements, REFUSAL_STEPS } from './acknowledgements.ts';
import type { CallResults } from './call-results.ts';
import { checkWaitingCall } from './check-waiting.ts';
import type { ExplanationBudget } from './explanation-budget.ts';
import type { Prefetcher } from './prefetcher.ts';
import type { Reads } from './reads.ts';
import type { ReportCalls } from './report-calls.ts';

/** The parts of a session that its calls work on. */
export interface CallParts {
  readonly ksock: BusKsock;
  readonly sends: SendQueue;
  readonly acknowledgements: Acknowledgements;
  readonly prefetcher: Prefetcher;
  readonly reads: Reads;
  readonly reports: ReportCalls;
  readonly results: CallResults;
  readonly explanationBudget: ExplanationBudget;
}

/** What calls need of their session. */
export interface CallHost {
  /** Creates the next bus, and answers the call once that can be opened. */
  newDevice(token: number): void;
  /** The Ksock is closed: ends the connection after the answer. */
  leave(): void;
}

/** What errors call them. */
const NAMES: Readonly<Partial<Record<OpCode, Call>>> = {
  [Op.BIND]: 'bind',
  [Op.UNBIND]: 'unbind',
  [Op.FIND_REPLIER]: 'findReplier',
  [Op.MAX_MESSAGES]: 'maxMessages',
  [Op.WANT_MESSAGES_ONCE]: 'wantMessagesOnce',
  [Op.REPORT_REPLIER_BINDS]: 'reportReplierBinds',
  [Op.VERBOSE]: 'verbose',
  [Op.MAX_MESSAGE_SIZE]: 'maxMessageSize',
  [Op.KICK]: 'kick',
};

/** Carries out the CALL frames of one connection. */
export class Calls {
  private readonly host: CallHost;
  private readonly parts: CallParts;
  /** Tokens of the POLLs that wait until the Ksock is writable. */
  private readonly polls = new Set<number>();

  constructor(host: CallHost, parts: CallParts) {
    this.host = host;
    this.parts = parts;
  }

  call(op: number, token: number, argument: number, text: string): void {
    const { ksock, acknowledgements, results, explanationBudget, prefetcher } = this.parts;
    if (op === Op.UNBIND) prefetcher.mustBeRecalled();
    const outcome = perform(ksock, op, argument, text);
    if (outcome !== null) {
      const { first, second } = outcome;
      if (first >= 0) results.result(token, first, second);
      else {
        const why = explanationBudget.why(NAMES[op as OpCode] ?? 'any', -first, () =>
          ksock.whyCallRefused(op as OpCode, argument, text, -first),
        );
        ksock.tookSteps(REFUSAL_STEPS);
        results.refused(token, first, why);
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
        results.result(token, isSending ? 1 : 0);
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
      case Op.ACCESS:
        this.parts.reports.ask(op, token, argument);
        break;
      case Op.RECALL:
        prefetcher.recall();
        results.result(token, 0);
        break;
      case Op.SYNC:
        acknowledgements.sync();
        results.result(token, 0);
        break;
      case Op.CLOSE:
        ksock.close();
        results.result(token, 0);
        this.host.leave();
        break;
      case Op.CANCEL:
        this.cancel(argument);
        results.result(token, 0);
        break;
      case Op.FORGET:
        results.result(token, this.forget(argument) ? 1 : 0);
        break;
      default:
        throw new ProtocolError(`a call with the unknown number ${op}`);
    }
  }

  private resend(token: number): void {
    const { ksock, sends, results, explanationBudget } = this.parts;
    const { sending } = ksock;
    const result = sends.pending > 0 ? -Errno.EALREADY : ksock.resend();
    if (result < 0) {
      const explain = (): string => (sending ? ksock.whyRefused(sending, -result) : '');
      results.refused(token, result, explanationBudget.why('send', -result, explain));
    } else results.result(token, ksock.lastNetwork, ksock.lastSerial);
    this.servePolls();
  }

  private poll(token: number, mayWait: boolean): void {
    const { ksock, results } = this.parts;
    if (this.isWritable()) results.result(token, 1);
    else if (!mayWait || ksock.mode === 'r') results.result(token, 0);
    else {
      checkWaitingCall(ksock, this.polls.size);
      this.polls.add(token);
    }
  }

  /** Whether a message may be written now: none waits for a full queue, and none is in the send queue. */
  private isWritable(): boolean {
    return this.parts.sends.pending === 0 && this.parts.ksock.poll();
  }

  /** How many POLLs wait. */
  get waiting(): number {
    return this.polls.size;
  }

  /** Answers the waiting POLLs if the Ksock is writable. */
  servePolls(): void {
    if (this.polls.size === 0 || !this.isWritable()) return;
    for (const token of this.polls) this.parts.results.result(token, 1);
    this.polls.clear();
  }

  /** Gives up the Request of this token. True if no Replier has read it: none will. */
  private forget(token: number): boolean {
    const { ksock, sends } = this.parts;
    if (!sends.cancel(token)) return ksock.forget(token);
    this.servePolls();
    return true;
  }

  /** Ends the TAKE, POLL or SEND of this token, if it is still pending. */
  private cancel(token: number): void {
    if (this.parts.reads.cancel(token)) return;
    if (this.polls.delete(token)) {
      this.parts.results.result(token, 0);
      return;
    }
    this.parts.sends.cancel(token);
    this.servePolls();
  }
}

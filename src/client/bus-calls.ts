import { ASK, Op, type OpCode } from '../message/calls.ts';
import { type Call, Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { explain } from './explain.ts';
import { mustBe } from './options.ts';
import type { CallResult } from './ports/port.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';
import type { ReportKind, ReportPieces } from './report-pieces.ts';

/** A report may have this many characters of JSON in all: some two million bindings. */
const MAX_REPORT_LENGTH = 256 * 1024 * 1024;

/** Each piece but the last has at least this many: a report is read in a bounded number of calls. */
const MIN_PIECE_LENGTH = 4096;

/** The calls of a Ksock to its bus. A refused call throws a KbusError that says what was asked. */
export class BusCalls {
  private readonly reconnecting: ReconnectingPort;

  constructor(reconnecting: ReconnectingPort) {
    this.reconnecting = reconnecting;
  }

  async call(
    call: Call,
    op: OpCode,
    argument: number,
    text: string,
    what: string,
  ): Promise<CallResult> {
    try {
      return await this.reconnecting.port.call(op, argument, text);
    } catch (refusal) {
      throw explain(call, refusal, what, text);
    }
  }

  /** A call without an argument whose result is a number. */
  async ask(call: Call, op: OpCode, what: string): Promise<number> {
    return (await this.call(call, op, 0, '', what)).first;
  }

  /** Sets a switch, or asks for it; resolves with its value before. */
  async switch(call: Call, op: OpCode, on: boolean | undefined): Promise<boolean> {
    if (on !== undefined) mustBe('boolean', 'the switch', on);
    const value = on === undefined ? ASK : on ? 1 : 0;
    const { first } = await this.call(call, op, value, '', `${call}(${on ?? ''})`);
    if (on === true) this.reconnecting.set(op, 1);
    // Off is the default. To restore it after a reconnection could undo what another program has set since.
    else if (on === false) this.reconnecting.unset(op);
    return first !== 0;
  }

  /** A whole report, in its pieces. Throws EPROTO for one that is malformed, or does not end. */
  async report<K extends ReportKind>(
    op: OpCode,
    what: string,
    kind: K,
  ): Promise<ReportPieces[K][]> {
    const pieces: ReportPieces[K][] = [];
    let next = 0;
    let length = 0;
    do {
      const { first, text } = await this.call('stats', op, next, '', what);
      next = first;
      length += text.length;
      if (length > MAX_REPORT_LENGTH || (next !== 0 && text.length < MIN_PIECE_LENGTH)) {
        throw malformed(what, `the report of the daemon is endless: ${length} characters`);
      }
      // Pages load it when they ask for a report.
      const { checked } = await import('./report-pieces.ts');
      try {
        pieces.push(checked[kind](JSON.parse(text)) as ReportPieces[K]);
      } catch (cause) {
        const isJson = cause instanceof TypeError;
        const why = isJson ? `the report of the daemon is wrong: ${cause.message}` : NOT_JSON;
        throw malformed(what, why, cause);
      }
    } while (next !== 0);
    return pieces;
  }

  async bind(name: string, replier: boolean): Promise<void> {
    mustBe('string', 'name', name);
    mustBe('boolean', 'replier', replier);
    const what = `bind '${name}' as ${replier ? 'Replier' : 'Listener'}`;
    await this.call('bind', Op.BIND, replier ? 1 : 0, name, what);
    this.reconnecting.bound(name, replier);
  }

  async unbind(name: string, replier: boolean): Promise<void> {
    mustBe('string', 'name', name);
    mustBe('boolean', 'replier', replier);
    const what = `unbind '${name}' as ${replier ? 'Replier' : 'Listener'}`;
    const { reconnecting } = this;
    if (reconnecting.unboundHere(name, replier)) return;
    try {
      await this.call('unbind', Op.UNBIND, replier ? 1 : 0, name, what);
    } catch (error) {
      // The connection was lost meanwhile, and the binding with it: a reconnection must not restore it.
      if (reconnecting.unboundHere(name, replier)) return;
      throw error;
    }
    reconnecting.unbound(name, replier);
  }
}

const NOT_JSON = 'the answer of the daemon is not JSON';

function malformed(what: string, meaning: string, cause?: unknown): KbusError {
  return new KbusError('stats', Errno.EPROTO, what, { meaning, cause });
}

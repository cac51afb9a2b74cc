import { ASK, Op, type OpCode } from '../message/calls.ts';
import { type Call, Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { explain } from './explain.ts';
import { mustBe } from './options.ts';
import type { CallResult } from './ports/port.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';

/** The calls of a Ksock to its bus: each is refused with a KbusError, which says what was asked. */
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

  /** A call without an argument, that is answered with a number. */
  async ask(call: Call, op: OpCode, what: string): Promise<number> {
    return (await this.call(call, op, 0, '', what)).first;
  }

  /** Sets a switch, or asks for it; resolves with what it was before. */
  async switch(call: Call, op: OpCode, on: boolean | undefined): Promise<boolean> {
    if (on !== undefined) mustBe('boolean', 'the switch', on);
    const value = on === undefined ? ASK : on ? 1 : 0;
    const { first } = await this.call(call, op, value, '', `${call}(${on ?? ''})`);
    if (on === true) this.reconnecting.set(op, 1);
    // As it is by itself: to make that again could undo what another program has set since.
    else if (on === false) this.reconnecting.unset(op);
    return first !== 0;
  }

  /** All pieces of a report. */
  async report<T>(op: OpCode, what: string): Promise<T[]> {
    const pieces: T[] = [];
    let next = 0;
    do {
      const { first, text } = await this.call('read', op, next, '', what);
      pieces.push(parsed(text, what));
      next = first;
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
      // The connection was lost meanwhile, and with it the binding, which must not come back.
      if (reconnecting.unboundHere(name, replier)) return;
      throw error;
    }
    reconnecting.unbound(name, replier);
  }
}

/** A piece of a report that a daemon made. EPROTO. */
function parsed<T>(text: string, what: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    const meaning = 'what the daemon answered is no JSON';
    throw new KbusError('read', Errno.EPROTO, what, { meaning, cause });
  }
}

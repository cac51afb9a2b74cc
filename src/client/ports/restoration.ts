import { Op, type OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { KbusError } from '../../message/error.ts';
import { explain } from '../explain.ts';
import { type Port, PortError } from './port.ts';

interface KeptBinding {
  readonly name: string;
  readonly replier: boolean;
}

/** The bindings and settings that the bus refused to restore. */
export interface RestorationEvents {
  /** The bus refused to restore a binding. The Ksock retries until it succeeds, or the program unbinds the name. */
  bindRefused(error: KbusError, name: string): void;
  /** The new daemon does not allow a setting. */
  settingRefused(error: KbusError): void;
}

/** What a reconnected Ksock restores on its new port: its bindings, oldest first, and its settings. */
export class Restoration {
  private readonly events: RestorationEvents;
  private readonly bindings: KeptBinding[] = [];
  /** The bindings that the bus refused to restore. */
  private readonly refused = new Set<KeptBinding>();
  private readonly settings = new Map<OpCode, number>();

  constructor(events: RestorationEvents) {
    this.events = events;
  }

  get hasRefused(): boolean {
    return this.refused.size > 0;
  }

  setting(op: OpCode): number | undefined {
    return this.settings.get(op);
  }

  set(op: OpCode, value: number): void {
    this.settings.set(op, value);
  }

  /** The setting has its default again. */
  unset(op: OpCode): void {
    this.settings.delete(op);
  }

  bound(name: string, replier: boolean): void {
    this.bindings.push({ name, replier });
  }

  /** Forgets the newest binding with these arguments; false if there is none. */
  forget(name: string, replier: boolean): boolean {
    return this.forgetNewest((one) => one.name === name && one.replier === replier);
  }

  /** Forgets the newest refused binding with these arguments; false if there is none. */
  forgetRefused(name: string, replier: boolean): boolean {
    return this.forgetNewest(
      (one) => one.name === name && one.replier === replier && this.refused.has(one),
    );
  }

  private forgetNewest(isMeant: (binding: KeptBinding) => boolean): boolean {
    const at = this.bindings.findLastIndex(isMeant);
    if (at < 0) return false;
    for (const binding of this.bindings.splice(at, 1)) this.refused.delete(binding);
    return true;
  }

  /** Restores settings and bindings on a new port. Rejects if the port is lost meanwhile. */
  async restore(port: Port): Promise<void> {
    // MAX_MESSAGES (the lowest number) first: the reports of Replier binds go into that queue.
    for (const [op, value] of [...this.settings].sort(([a], [b]) => a - b)) {
      try {
        await port.call(op, value, '');
      } catch (error) {
        if (isOver(error)) throw error;
        this.refuseSetting(op, value, error);
      }
    }
    // While this waits, the program may unbind names, or close the Ksock.
    const restored: KeptBinding[] = [];
    this.refused.clear();
    for (const binding of [...this.bindings]) {
      if (!this.bindings.includes(binding)) continue;
      try {
        await callWith(port, Op.BIND, binding);
        restored.push(binding);
      } catch (error) {
        if (isOver(error)) throw error;
        this.refuseBind(binding, error);
      }
    }
    for (const binding of restored) {
      if (this.bindings.includes(binding)) continue;
      await callWith(port, Op.UNBIND, binding);
    }
  }

  /** Retries the refused bindings. Rejects if the port is lost. */
  async bindRefused(port: Port): Promise<void> {
    for (const binding of [...this.refused]) {
      if (!this.refused.has(binding)) continue;
      try {
        await callWith(port, Op.BIND, binding);
        if (this.refused.delete(binding)) continue;
        await callWith(port, Op.UNBIND, binding);
      } catch (error) {
        if (isOver(error)) throw error;
      }
    }
  }

  private refuseSetting(op: OpCode, value: number, error: unknown): void {
    const kbusError =
      op === Op.MAX_MESSAGE_SIZE
        ? explain('maxMessageSize', error, `set the maximum message size to ${value} again`)
        : explain('reportReplierBinds', error, 'report Replier binds again');
    this.events.settingRefused(kbusError as KbusError);
  }

  private refuseBind(binding: KeptBinding, error: unknown): void {
    this.refused.add(binding);
    const { name, replier } = binding;
    const what = `bind '${name}' as ${replier ? 'Replier' : 'Listener'} again`;
    this.events.bindRefused(explain('bind', error, what) as KbusError, name);
  }
}

function callWith(port: Port, op: OpCode, { name, replier }: KeptBinding): Promise<unknown> {
  return port.call(op, replier ? 1 : 0, name);
}

/** The connection is lost, or the Ksock is closed: don't make further calls. */
function isOver(error: unknown): boolean {
  return (
    !(error instanceof PortError) ||
    error.errno === Errno.ECONNRESET ||
    error.errno === Errno.EPROTO ||
    error.isClosed
  );
}

import { Op, type OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { KbusError } from '../../message/error.ts';
import { explain } from '../explain.ts';
import { type Port, PortError } from './port.ts';

interface KeptBinding {
  readonly name: string;
  readonly replier: boolean;
}

/** What a Ksock that comes back can't have again. */
export interface RestorationEvents {
  /** A name that was bound before could not be bound again; it is tried again until it can, or is unbound. */
  bindRefused(error: KbusError, name: string): void;
  /** A setting that was made before is none that the new daemon allows. */
  settingRefused(error: KbusError): void;
}

/** What it takes for a Ksock to be the same again on a new port: its bindings, oldest first, and its settings. */
export class Restoration {
  private readonly events: RestorationEvents;
  private readonly bindings: KeptBinding[] = [];
  /** Those of them that somebody else stood in the way of. */
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

  /** It is as every Ksock or bus has it at first. */
  unset(op: OpCode): void {
    this.settings.delete(op);
  }

  bound(name: string, replier: boolean): void {
    this.bindings.push({ name, replier });
  }

  /** Forgets the newest of such bindings; false when there is none. */
  forget(name: string, replier: boolean): boolean {
    return this.forgetNewest((one) => one.name === name && one.replier === replier);
  }

  /** The same, of those that were refused. */
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

  /** Makes all of it on a new port. Rejects when that is lost meanwhile. */
  async restore(port: Port): Promise<void> {
    // The limit of the queue (the lowest number) before the reports that go into it.
    for (const [op, value] of [...this.settings].sort(([a], [b]) => a - b)) {
      try {
        await port.call(op, value, '');
      } catch (error) {
        if (isOver(error)) throw error;
        this.refuseSetting(op, value, error);
      }
    }
    // While this waits, its program may unbind some of them, or the Ksock be closed.
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

  /** Tries the names again that were refused. Rejects when the port is lost. */
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
    const told =
      op === Op.MAX_MESSAGE_SIZE
        ? explain('maxMessageSize', error, `set the maximum message size to ${value} again`)
        : explain('reportReplierBinds', error, 'report Replier binds again');
    this.events.settingRefused(told as KbusError);
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

/** The connection is lost, or the Ksock is closed: more calls tell nothing. */
function isOver(error: unknown): boolean {
  return (
    !(error instanceof PortError) ||
    error.errno === Errno.ECONNRESET ||
    error.errno === Errno.EPROTO ||
    error.isClosed
  );
}

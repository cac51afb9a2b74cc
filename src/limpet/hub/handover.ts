import type { Message } from '../../message/message.ts';
import type { Address } from './address.ts';
import { RecentIds } from './recent-ids.ts';

/** What was delivered on a bus before this Limpet spoke for it. */
export class Handover {
  private readonly delivered = new RecentIds();
  /** By network: the latest of them. */
  private readonly deliveredUpTo = new Map<number, number>();
  /** By network: the life of its Limpet that was met last. */
  private readonly lives = new Map<number, number>();

  /**
   * Another Limpet speaks for the bus, and this one, which stands by, has heard a message there. If it takes over, it must
   * not deliver that again.
   */
  heard({ head, idSerial }: Message): void {
    if (head.idNetwork === 0) return;
    this.delivered.add(head.idNetwork, idSerial);
    const before = this.deliveredUpTo.get(head.idNetwork) ?? 0;
    if (idSerial > before) this.deliveredUpTo.set(head.idNetwork, idSerial);
  }

  /**
   * Whether this Limpet may still deliver a message: `duplicate` if the one before it has, `late` if that has delivered a later
   * one.
   */
  check({ head, idSerial }: Message): 'new' | 'duplicate' | 'late' {
    if (this.isNew(head.idNetwork, idSerial)) return 'new';
    return this.delivered.has(head.idNetwork, idSerial) ? 'duplicate' : 'late';
  }

  /** Whether the one before has delivered neither the message with this id, nor a later one. */
  isNew(network: number, serial: number): boolean {
    const { deliveredUpTo } = this;
    // What a Limpet itself says has no network.
    return deliveredUpTo.size === 0 || network === 0 || serial > (deliveredUpTo.get(network) ?? 0);
  }

  /** A Limpet is in reach. In a new life of it, the serial numbers of its bus may begin again. */
  met({ id, life }: Address): void {
    const before = this.lives.get(id);
    if (before === life) return;
    this.lives.set(id, life);
    if (before !== undefined) this.deliveredUpTo.delete(id);
  }

  tick(): void {
    this.delivered.tick();
  }
}

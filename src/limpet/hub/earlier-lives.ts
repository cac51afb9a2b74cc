import type { Address } from './address.ts';

/** Of so many Limpets it is known how far they had this one's stream. */
const MAX_LIMPETS = 4096;

interface Reached {
  readonly life: number;
  /** How many messages for listeners it has, or was told that it missed. */
  heard: number;
  /** It is told in this entry of the stream what its earlier life did not hear; 0: there is nothing to tell. */
  readonly told: number;
}

/**
 * How far other Limpets have the stream of this one, by network id. One that starts again hears the stream from then on: it is told how
 * far its life before had it, and so what its bus has missed.
 */
export class EarlierLives {
  private readonly latest = new Map<number, Reached>();

  /**
   * How many messages for listeners an earlier life of a Limpet had heard, which now hears the stream for the first time; -1 if none is
   * known.
   */
  heardBefore({ id, life }: Address): number {
    const before = this.latest.get(id);
    return before === undefined || before.life === life ? -1 : before.heard;
  }

  /** A life has begun; `heard` is what is settled of it, and `told` the number of the entry that settles the rest. */
  begun({ id, life }: Address, heard: number, told: number): void {
    this.latest.delete(id);
    this.latest.set(id, { life, heard, told });
    const [oldest] = this.latest.keys();
    if (this.latest.size > MAX_LIMPETS) this.latest.delete(oldest as number);
  }

  /** A Limpet has the stream up to number `to`: so many messages for listeners. */
  reached(hub: Address, to: number, heard: number): void {
    const latest = this.latest.get(hub.id);
    if (latest === undefined) this.begun(hub, heard, 0);
    else if (latest.life === hub.life && to >= latest.told) latest.heard = heard;
  }
}

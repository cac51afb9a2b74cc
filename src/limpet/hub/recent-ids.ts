/** This many ids are remembered at least, and up to twice as many. */
const GENERATION = 65_536;

/** For this many ticks at least, and up to twice as long. */
const TICKS = 30;

/** The ids of messages that were seen lately. */
export class RecentIds {
  private young = new Set<number>();
  private old = new Set<number>();
  private age = 0;

  /** Remembers an id; false if it is known. */
  add(network: number, serial: number): boolean {
    if (this.has(network, serial)) return false;
    this.young.add(keyOf(network, serial));
    if (this.young.size >= GENERATION) this.turn();
    return true;
  }

  has(network: number, serial: number): boolean {
    if (this.young.size + this.old.size === 0) return false;
    const key = keyOf(network, serial);
    return this.young.has(key) || this.old.has(key);
  }

  tick(): void {
    if (++this.age >= TICKS) this.turn();
  }

  private turn(): void {
    this.old = this.young;
    this.young = new Set();
    this.age = 0;
  }
}

/** A number has room for 21 bits of the network, and the serial number. */
function keyOf(network: number, serial: number): number {
  return (network % 0x20_0000) * 0x1_0000_0000 + serial;
}

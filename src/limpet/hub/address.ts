/** One run of one Limpet. A Limpet that starts again has the same id and another life. */
export interface Address {
  /** The network id, from 1. */
  readonly id: number;
  /** A random number of the run, from 1 to 2^53 - 1. */
  readonly life: number;
}

/** The key of an address in maps. */
export function keyOf({ id, life }: Address): string {
  return `${id}.${life}`;
}

export function isSame(one: Address, other: Address): boolean {
  return one.id === other.id && one.life === other.life;
}

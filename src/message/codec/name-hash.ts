import { padded } from '../../base/u32.ts';

/** A number for the name of `length` letters in `count` words from `from` on: seldom the same for two names. */
export function hashOf(words: Int32Array, from: number, count: number, length: number): number {
  // Two chains, so that the processor works on both at once.
  let even = length;
  let odd = 0x2545_f491;
  let index = 0;
  for (; index + 1 < count; index += 2) {
    even = Math.imul(even ^ (words[from + index] as number), 0x9e37_79b1);
    odd = Math.imul(odd ^ (words[from + index + 1] as number), 0x85eb_ca6b);
  }
  if (index < count) even = Math.imul(even ^ (words[from + index] as number), 0x9e37_79b1);
  const both = even ^ (odd >>> 7) ^ (odd << 11);
  return Math.imul(both ^ (both >>> 16), 0xc2b2_ae35);
}

/** The same for the letters of a name. */
export function hashOfName(name: string): number {
  const bytes = Uint8Array.from({ length: padded(name.length) }, (_, at) => name.charCodeAt(at));
  return hashOf(new Int32Array(bytes.buffer), 0, bytes.length >> 2, name.length);
}

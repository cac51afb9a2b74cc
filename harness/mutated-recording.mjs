import { Random } from './random.mjs';

/**
 * Some bytes of a file changed; in every second one with a right checksum again, so that what is inside is read.
 *
 * @param {number} seed @param {Uint8Array} original
 */
export function mutatedRecording(seed, original) {
  // Seeds that follow each other must not give alike numbers.
  const random = new Random(Math.imul(seed, 0x9e37_79b1) >>> 0);
  // A copy: the slice of a Buffer shares its memory.
  const bytes = new Uint8Array(original);
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(bytes.length);
    const view = new DataView(bytes.buffer);
    switch (random.below(4)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 2:
        if (at + 4 <= bytes.length)
          view.setUint32(at, random.pick([0, 1, 0x7fff_ffff, 0xffff_ffff]), true);
        break;
      default:
        bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
    }
  }
  // The checksum of the first chunk is 33 bytes behind its opcode. 0 says that there is none.
  const chunkAt = random.chance(0.5) ? original.indexOf(0x06, 20) : -1;
  if (chunkAt > 0) new DataView(bytes.buffer).setUint32(chunkAt + 9 + 24, 0, true);
  return random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

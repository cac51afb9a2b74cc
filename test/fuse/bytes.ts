import { LITTLE_ENDIAN } from '../../src/base/endianness.ts';

/** The bytes of words, u32 for a number, u64 for a bigint, and of texts, in native order. */
export function bytesOf(...parts: (number | bigint | string)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part);
      const view = new DataView(new ArrayBuffer(typeof part === 'bigint' ? 8 : 4));
      if (typeof part === 'bigint') view.setBigUint64(0, part, LITTLE_ENDIAN);
      else view.setUint32(0, part, LITTLE_ENDIAN);
      return Buffer.from(view.buffer);
    }),
  );
}

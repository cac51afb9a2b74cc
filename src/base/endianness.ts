/** True on a little-endian machine: the byte order of all words of a device file. */
export const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

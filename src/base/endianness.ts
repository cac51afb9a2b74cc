/** Which way round the machine writes its numbers: the order of all words of a device file. */
export const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

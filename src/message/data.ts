import { bytesOfText } from '../base/text.ts';

/**
 * The data of a message: text, which is sent as UTF-8, or the bytes of a Uint8Array, Buffer, any other view or
 * ArrayBuffer, of any realm.
 *
 * @see {@link Message} for an example
 */
export type Data = string | ArrayBufferView | ArrayBuffer;

const NO_BYTES = new Uint8Array(0);

/** The bytes of `data`, without a copy; text becomes UTF-8. Throws a TypeError for anything but text and bytes. */
export function toBytes(data: Data | null | undefined): Uint8Array {
  if (typeof data === 'string') return bytesOfText(data);
  if (data === undefined || data === null) return NO_BYTES;
  const bytes = asBytes(data);
  if (bytes !== null) return bytes;
  throw new TypeError(
    `data must be a string or a Uint8Array, not ${typeof data}; JSON.stringify() makes a string of anything`,
  );
}

/**
 * A Uint8Array of the same memory; null for a value without memory. Throws a TypeError when the memory was transferred.
 */
export function asBytes(data: unknown): Uint8Array | null {
  // Arrays of another realm (a vm context, jsdom) are not instances of our classes.
  const isOurs = data instanceof Uint8Array;
  if (isOurs && data.length > 0) return data;
  if (ArrayBuffer.isView(data)) {
    if (data.byteLength === 0) checkAttached(data.buffer);
    return isOurs ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (!isBuffer(data)) return null;
  checkAttached(data);
  return new Uint8Array(data);
}

function isBuffer(data: unknown): data is ArrayBuffer {
  const tag = Object.prototype.toString.call(data);
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]';
}

function checkAttached(buffer: ArrayBufferLike): void {
  if (buffer.byteLength > 0) return;
  try {
    // On all our versions of Node, only this tells a detached buffer from an empty one.
    new Uint8Array(buffer);
  } catch {
    throw detached();
  }
}

/** The error for data whose memory was transferred. */
export function detached(): TypeError {
  return new TypeError(
    'the memory of the data is detached: it was transferred, perhaps to a worker; transfer a slice() of it',
  );
}

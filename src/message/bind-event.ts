import { LITTLE_ENDIAN } from '../base/endianness.ts';
import { padded } from '../base/u32.ts';

/**
 * The data of a ReplierBindEvent.
 *
 * @see {@link splitReplierBindEventData} for an example
 */
export interface ReplierBindEventData {
  /** True for a bind, false for an unbind. */
  isBind: boolean;
  /** Ksock id of the Replier. */
  binder: number;
  /** The binding name; may be a wildcard. */
  name: string;
}

const latin1 = new TextDecoder('latin1');

/**
 * Data of `$.KBUS.ReplierBindEvent` (spec 2 §7): u32 is_bind, u32 binder,
 * u32 name_len, in native order; the name, a 0 byte, and zeros up to a multiple of 4.
 *
 * @example
 * ```ts
 * import { Message, REPLIER_BIND_EVENT, replierBindEventData } from 'kbus';
 *
 * const data = replierBindEventData({ isBind: false, binder: 3, name: '$.Heater.Set' });
 * const event = new Message(REPLIER_BIND_EVENT, data);
 * console.log(event.kind, event.toJSON().event?.name); // → ReplierBindEvent $.Heater.Set
 * ```
 */
export function replierBindEventData(event: ReplierBindEventData): Uint8Array {
  const data = new Uint8Array(12 + padded(event.name.length + 1));
  const view = new DataView(data.buffer);
  view.setUint32(0, event.isBind ? 1 : 0, LITTLE_ENDIAN);
  view.setUint32(4, event.binder, LITTLE_ENDIAN);
  view.setUint32(8, event.name.length, LITTLE_ENDIAN);
  for (let at = 0; at < event.name.length; at++) data[12 + at] = event.name.charCodeAt(at);
  return data;
}

/**
 * The inverse. Throws a TypeError for data that is no ReplierBindEvent.
 *
 * @example
 * ```ts
 * import { Bus, Ksock, REPLIER_BIND_EVENT, splitReplierBindEventData } from 'kbus';
 * import type { ReplierBindEventData } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.bind(REPLIER_BIND_EVENT);
 * await ksock.reportReplierBinds(true);
 * await ksock.bind('$.Heater.Set', true);
 * const message = await ksock.readNextMsg();
 * if (message !== null) {
 *   const event: ReplierBindEventData = splitReplierBindEventData(message.data);
 *   console.log(event.isBind, event.binder, event.name); // → true 1 $.Heater.Set
 * }
 * await ksock.close();
 * ```
 */
export function splitReplierBindEventData(data: Uint8Array): ReplierBindEventData {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const length = data.length < 16 ? -1 : view.getUint32(8, LITTLE_ENDIAN);
  if (length < 0 || data.length !== 12 + padded(length + 1) || data[12 + length] !== 0) {
    throw new TypeError(`${data.length} bytes are not the data of a ReplierBindEvent`);
  }
  return {
    isBind: view.getUint32(0, LITTLE_ENDIAN) !== 0,
    binder: view.getUint32(4, LITTLE_ENDIAN),
    name: latin1.decode(data.subarray(12, 12 + length)),
  };
}

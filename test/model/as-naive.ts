import type { Parcel } from '../../src/bus/index.ts';
import type { NaiveMessage } from './naive-bus.ts';

const latin1 = new TextDecoder('latin1');

/** The engine's message, as the model has it. */
export function asNaive(parcel: Parcel): NaiveMessage {
  const { bytes, dataAt, dataLength } = parcel;
  return {
    network: parcel.idNetwork,
    serial: parcel.idSerial,
    replyNetwork: parcel.replyNetwork,
    replySerial: parcel.replySerial,
    to: parcel.to,
    from: parcel.from,
    origFrom: [parcel.carried?.origNetwork ?? 0, parcel.carried?.origLocal ?? 0],
    finalTo: [parcel.carried?.finalNetwork ?? 0, parcel.carried?.finalLocal ?? 0],
    flags: parcel.flags,
    name: parcel.name,
    data: latin1.decode(bytes.subarray(dataAt, dataAt + dataLength)),
  };
}

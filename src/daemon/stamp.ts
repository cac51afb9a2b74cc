import type { Parcel } from '../bus/parcel.ts';
import { Flag } from '../message/flags.ts';
import { AT, layoutDataAt, writeEnd, writeHead } from '../message/layout.ts';
import { writeU32 } from '../message/u32.ts';
import { FRAME_AT, FRAME_HEADER, Kind, writeFrameHeader } from '../wire/frames.ts';

/*
 * The frame in which a message comes is the frame in which it goes, with a few words changed where it
 * lies: so that it needn't be copied. Of a run, only the data goes where it lies: its head is small, and
 * written anew.
 */

// Whether a parcel's data lies in a frame; and what that has been turned into: one that serves every listener,
// or the only one there will be. It is written over once, for it may be on its way out ever after.
export const NO_FRAME = 0;
export const NOT_STAMPED = 1;
export const FOR_ALL = 2;
export const FOR_ONE = 3;

/** Where the frame begins in which a parcel's data lies. */
export function frameAtOf({ name, dataAt }: Parcel): number {
  return dataAt - layoutDataAt(name.length) - FRAME_HEADER;
}

/** The flags as the one who is to answer a Request reads them, or (not `you`) everybody else. */
export function flagsOf(parcel: Parcel, you: boolean): number {
  return you ? (parcel.flags | Flag.WANT_YOU_TO_REPLY) >>> 0 : parcel.flags;
}

/** Makes a frame, at `at`, of a message that didn't come as one; it is still to be stamped. */
export function encodeFrame(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  parcel: Parcel,
  length: number,
): void {
  writeFrameHeader(view, at, length, Kind.LENT, 0, 0, 0);
  encodeHead(bytes, view, at + FRAME_HEADER, parcel, 0, false);
  const dataAt = at + FRAME_HEADER + layoutDataAt(parcel.name.length);
  writeEnd(view, dataAt, parcel.dataLength);
  parcel.writeData(bytes, dataAt);
  parcel.bytes = bytes;
  parcel.dataAt = dataAt;
  parcel.more = null;
  parcel.stamp = NOT_STAMPED;
}

/**
 * Writes the head of the message at `index` of a run, for the one who is to answer it, or for all. A run of
 * Replies goes out whole: `index` is 0.
 */
export function encodeHead(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  parcel: Parcel,
  index: number,
  you: boolean,
): void {
  writeHead(
    bytes,
    view,
    at,
    parcel.idNetwork,
    parcel.idSerial + index,
    parcel.replyNetwork,
    parcel.replySerial,
    parcel.to,
    parcel.from,
    parcel.carried?.origNetwork ?? 0,
    parcel.carried?.origLocal ?? 0,
    parcel.carried?.finalNetwork ?? 0,
    parcel.carried?.finalLocal ?? 0,
    flagsOf(parcel, you),
    parcel.name,
    parcel.dataLength,
  );
}

/** Turns the frame in which a message came into one in which it goes, where it lies. */
export function stampFrame(parcel: Parcel, kind: number, token: number, you: boolean): void {
  const { bytes: frame } = parcel;
  const at = frameAtOf(parcel);
  writeU32(frame, at + FRAME_AT.kind, kind << 24);
  writeU32(frame, at + FRAME_AT.token, token);
  const message = at + FRAME_HEADER;
  writeU32(frame, message + AT.idNetwork, parcel.idNetwork);
  writeU32(frame, message + AT.idSerial, parcel.idSerial);
  writeU32(frame, message + AT.from, parcel.from);
  writeU32(frame, message + AT.extra, 0);
  writeU32(frame, message + AT.flags, flagsOf(parcel, you));
}

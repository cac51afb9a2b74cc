import { readU32 } from '../base/u32.ts';
import { FRAME_AT, FRAME_HEADER, FrameKind, ProtocolError } from './protocol.ts';

// The layout of frames: writes headers, and frames of words and text; reads words and text.

/** A client does not fill a SEND beyond so many bytes. */
export const MAX_SEND_BYTES = 16 * 1024;

/**
 * Nor does the daemon join several messages into a longer frame: a client reads no more at once. It is less than the
 * longest frame that WELCOME announces, however long the frame was in which the messages were received.
 */
export const MAX_JOINED_BYTES = 32 * 1024;

export function writeFrameHeader(
  view: DataView,
  at: number,
  length: number,
  kind: number,
  detail: number,
  consumed: number,
  token: number,
): void {
  view.setUint32(at, length);
  view.setUint32(at + FRAME_AT.kind, (kind << 24) | (detail << 16) | consumed);
  view.setUint32(at + FRAME_AT.token, token);
}

/** Writes the head of a SEND, up to its records. */
export function writeSendHead(
  view: DataView,
  at: number,
  length: number,
  detail: number,
  consumed: number,
  token: number,
  count: number,
): void {
  writeFrameHeader(view, at, length, FrameKind.SEND, detail, consumed, token);
  view.setUint32(at + FRAME_HEADER, count);
  view.setUint32(at + FRAME_HEADER + 4, 0);
  view.setUint32(at + FRAME_HEADER + 8, 0);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Encodes a frame of words and text: any frame without messages. */
export function wordsFrame(
  kind: number,
  detail: number,
  consumed: number,
  token: number,
  words: readonly number[],
  text = '',
): Uint8Array {
  const encoded = encoder.encode(text);
  const textAt = FRAME_HEADER + words.length * 4;
  // A text is its length and its bytes, padded with zeros to a multiple of 4.
  const hasText = text !== '';
  const length = hasText ? textAt + 4 + ((encoded.length + 3) & ~3) : textAt;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  writeFrameHeader(view, 0, length, kind, detail, consumed, token);
  words.forEach((word, index) => {
    view.setUint32(FRAME_HEADER + index * 4, word);
  });
  if (hasText) {
    view.setUint32(textAt, encoded.length);
    bytes.set(encoded, textAt + 4);
  }
  return bytes;
}

/** A frame in the receive buffer, as {@link FrameReader} gives it; valid until the next one is read. */
export interface FrameView {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** The word at `index` of a frame's body. Throws a ProtocolError if the frame is too short. */
export function wordOf(frame: FrameView, index: number): number {
  const at = FRAME_HEADER + index * 4;
  if (at + 4 > frame.length) {
    throw new ProtocolError(`a frame of ${frame.length} bytes has no word ${index}`);
  }
  return readU32(frame.bytes, frame.at + at);
}

/** The text after `words` words of a frame's body; '' if there is none. */
export function textOf(frame: FrameView, words: number): string {
  const at = FRAME_HEADER + words * 4;
  if (at === frame.length) return '';
  const length = wordOf(frame, words);
  if (length > frame.length - at - 4) {
    throw new ProtocolError(`a text of ${length} bytes in a frame of ${frame.length}`);
  }
  const from = frame.at + at + 4;
  return decoder.decode(frame.bytes.subarray(from, from + length));
}

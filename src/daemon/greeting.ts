import { textOf, wordOf, wordsFrame } from '../wire/frame.ts';
import type { FrameReader } from '../wire/frame-reader.ts';
import {
  ASK_WHO,
  FRAME_AT,
  FrameKind,
  HelloMode,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  ProtocolError,
} from '../wire/protocol.ts';
import { MAX_PENDING_BYTES, MAX_PENDING_SENDS } from './acknowledgements.ts';

/** What a client says first. */
export interface Hello {
  /** It wants WELCOME only. */
  readonly asksWho: boolean;
  /** It opens no Ksock, but observes the bus. */
  readonly observes: boolean;
  readonly mode: 'r' | 'rw';
  /** It only looks, and manages: it may use the connections that are reserved for that. */
  readonly manages: boolean;
  /** It reads NAMES, and records that leave names out. */
  readonly readsNumbers: boolean;
  readonly pid: number;
  readonly program: string;
}

/** Reads the first frame of a client. Throws a ProtocolError if that is no HELLO of this version. */
export function readHello(frame: FrameReader): Hello {
  const kind = frame.bytes[frame.at + FRAME_AT.kind];
  if (kind !== FrameKind.HELLO || wordOf(frame, 0) !== PROTOCOL_MAGIC) {
    throw new ProtocolError('the first bytes are not those of a KBUS client');
  }
  const version = wordOf(frame, 1);
  if (version !== PROTOCOL_VERSION) {
    throw new ProtocolError(
      `the client uses version ${version} of the protocol, the daemon version ${PROTOCOL_VERSION}; use the same version of the kbus package for both`,
    );
  }
  const mode = wordOf(frame, 2);
  const asksWho = mode === ASK_WHO;
  return {
    asksWho,
    observes: mode === HelloMode.OBSERVE,
    mode: (mode & HelloMode.BOTH) === HelloMode.READ ? 'r' : 'rw',
    manages: (mode & HelloMode.MANAGE) !== 0,
    readsNumbers: (mode & HelloMode.NAMES) !== 0,
    pid: asksWho ? 0 : wordOf(frame, 3),
    program: asksWho ? '' : textOf(frame, 4),
  };
}

/** WELCOME: `ksockId` and `longestFrame` are 0 for a client that asks who answers. */
export function welcome(
  bus: number,
  ksockId: number,
  daemonPid: number,
  longestFrame: number,
): Uint8Array {
  return wordsFrame(FrameKind.WELCOME, 0, 0, 0, [
    PROTOCOL_MAGIC,
    PROTOCOL_VERSION,
    bus,
    ksockId,
    daemonPid,
    MAX_PENDING_SENDS,
    MAX_PENDING_BYTES,
    longestFrame,
  ]);
}

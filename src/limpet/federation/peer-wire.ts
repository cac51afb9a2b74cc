import { MAX_BATCH_BYTES } from '../../message/record-batch.ts';
import type { Wire, WireEvents } from '../link/wire.ts';

/**
 * A message to one Limpet of a federation. Numbers are big-endian.
 *
 *      0 u8  kind: 1 DATA, 2 ACK, 3 CLOSE, 4 HERE     1 u8[3] 0
 *      4 u32 token: which wire between the two Limpets; 0 for HERE
 *      8 u32 DATA: how many messages were sent on the wire before this one
 *     12 f64 how many bytes of the other end were received
 *     20     DATA: bytes of the wire. HERE: a greeting, as in the subject for all (federation.ts)
 */
export const Kind = { DATA: 1, ACK: 2, CLOSE: 3, HERE: 4 } as const;

export const HEADER = 20;

/** The largest batch of a Limpet fits. Longer messages would hold up those of others, and take more of the server's time. */
const MAX_MESSAGE = MAX_BATCH_BYTES + 1024;

/** With a backlog of less, the peer has caught up. */
const LOW_BACKLOG = 256 * 1024;

/**
 * Bytes that were received and not acknowledged; what is sent meanwhile acknowledges them too. The other end waits for no
 * acknowledgement, since they are less than LOW_BACKLOG.
 */
const ACKNOWLEDGE_AFTER = 192 * 1024;

export interface PeerMessage {
  readonly kind: number;
  readonly token: number;
  readonly number: number;
  readonly received: number;
  readonly bytes: Uint8Array;
}

export function encodePeerMessage(
  kind: number,
  token: number,
  number: number,
  received: number,
  pieces: readonly Uint8Array[] = [],
): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(HEADER + lengthOf(pieces));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kind << 24);
  view.setUint32(4, token);
  view.setUint32(8, number);
  view.setFloat64(12, received);
  let at = HEADER;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

/** Null: the bytes are no such message. */
export function decodePeerMessage(bytes: Uint8Array): PeerMessage | null {
  if (bytes.length < HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const received = view.getFloat64(12);
  if (!(received >= 0)) return null;
  return {
    kind: bytes[0] as number,
    token: view.getUint32(4),
    number: view.getUint32(8),
    received,
    bytes: bytes.subarray(HEADER),
  };
}

export interface PeerWireHost {
  /** The longest message that may be published, in bytes. */
  readonly maxPayload: number;
  publish(bytes: Uint8Array): void;
  /** It is closed: no message is for it any more. */
  forget(wire: PeerWire): void;
}

/**
 * A wire to one Limpet of a federation, made of messages that an engine carries. The engine may lose messages, but keeps
 * their order; so each has a number, and the wire closes at the first that is missing. Its Limpets begin another one, and go
 * on where this one broke.
 *
 * What is written in one turn leaves in one message.
 */
export class PeerWire implements Wire {
  readonly token: number;
  private readonly host: PeerWireHost;
  events: WireEvents | null = null;
  /** What was written, each in its pieces, and how many bytes it is. */
  private frames: (readonly Uint8Array[])[] = [];
  private frameBytes = 0;
  /** Counted modulo 2^32. */
  messagesSent = 0;
  messagesReceived = 0;
  private bytesSent = 0;
  private acknowledged = 0;
  private bytesReceived = 0;
  private bytesAcknowledged = 0;
  private isBehind = false;
  private isPaused = false;
  /** What came while it was paused. */
  private kept: Uint8Array[] = [];
  private isEnding = false;
  private isClosed = false;

  constructor(token: number, host: PeerWireHost) {
    this.token = token;
    this.host = host;
  }

  // The Limpet

  write(...frame: Uint8Array[]): void {
    if (this.isClosed || this.isEnding) return;
    if (this.frameBytes === 0) queueMicrotask(() => this.flush());
    this.frames.push(frame);
    this.frameBytes += lengthOf(frame);
  }

  get backlog(): number {
    return this.frameBytes + this.bytesSent - this.acknowledged;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    while (this.kept.length > 0 && !this.isPaused) this.take(this.kept.shift() as Uint8Array);
    // What was taken before the pause was not acknowledged, and the peer may wait for that.
    this.acknowledgeMuch();
  }

  end(): void {
    if (this.isClosed || this.isEnding) return;
    this.flush();
    this.isEnding = true;
    this.destroy();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.send(Kind.CLOSE);
    this.close('');
  }

  /** Sends what was written. Where it can, a message ends where a frame does: then the peer need not join frames. */
  flush(): void {
    if (this.isClosed || this.frameBytes === 0) return;
    const most = Math.min(MAX_MESSAGE, this.host.maxPayload) - HEADER;
    let message: Uint8Array[] = [];
    let length = 0;
    const send = (): void => {
      if (length > 0) this.sendData(message, length);
      message = [];
      length = 0;
    };
    const { frames } = this;
    this.frames = [];
    this.frameBytes = 0;
    for (const frame of frames) {
      if (length + lengthOf(frame) > most) send();
      for (let piece of frame) {
        while (length + piece.length > most) {
          const part = piece.subarray(0, most - length);
          piece = piece.subarray(part.length);
          message.push(part);
          length = most;
          send();
        }
        message.push(piece);
        length += piece.length;
      }
    }
    send();
    if (this.backlog > LOW_BACKLOG) this.isBehind = true;
  }

  private sendData(pieces: readonly Uint8Array[], length: number): void {
    const number = this.messagesSent;
    this.messagesSent = (number + 1) >>> 0;
    this.bytesSent += length;
    this.send(Kind.DATA, number, pieces);
  }

  private send(kind: number, number = 0, pieces: readonly Uint8Array[] = []): void {
    const { bytesReceived, host, token } = this;
    // What waits, because the Limpet reads slowly, is not acknowledged.
    const received = this.isPaused ? this.bytesAcknowledged : bytesReceived;
    this.bytesAcknowledged = received;
    host.publish(encodePeerMessage(kind, token, number, received, pieces));
  }

  // The engine

  received({ kind, number, received, bytes }: PeerMessage): void {
    if (this.isClosed) return;
    if (kind === Kind.CLOSE) {
      this.close('');
      return;
    }
    if (kind === Kind.DATA && number !== this.messagesReceived) {
      this.send(Kind.CLOSE);
      this.close(
        `messages were lost on the way: number ${number} came where ${this.messagesReceived} was due`,
      );
      return;
    }
    if (received > this.acknowledged && received <= this.bytesSent) this.acknowledged = received;
    if (kind === Kind.DATA) {
      this.messagesReceived = (number + 1) >>> 0;
      this.bytesReceived += bytes.length;
      if (this.isPaused || this.kept.length > 0) this.kept.push(bytes);
      else this.take(bytes);
    }
    if (!this.isBehind || this.backlog > LOW_BACKLOG || this.isClosed) return;
    this.isBehind = false;
    this.events?.drained();
  }

  private take(bytes: Uint8Array): void {
    this.events?.received(bytes);
    this.acknowledgeMuch();
  }

  private acknowledgeMuch(): void {
    if (this.bytesReceived - this.bytesAcknowledged >= ACKNOWLEDGE_AFTER) this.acknowledge();
  }

  /** Acknowledges what was received since the last message. */
  acknowledge(): void {
    if (this.isClosed || this.isPaused || this.bytesReceived === this.bytesAcknowledged) return;
    this.send(Kind.ACK);
  }

  /** Nothing more comes, or leaves. */
  close(why: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.frames = [];
    this.kept = [];
    this.host.forget(this);
    this.events?.closed(why);
  }
}

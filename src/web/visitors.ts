import type { Socket } from 'node:net';
import { Deadlines } from '../base/deadlines.ts';
import { readU32 } from '../base/u32.ts';
import { Errno } from '../message/errno.ts';
import type { ChannelEvents } from '../transport/channel.ts';
import { type FrameView, textOf, wordOf, wordsFrame } from '../wire/frame.ts';
import {
  FRAME_AT,
  FRAME_HEADER,
  FrameKind,
  MAX_GREETING_BYTES,
  PROTOCOL_MAGIC,
  ProtocolError,
} from '../wire/protocol.ts';
import type { WebChannel } from './web-channel.ts';

/** Within this time a connection over WebSocket must have sent ENTER and HELLO, in milliseconds. */
const HELLO_TIMEOUT_MS = 2000;

/** What a client asks for with ENTER. */
export interface Enter {
  readonly bus: number;
  readonly token: string;
}

/** Lets a client in that has said who it is; `rest` is what it sent after ENTER. */
export type LetIn = (enter: Enter, rest: Uint8Array) => void;

/** All connections that are no Ksock yet: HTTP, and WebSockets whose client has not said who it is. */
export class Visitors {
  private readonly sockets = new Set<Socket>();
  private readonly silent: Deadlines<Visitor>;
  private readonly most: number;

  /** Beyond `most`, the oldest makes room. */
  constructor(most: number) {
    this.most = most;
    this.silent = new Deadlines(HELLO_TIMEOUT_MS, (visitor) =>
      visitor.refuse(
        Errno.ETIMEDOUT,
        `the client did not send ENTER and HELLO within ${HELLO_TIMEOUT_MS / 1000} s`,
      ),
    );
  }

  /** A connection was made. */
  came(socket: Socket): void {
    if (this.sockets.size >= this.most) {
      const [oldest] = this.sockets;
      if (oldest !== undefined) this.left(oldest);
      oldest?.destroy();
    }
    this.sockets.add(socket);
    socket.once('close', () => this.left(socket));
  }

  /** It is a Ksock now, or has ended. */
  left(socket: Socket): void {
    this.sockets.delete(socket);
  }

  /** Waits for the client of a WebSocket to say who it is. */
  greet(channel: WebChannel, letIn: LetIn): void {
    const visitor = new Visitor(
      channel,
      (...said) => {
        this.silent.end(visitor);
        letIn(...said);
      },
      () => this.silent.end(visitor),
    );
    channel.events = visitor;
    this.silent.begin(visitor);
  }

  stop(): void {
    this.silent.stop();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A client that has not said yet who it is. */
class Visitor implements ChannelEvents {
  private readonly channel: WebChannel;
  private readonly letIn: LetIn;
  private readonly left: () => void;
  private said: Uint8Array = new Uint8Array(0);
  private isDone = false;

  constructor(channel: WebChannel, letIn: LetIn, left: () => void) {
    this.channel = channel;
    this.letIn = letIn;
    this.left = left;
  }

  received(bytes: Uint8Array, from: number, to: number): number {
    if (this.isDone) return 0;
    const said = new Uint8Array(this.said.length + to - from);
    said.set(this.said);
    said.set(bytes.subarray(from, to), this.said.length);
    this.said = said;
    try {
      this.read();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.refuse(Errno.EPROTO, error.message);
    }
    return 0;
  }

  /** Lets the client in once both frames are there. */
  private read(): void {
    const enter = this.frameAt(0);
    if (enter === null) return;
    const { bytes } = enter;
    if (bytes[FRAME_AT.kind] !== FrameKind.ENTER || wordOf(enter, 0) !== PROTOCOL_MAGIC) {
      throw new ProtocolError('the first frame of a client over WebSocket must be ENTER');
    }
    const asked = { bus: wordOf(enter, 1), token: textOf(enter, 2) };
    if (this.frameAt(enter.length) === null) return;
    this.isDone = true;
    const rest = this.said.subarray(enter.length);
    this.said = rest;
    this.letIn(asked, rest);
  }

  /** The frame that begins there; null if not all of it has come. */
  private frameAt(at: number): FrameView | null {
    const bytes = this.said;
    if (bytes.length - at < FRAME_HEADER) return null;
    const length = readU32(bytes, at);
    if (length < FRAME_HEADER || length > MAX_GREETING_BYTES || (length & 3) !== 0) {
      throw new ProtocolError(
        `a first frame of ${length} bytes: the length must be a multiple of 4 from ${FRAME_HEADER} to ${MAX_GREETING_BYTES}`,
      );
    }
    return bytes.length - at < length ? null : { bytes, at, length };
  }

  refuse(errno: number, why: string): void {
    this.isDone = true;
    this.left();
    refuse(this.channel, errno, why);
  }

  drained(): void {}

  closed(): void {
    this.left();
  }
}

/** Ends a connection with FAREWELL. */
export function refuse(channel: WebChannel, errno: number, why: string): void {
  channel.write([wordsFrame(FrameKind.FAREWELL, 0, 0, 0, [errno], why)]);
  channel.end();
}

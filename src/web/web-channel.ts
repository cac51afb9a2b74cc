import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Deadlines } from '../base/deadlines.ts';
import type { Slab } from '../base/slab.ts';
import { type Channel, type ChannelEvents, NO_LISTENER } from '../transport/channel.ts';
import { StalledWrites, WAITING_PIECE_BYTES } from '../transport/stalled-writes.ts';
import { MAX_WEB_MESSAGE_BYTES, WebText } from '../transport/web-socket.ts';

/** Where received bytes are kept: copied side by side, `phase` bytes behind a multiple of 4. */
export type Gather = (pieces: readonly Uint8Array[], length: number, phase: number) => Slab;

/** Does something now, or when a later turn has time for it. */
export type Depart = (what: () => void) => void;

/** Pieces up to this size are joined: each message costs a head and a turn of the client. */
const MAX_JOINED_BYTES = 4096;

/** The most that an incomplete message, and the chunk after it, keep in memory. */
const MAX_INCOMPLETE_BYTES = 4 * MAX_WEB_MESSAGE_BYTES;

/** A chunk of an incomplete message costs at least so much memory. */
const MIN_CHUNK_BYTES = 256;

/** The bytes of a frame of the client before its payload: 2, the length if it is longer than 125, and the mask. */
const headBytes = (length: number): number => (length < 126 ? 6 : length < 0x1_0000 ? 8 : 14);

/** Without a sign of life for so many heartbeats, the peer is dead. */
const MAX_SILENT_BEATS = 3;

/** WebSocket's code for data of a kind that the daemon does not accept. */
const UNSUPPORTED_DATA = 1003;

/** The daemon's end of a WebSocket. Its client sends binary messages of up to 64 KiB, and the texts of `WebText`. */
export class WebChannel implements Channel {
  events: ChannelEvents = NO_LISTENER;
  private readonly webSocket: WebSocket;
  private readonly socket: Socket;
  private readonly gather: Gather;
  private readonly leaving: Deadlines<Socket>;
  /** Messages of the chunk that is being read. */
  private pieces: Uint8Array[] = [];
  private pieceBytes = 0;
  private phase = 0;
  /** Bytes of the message of which not all has come, about; and whether one ended in the chunk that is being read. */
  private incomplete = 0;
  private hasEnded = false;
  private toldIncomplete = 0;
  /** What the client does not want yet; null: it wants all. */
  private unsent: Uint8Array[] | null = null;
  private unsentBytes = 0;
  private readonly stalled: StalledWrites;
  private isPaused = false;
  private isEnded = false;
  private silentBeats = 0;
  /** What the kernel has taken, at the last heartbeat. */
  private written = 0;

  /**
   * `leaving` has the deadline of each peer that is to read its last bytes before its connection ends; `depart` does what
   * follows from the end of a peer, now or in a later turn.
   */
  constructor(
    webSocket: WebSocket,
    socket: Socket,
    gather: Gather,
    leaving: Deadlines<Socket>,
    depart: Depart,
  ) {
    this.webSocket = webSocket;
    this.socket = socket;
    this.stalled = new StalledWrites(socket, () => this.events.drained());
    this.gather = gather;
    this.leaving = leaving;
    let failure: Error | null = null;
    webSocket.on('message', (data: Buffer, isBinary) => this.message(data, isBinary));
    // It comes after the messages of the chunk: WebSocketServer has added its listener before.
    socket.on('data', (chunk: Buffer) => this.chunk(chunk.length));
    webSocket.on('error', (error) => {
      failure = error;
      // The close frame that says so is under way.
      socket.destroySoon();
    });
    webSocket.on('close', () => {
      leaving.end(socket);
      depart(() => {
        this.deliver();
        this.events.closed(failure);
      });
    });
    // Those of Node and of WebSocket, which close the connection.
    const endings = socket.listeners('end');
    socket.removeAllListeners('end');
    socket.once('end', () =>
      depart(() => {
        for (const ending of endings) ending.call(socket);
      }),
    );
  }

  private message(data: Buffer, isBinary: boolean): void {
    this.hasEnded = true;
    this.incomplete -= data.length + headBytes(data.length);
    if (!isBinary) {
      this.text(data.toString('latin1'));
    } else if (data.length > 0 && !this.isEnded) {
      this.pieces.push(data);
      this.pieceBytes += data.length;
    }
  }

  private text(text: string): void {
    if (text === WebText.PAUSE) {
      this.unsent ??= [];
    } else if (text === WebText.RESUME) {
      const pieces = this.unsent ?? [];
      this.unsent = null;
      this.unsentBytes = 0;
      this.write(pieces);
      if (pieces.length > 0 && !this.isEnded) this.events.drained();
    } else if (text !== WebText.ALIVE) {
      this.webSocket.close(UNSUPPORTED_DATA, 'KBUS is binary; a text is empty, pause or resume');
      this.socket.destroySoon();
    }
  }

  private chunk(length: number): void {
    this.silentBeats = 0;
    // Heads of further fragments and of pings are counted, though they are gone.
    this.incomplete = this.hasEnded
      ? Math.max(0, Math.min(this.incomplete + length, length))
      : Math.min(this.incomplete + Math.max(length, MIN_CHUNK_BYTES), MAX_INCOMPLETE_BYTES);
    this.hasEnded = false;
    this.deliver();
    if (Math.abs(this.incomplete - this.toldIncomplete) < MAX_JOINED_BYTES) return;
    this.toldIncomplete = this.incomplete;
    this.events.heldMore?.();
  }

  /** All messages of a chunk at once, however short they are. */
  private deliver(): void {
    const { phase, pieceBytes, pieces } = this;
    if (pieceBytes === 0) return;
    this.pieces = [];
    this.pieceBytes = 0;
    const { bytes, at } = this.gather(pieces, pieceBytes, phase);
    this.phase = (phase + pieceBytes) & 3;
    this.events.received(bytes, at, at + pieceBytes);
  }

  write(pieces: readonly Uint8Array[]): void {
    const { socket, webSocket } = this;
    if (webSocket.readyState !== webSocket.OPEN) return;
    if (this.unsent !== null) {
      // In memory of their own: the client may not want them for long.
      const piece = Buffer.concat(pieces);
      this.unsentBytes += piece.length;
      this.unsent.push(piece);
      return;
    }
    const isStalled = socket.writableLength > 0;
    const messages = joined(pieces);
    socket.cork();
    for (const message of messages)
      webSocket.send(message, isStalled ? this.stalled.begin([message]) : this.wrote);
    socket.uncork();
    if (!isStalled && socket.writableLength > 0) this.stalled.beginFirst(messages);
  }

  private readonly wrote = (): void => this.stalled.wrote();

  get backlog(): number {
    return this.socket.writableLength + this.unsentBytes;
  }

  get held(): number {
    const { incomplete, stalled, unsent } = this;
    return incomplete + stalled.held + (unsent?.length ?? 0) * WAITING_PIECE_BYTES;
  }

  pause(): void {
    this.isPaused = true;
    this.webSocket.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.webSocket.resume();
  }

  end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    if (this.socket.destroyed) return;
    this.leaving.begin(this.socket);
    // The last frame says why.
    this.text(WebText.RESUME);
    this.webSocket.close(1000);
    // The peer's close frame is behind what it has sent before.
    this.webSocket.resume();
  }

  /** Sends a heartbeat: the peer must give a sign of life within this time. False if it gave none for too long. */
  beat(milliseconds: number): boolean {
    const { socket, webSocket } = this;
    const backlog = socket.writableLength;
    const written = socket.bytesWritten - backlog;
    // A slow reader is alive; and what the daemon itself does not read can be no sign.
    if ((backlog > 0 && written !== this.written) || (this.isPaused && backlog === 0)) {
      this.silentBeats = 0;
    }
    this.written = written;
    if (this.silentBeats >= MAX_SILENT_BEATS) return false;
    this.silentBeats++;
    if (backlog === 0 && webSocket.readyState === webSocket.OPEN) {
      webSocket.send(String(milliseconds), this.wrote);
      if (socket.writableLength > 0) this.stalled.beginFirst([]);
    }
    return true;
  }
}

/** The pieces, with short ones joined. */
function joined(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  if (pieces.length === 1) return pieces;
  const all: Uint8Array[] = [];
  let short: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece.length <= MAX_JOINED_BYTES) {
      short.push(piece);
      continue;
    }
    if (short.length > 0) all.push(Buffer.concat(short));
    short = [];
    all.push(piece);
  }
  if (short.length > 0) all.push(Buffer.concat(short));
  return all;
}

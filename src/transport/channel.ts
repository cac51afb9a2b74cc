/**
 * A connection as a stream of bytes: a Unix socket, a WebSocket, or two arrays in a test. The other end receives all bytes
 * in order, perhaps cut into other chunks, or the channel closes.
 */
export interface Channel {
  /**
   * Sends these pieces, one after the other. The caller may change them again only if there is no backlog when `write`
   * returns, or when `written` is called; not every channel calls that. After the channel has closed, `write` does nothing.
   */
  write(pieces: readonly Uint8Array[], written?: () => void): void;
  /** Bytes that were written and are still in this process. */
  readonly backlog: number;
  /** Bytes of input that the channel keeps because they are incomplete. Default: none. */
  readonly held?: number;
  /** Pauses and resumes reading. `received` may still be called once after `pause`. */
  pause(): void;
  resume(): void;
  /** Sets whether the channel keeps the program running. Default: true. */
  keepProgram?(isKept: boolean): void;
  /** Closes the channel when the backlog is written. `closed` follows. */
  end(): void;
}

/** The callbacks of a channel. */
export interface ChannelEvents {
  /**
   * The channel has received the bytes of `bytes` from `from` up to `to`. They don't change, and may be kept. Gives the
   * number of missing bytes of an incomplete frame; negative if the listener won't look at them, and they may change.
   */
  received(bytes: Uint8Array, from: number, to: number): number;
  /**
   * Asks whether the bytes received in `memory` since the last call are still in use; if not, the channel overwrites
   * them. Gives the number of bytes at the front that must stay: an incomplete frame, which `rewind` has moved there.
   * Otherwise gives {@link MEMORY_IN_USE} or {@link MEMORY_KEPT}.
   */
  rewind?(memory: Uint8Array): number;
  /** Whether bytes that were received in this memory are not handled yet. Default: they may be. */
  refersTo?(memory: ArrayBufferLike): boolean;
  /** The channel's `held` has changed much. */
  heldMore?(): void;
  /** The backlog has gone down. */
  drained(): void;
  /** The channel has closed, for any reason; no further event follows. */
  closed(error: Error | null): void;
}

/** The memory is in use: ask again later. */
export const MEMORY_IN_USE = -1;
/** A program may keep the memory for ever. */
export const MEMORY_KEPT = -2;

/** Default callbacks, used until a listener is attached. */
export const NO_LISTENER: ChannelEvents = {
  received: () => 0,
  drained: () => {},
  closed: () => {},
};

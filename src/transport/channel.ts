/**
 * A connection as a stream of bytes: a Unix socket, a WebSocket, or two arrays in a test. Bytes come
 * out at the other end as they went in, in order, though cut otherwise, or the channel closes.
 */
export interface Channel {
  /**
   * Sends these pieces, one after the other. They must not change any more, unless there is no backlog
   * when `write` returns: then nobody looks at them again. After the channel has closed, it does nothing.
   */
  write(pieces: readonly Uint8Array[]): void;
  /** How many bytes were written and are still in this process. */
  readonly backlog: number;
  /** Stops and resumes what comes in; what is on the way may still come. */
  pause(): void;
  resume(): void;
  /** Whether it keeps the program from ending; until this is called, it does. */
  keepProgram?(isKept: boolean): void;
  /** Closes it when what was written has gone. `closed` follows. */
  end(): void;
}

/** What a channel tells of itself. */
export interface ChannelEvents {
  /**
   * Bytes came: those of `bytes` from `from` up to `to`. They won't change, and may be kept. Gives how many more
   * are known to follow, because a frame is half there.
   */
  received(bytes: Uint8Array, from: number, to: number): number;
  /**
   * May be asked in between: whether nobody needs what has come since it was last asked, so that `memory`, where
   * it lies, may be written to again. Gives how many bytes at the front must stay: those of a frame that is half
   * there, which it has moved to there. Or else {@link MEMORY_IN_USE}, or {@link MEMORY_KEPT}: all of it, for ever.
   */
  rewind?(memory: Uint8Array): number;
  /** The backlog has gone down. */
  drained(): void;
  /** It is closed, however that came about; nothing follows. */
  closed(error: Error | null): void;
}

/** What `rewind` says of memory that somebody needs: until he is done with it, or for as long as he keeps it. */
export const MEMORY_IN_USE = -1;
export const MEMORY_KEPT = -2;

/** Default callbacks, used until a listener is attached. */
export const NO_LISTENER: ChannelEvents = {
  received: () => 0,
  drained: () => {},
  closed: () => {},
};

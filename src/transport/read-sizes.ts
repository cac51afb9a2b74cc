// The sizes of receive buffers, at both ends of a socket.

/** Every read has room for this many bytes. */
export const MIN_READ_BYTES = 64 * 1024;

/** In the daemon, a connection to which much comes at once gets pools of this size. */
export const POOL_BYTES = 256 * 1024;

/** A frame of which more than this is missing gets a pool of LARGE_POOL_BYTES. */
export const LARGE_REST_BYTES = 16 * 1024;
export const LARGE_POOL_BYTES = 1024 * 1024;

// How much memory is read to: what both ends of a socket have in common.

/** There is always room for so many bytes to be read at once. */
export const MIN_READ_BYTES = 64 * 1024;

/** When more than this of a frame is known to come, it is worth a place of its own. */
export const LARGE_REST_BYTES = 16 * 1024;
export const LARGE_POOL_BYTES = 1024 * 1024;

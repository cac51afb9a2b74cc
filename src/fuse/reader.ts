import { close, read } from 'node:fs';
import { connect, type OnReadOpts, Socket } from 'node:net';

/**
 * Reads requests from a mounted /dev/fuse, one at a time: concurrent reads would change their order. Calls `take` with
 * the length of each, whose bytes are at the start of `buffer` until `take` returns. Calls `end` once, after the mount
 * has ended and the descriptor is closed, with the error if it was not simply unmounted.
 */
export type Reader = (
  descriptor: number,
  buffer: Uint8Array,
  take: (length: number) => void,
  end: (error: Error | null) => void,
) => void;

/**
 * The best reader for this Node: one that reads on the main thread, where requests are answered, when the event loop
 * finds the descriptor readable. An ioctl of a bare server then takes 7 µs at the median, and 6 µs of CPU time. With
 * libuv's threads (`readInThreads`) it takes 16 and 20; with a worker that wakes the main thread through shared memory,
 * 15 and 16; with everything in one worker, which could serve no sockets, 6 and 6. It also disturbs busy sockets least.
 */
export const readRequests: Reader = (descriptor, buffer, take, end) => {
  const reader = pollable(descriptor) ?? readInThreads;
  reader(descriptor, buffer, take, end);
};

/** The handle of a net.Socket: not public, so each of its parts is checked before use. */
interface Handle {
  open?: (descriptor: number) => number;
  close?: () => void;
}

/**
 * A reader that polls the descriptor, or null if this Node can't. The event loop can wait for any descriptor that
 * poll(2) supports, but Node's public API accepts only sockets, pipes and terminals. The handle of a pipe, however, can
 * be opened on any descriptor, and could since long before Node 20.
 */
function pollable(descriptor: number): Reader | null {
  const pipe = newPipe();
  try {
    if (pipe?.open?.(descriptor) !== 0) {
      // The handle is not open, so this does not close the descriptor.
      pipe?.close?.();
      return null;
    }
  } catch {
    return null;
  }
  return (_descriptor, buffer, take, end) => {
    const onread: OnReadOpts = {
      buffer,
      callback(length) {
        take(length);
        return true;
      },
    };
    const options = { handle: pipe, onread, writable: false };
    const socket = new Socket(options);
    let error: Error | null = null;
    socket.on('error', (cause) => {
      error = isEnd(cause) ? null : cause;
    });
    socket.on('close', () => end(error));
    socket.resume();
  };
}

function newPipe(): Handle | null {
  // Connecting to a file that is not a socket fails, but Node creates the handle before, and synchronously.
  const socket = connect({ path: '/dev/null' });
  socket.on('error', () => {});
  const { _handle } = socket as unknown as { _handle?: { constructor: new (type: 0) => Handle } };
  const pipe = _handle ? new _handle.constructor(0) : null;
  socket.destroy();
  return pipe;
}

/** Reads in libuv's threads, one of which is always blocked. Unmount before `process.exit`, which waits for it. */
export const readInThreads: Reader = (descriptor, buffer, take, end) => {
  const next = () => read(descriptor, buffer, 0, buffer.length, null, taken);
  const taken = (error: NodeJS.ErrnoException | null, length: number) => {
    if (error === null) {
      take(length);
      next();
    } else if (error.code === 'EINTR' || error.code === 'EAGAIN' || error.code === 'ENOENT') {
      // ENOENT: the caller gave the request up before it was read.
      next();
    } else {
      close(descriptor, () => end(isEnd(error) ? null : error));
    }
  };
  next();
};

function isEnd(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ENODEV';
}

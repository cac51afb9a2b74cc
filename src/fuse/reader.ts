import { close, read } from 'node:fs';
import { connect, type OnReadOpts, Socket } from 'node:net';

/**
 * Reads one request after another from a mounted /dev/fuse, never two at a time (two would change
 * their order). `take` gets the length of each, whose bytes are at the start of `buffer` until it
 * returns; `end` is called once, when the mount is gone and the descriptor closed, with what went
 * wrong, if it was not just unmounted.
 */
export type Reader = (
  descriptor: number,
  buffer: Uint8Array,
  take: (length: number) => void,
  end: (error: Error | null) => void,
) => void;

/**
 * The reader for this Node. Requests are best read where they are answered: on the main thread, when
 * the event loop finds the descriptor readable. A bare server's ioctl then takes 7 µs at the median, and 6 µs of
 * its CPU; by way of libuv's threads (`readInThreads`) 16 and 20; by way of a worker that wakes the main thread
 * through shared memory 15 and 16; with everything in one worker, where no socket could be served, 6
 * and 6. A socket that is busy at the same time is disturbed least, too.
 */
export const readRequests: Reader = (descriptor, buffer, take, end) => {
  const reader = pollable(descriptor) ?? readInThreads;
  reader(descriptor, buffer, take, end);
};

/** What a net.Socket stands on: not public, so nothing of it is taken for granted. */
interface Handle {
  open?: (descriptor: number) => number;
  close?: () => void;
}

/**
 * The event loop can wait for any descriptor that poll(2) can, but Node's public interface gives it only
 * those of sockets, pipes and terminals. The handle of a pipe can be opened on any; it has been so
 * since long before Node 20, and where it isn't, the answer is null, and reading goes another way.
 */
function pollable(descriptor: number): Reader | null {
  const pipe = newPipe();
  try {
    if (pipe?.open?.(descriptor) !== 0) {
      // Nothing was opened, so closing it leaves the descriptor alone.
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
  // Connecting to what is no socket fails, but the handle is made first, and at once.
  const socket = connect({ path: '/dev/null' });
  socket.on('error', () => {});
  const { _handle } = socket as unknown as { _handle?: { constructor: new (type: 0) => Handle } };
  const pipe = _handle ? new _handle.constructor(0) : null;
  socket.destroy();
  return pipe;
}

/**
 * Reads through libuv's threads, one of which is always taken by the read that waits. While it waits,
 * `process.exit` does not return: unmount first.
 */
export const readInThreads: Reader = (descriptor, buffer, take, end) => {
  const next = () => read(descriptor, buffer, 0, buffer.length, null, taken);
  const taken = (error: NodeJS.ErrnoException | null, length: number) => {
    if (error === null) {
      take(length);
      next();
    } else if (error.code === 'EINTR' || error.code === 'EAGAIN' || error.code === 'ENOENT') {
      // ENOENT: the request was given up by its caller between being queued and being read.
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

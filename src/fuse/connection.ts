import { writeSync, writevSync } from 'node:fs';
import { type Answer, type AnswerBytes, AnswerEncoder } from './answer.ts';
import type { Filesystem, Kernel } from './filesystem.ts';
import { type Reader, readRequests } from './reader.ts';
import { type Request, RequestDecoder } from './request.ts';

/** The most that one write or read request carries: bytes. The kernel cuts what is longer. */
export const MAX_TRANSFER = 1 << 20;
/** Room for the header and the fields before the data of a write; the kernel asks for 80 bytes at least. */
const READ_BUFFER = MAX_TRANSFER + 4096;

/** The dialect: 7.23 (Linux 3.15) lays out the first answer as it still is; 7.38 is the newest we know. */
const OLDEST_MINOR = 23;
const NEWEST_MINOR = 38;

const InitFlag = {
  /** An open with O_TRUNC is one request. */
  ATOMIC_O_TRUNC: 1 << 3,
  /** Writes of more than 4096 bytes. */
  BIG_WRITES: 1 << 5,
  /** Looking up names in a directory needs no lock on it. */
  PARALLEL_DIROPS: 1 << 18,
  /** `maxPages` counts. */
  MAX_PAGES: 1 << 22,
} as const;
const WANTED_FLAGS =
  InitFlag.ATOMIC_O_TRUNC | InitFlag.BIG_WRITES | InitFlag.PARALLEL_DIROPS | InitFlag.MAX_PAGES;

/** How many requests that nobody waits for may be under way: more than anybody will have. */
const MAX_BACKGROUND = 0xffff;

const EIO = 5;
const ENOSYS = 38;
const EPROTO = 71;

export interface Connection {
  /** The kernel has agreed on a dialect: files can be opened. Rejected when the mount went first. */
  readonly ready: Promise<void>;
  /**
   * The mount is gone, by whoever's hand, and the descriptor closed. Rejected only when it went for a
   * reason other than being unmounted.
   */
  readonly closed: Promise<void>;
}

/**
 * Serves the requests of a mount to a filesystem, on this thread, until it is unmounted. The
 * descriptor, a /dev/fuse that was just mounted, belongs to the connection from here on.
 */
export function serve(
  descriptor: number,
  filesystem: Filesystem,
  reader: Reader = readRequests,
): Connection {
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER);
  const decoder = new RequestDecoder(buffer);
  const encoder = new AnswerEncoder();
  const ready = new Settling<void>();
  const closed = new Settling<void>();
  let open = true;

  const write = ({ head, data }: AnswerBytes) => {
    if (!open) return;
    try {
      if (data.length === 0) writeSync(descriptor, head);
      else writevSync(descriptor, [head, data]);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  };
  const kernel: Kernel = {
    answer(request, answer) {
      write(encoder.encode(request.unique, answer));
    },
    wake(pollHandle) {
      write(encoder.encodePollNotification(pollHandle));
    },
  };
  const take = (length: number) => {
    const request = decoder.decode(length);
    if (request === null) throw new Error(`/dev/fuse gave ${length} bytes that are no request`);
    switch (request.op) {
      case 'init': {
        const answer = agree(request);
        kernel.answer(request, answer);
        if (answer.kind === 'init') ready.resolve();
        else ready.reject(new Error(`the kernel speaks FUSE ${request.major}.${request.minor}`));
        return;
      }
      case 'unknown':
        // The kernel remembers it, and most of these it doesn't ask for again.
        return kernel.answer(request, { kind: 'error', errno: ENOSYS });
      case 'malformed':
        return kernel.answer(request, { kind: 'error', errno: EIO });
      default:
        return filesystem.handle(request, kernel);
    }
  };
  reader(descriptor, buffer, take, (error) => {
    open = false;
    ready.reject(error ?? new Error('it was unmounted before the kernel had asked for anything'));
    if (error === null) closed.resolve();
    else closed.reject(error);
  });
  return { ready: ready.promise, closed: closed.promise };
}

function agree(request: Request<'init'>): Answer {
  if (request.major !== 7 || request.minor < OLDEST_MINOR) return { kind: 'error', errno: EPROTO };
  return {
    kind: 'init',
    minor: Math.min(request.minor, NEWEST_MINOR),
    maxReadahead: request.maxReadahead,
    flags: request.flags & WANTED_FLAGS,
    maxBackground: MAX_BACKGROUND,
    maxWrite: MAX_TRANSFER,
    maxPages: MAX_TRANSFER / 4096,
  };
}

/** The request was given up by its caller (ENOENT), or the mount is gone and the news is on its way. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENODEV';
}

/** A promise, and the means to settle it. Nobody has to look at it: a rejection is not an alarm. */
class Settling<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}

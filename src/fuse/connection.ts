import { writeSync, writevSync } from 'node:fs';
import { type Answer, type AnswerBytes, AnswerEncoder } from './answer.ts';
import type { Filesystem, Kernel } from './filesystem.ts';
import { type Reader, readRequests } from './reader.ts';
import { type Request, RequestDecoder } from './request.ts';

/** The most data in one read or write request; the kernel divides longer calls. */
export const MAX_TRANSFER_BYTES = 1 << 20;
/** With space for the header and the fields before the data of a write: the kernel requires at least 80 bytes. */
const READ_BUFFER_BYTES = MAX_TRANSFER_BYTES + 4096;

/** Versions of the FUSE protocol: since 7.23 (Linux 3.15) the answer to INIT has its present layout. */
const OLDEST_MINOR = 23;
const NEWEST_MINOR = 38;

const InitFlag = {
  /** An open with O_TRUNC is one request. */
  ATOMIC_O_TRUNC: 1 << 3,
  /** Writes of more than 4096 bytes. */
  BIG_WRITES: 1 << 5,
  /** The kernel need not lock a directory for a lookup. */
  PARALLEL_DIROPS: 1 << 18,
  /** The kernel respects `maxPages`. */
  MAX_PAGES: 1 << 22,
} as const;
const WANTED_FLAGS =
  InitFlag.ATOMIC_O_TRUNC | InitFlag.BIG_WRITES | InitFlag.PARALLEL_DIROPS | InitFlag.MAX_PAGES;

/** The limit of background requests in flight: in effect, none. */
const MAX_BACKGROUND_REQUESTS = 0xffff;

const EIO = 5;
const ENOSYS = 38;
const EPROTO = 71;

export interface Connection {
  /** Resolves once the protocol's version is agreed on and files can be opened. Rejects if the mount ends before. */
  readonly ready: Promise<void>;
  /**
   * Resolves once the folder is unmounted, by this or another process, and the descriptor closed. Rejects if the mount
   * ended for another reason.
   */
  readonly closed: Promise<void>;
}

/**
 * Passes the requests of a mount to a filesystem, on this thread, until it is unmounted. The connection owns the
 * descriptor, a /dev/fuse that was just mounted, and closes it.
 */
export function serve(
  descriptor: number,
  filesystem: Filesystem,
  reader: Reader = readRequests,
): Connection {
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  const decoder = new RequestDecoder(buffer);
  const encoder = new AnswerEncoder();
  const ready = new Deferred<void>();
  const closed = new Deferred<void>();
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
    if (request === null) throw new Error(`/dev/fuse returned ${length} bytes, not a request`);
    switch (request.op) {
      case 'init': {
        const answer = agree(request);
        kernel.answer(request, answer);
        if (answer.kind === 'init') ready.resolve();
        else
          ready.reject(
            new Error(
              `the kernel uses FUSE ${request.major}.${request.minor}; kbus needs 7.${OLDEST_MINOR} or later`,
            ),
          );
        return;
      }
      case 'unknown':
        // The kernel remembers ENOSYS, and does not repeat most of these requests.
        return kernel.answer(request, { kind: 'error', errno: ENOSYS });
      case 'malformed':
        return kernel.answer(request, { kind: 'error', errno: EIO });
      default:
        return filesystem.handle(request, kernel);
    }
  };
  reader(descriptor, buffer, take, (error) => {
    open = false;
    ready.reject(error ?? new Error('it was unmounted before the first request'));
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
    maxBackground: MAX_BACKGROUND_REQUESTS,
    maxWrite: MAX_TRANSFER_BYTES,
    maxPages: MAX_TRANSFER_BYTES / 4096,
  };
}

/** Whether the caller gave its request up (ENOENT), or the folder was unmounted, which `end` will report. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENODEV';
}

/** A promise that others settle. It may be left unhandled: a rejection then is not an error of the process. */
class Deferred<T> {
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

import type { Answer } from './answer.ts';
import type { Request } from './request.ts';

/** Answers the requests of a mount. It has no descriptor and does no I/O, so tests can use it without a mount. */
export interface Filesystem {
  /**
   * Handles one request: called once for each, in the kernel's order, never from within itself.
   *
   * Every request but `forget` and `interrupt` must be given to `kernel.answer` exactly once, now or later. Until then
   * its caller can't even be killed, so an answer must not depend on another program. The byte arrays of a request are
   * valid only until `handle` returns.
   *
   * An exception is a bug, not an answer: it is not caught.
   */
  handle(request: Request, kernel: Kernel): void;
}

/** The kernel, as a filesystem sees it. Once the folder is unmounted, both calls do nothing. */
export interface Kernel {
  /** Answers a request. The bytes of the answer are written before this returns. */
  answer(request: Request, answer: Answer): void;
  /** The poll events of this open file have changed: wakes the threads that poll it, which then ask again. */
  wake(pollHandle: bigint): void;
}

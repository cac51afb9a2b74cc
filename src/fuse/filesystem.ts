import type { Answer } from './answer.ts';
import type { Request } from './request.ts';

/**
 * What stands behind a mount: requests in, answers out. It holds no descriptor and knows nothing of
 * how its bytes travel, so it can be tried without a mount.
 */
export interface Filesystem {
  /**
   * Takes one request: called once for each, in the kernel's order, never from within itself.
   *
   * Every request but `forget` and `interrupt` must be given to `kernel.answer` exactly once, now or
   * later; until then its caller can't even be killed, so nothing may wait for another program. The
   * byte arrays of a request are only lent: they hold until `handle` returns.
   *
   * An exception is a bug, not an answer: it is not caught.
   */
  handle(request: Request, kernel: Kernel): void;
}

/** The kernel, as a filesystem sees it. Both calls do nothing when the mount is gone. */
export interface Kernel {
  /** Answers a request. The bytes of the answer are written before this returns. */
  answer(request: Request, answer: Answer): void;
  /** What a poll of this open file would say has changed: who waits for it is woken and asks again. */
  wake(pollHandle: bigint): void;
}

/**
 * Callbacks of signals. Very many waits may share one signal, and Node warns of a signal with many listeners, so each
 * signal has one listener, which calls them all.
 */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `ended` once when the signal aborts; never if it has aborted already. */
export function onAbort(signal: AbortSignal | undefined, ended: () => void): void {
  if (signal === undefined) return;
  let all = waiting.get(signal);
  if (all === undefined) {
    all = new Set();
    waiting.set(signal, all);
  }
  if (all.size === 0) signal.addEventListener('abort', aborted, { once: true });
  all.add(ended);
}

/** Undoes {@link onAbort}. */
export function offAbort(signal: AbortSignal | undefined, ended: () => void): void {
  if (signal === undefined) return;
  const all = waiting.get(signal);
  if (!all?.delete(ended) || all.size > 0) return;
  signal.removeEventListener('abort', aborted);
}

function aborted(this: AbortSignal): void {
  const all = waiting.get(this);
  waiting.delete(this);
  for (const ended of all ?? []) ended();
}

/**
 * A promise that rejects with the error that `make` makes, after the caller has resolved another promise with this one.
 * Whoever awaits that one is in the error's stack: V8 finds the awaiting functions if an error is made in a reaction of
 * the promise that they wait for, not if it is made before.
 */
export function rejection(make: () => unknown): Promise<never> {
  let begin!: () => void;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const rejected = begun.then((): never => {
    throw make();
  });
  queueMicrotask(begin);
  return rejected;
}

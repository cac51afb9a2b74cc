/**
 * A promise that rejects with the error that `make` makes. Resolve another promise with it at once: then whoever awaits
 * that one is in the error's stack. V8 finds the awaiting functions if an error is made in a reaction of the promise that
 * they wait for, not if it is made before.
 */
export function rejection(make: () => unknown): Promise<never> {
  return Promise.resolve()
    .then(() => {})
    .then(() => {
      throw make();
    });
}

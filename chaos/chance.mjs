/** What is left to chance, but follows from a seed: numbers from 0 up to 1, and one of several. @param {number} seed */
export function chance(seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    random,
    /** @template T @param {readonly T[]} from @returns {T} */
    pick: (from) => /** @type {T} */ (from[Math.floor(random() * from.length)]),
  };
}

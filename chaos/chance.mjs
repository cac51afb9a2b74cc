/** What is left to chance, but follows from a seed: numbers from 0 up to 1, and one of several. */
export function chance(seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return { random, pick: (from) => from[Math.floor(random() * from.length)] };
}

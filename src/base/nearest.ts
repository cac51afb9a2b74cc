/** The candidate that a misspelt word most probably means; undefined when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  // One wrong letter of three, two of six; more make another word.
  let within = Math.min(3, Math.floor(word.length / 3) + 1);
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= within) continue;
    const distance = slipsBetween(word.toLowerCase(), candidate.toLowerCase());
    if (distance >= within) continue;
    best = candidate;
    within = distance;
  }
  return best;
}

/** How many insertions, deletions, changes and swaps of neighbours turn one word into the other. */
function slipsBetween(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row++) {
    const now = [row];
    for (let at = 1; at <= other.length; at++) {
      const isSame = one[row - 1] === other[at - 1];
      let least = Math.min(
        (last[at] as number) + 1,
        (now[at - 1] as number) + 1,
        (last[at - 1] as number) + (isSame ? 0 : 1),
      );
      const isSwapped = one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1];
      if (isSwapped && row > 1) least = Math.min(least, (before[at - 2] as number) + 1);
      now.push(least);
    }
    before = last;
    last = now;
  }
  return last[other.length] as number;
}

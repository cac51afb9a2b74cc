const WIDTH = 120;
const HEIGHT = 18;

/** A rate as a small line, the oldest count at the left. It is for the eye: the number stands beside it. */
export function Spark({ counts }: { counts: readonly number[] }) {
  const most = Math.max(1, ...counts);
  const step = WIDTH / (counts.length - 1);
  const points = counts.map(
    (count, at) =>
      `${(at * step).toFixed(1)},${(HEIGHT - 1 - (count / most) * (HEIGHT - 2)).toFixed(1)}`,
  );
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <polyline points={points.join(' ')} />
    </svg>
  );
}

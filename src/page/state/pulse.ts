import { signal } from '@preact/signals';

/** Rises with each frame in which there is something new to draw: for what moves. */
export const frames = signal(0);
/** Rises a few times a second, if there is something new: for tables, which nobody could read more often. */
export const beats = signal(0);

const BEAT_MS = 200;

let isAsked = false;
let beatAt = 0;
let later: ReturnType<typeof setTimeout> | undefined;

/** There is something new to draw. */
export function touch(): void {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(draw);
}

function draw(now: number): void {
  isAsked = false;
  frames.value++;
  const left = beatAt + BEAT_MS - now;
  if (left <= 0) beat();
  // What came last must be seen, too.
  else later ??= setTimeout(beat, left);
}

function beat(): void {
  clearTimeout(later);
  later = undefined;
  beatAt = performance.now();
  beats.value++;
}

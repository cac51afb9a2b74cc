import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useLayoutEffect } from 'preact/hooks';

/** Rows beyond those in sight, so that quick scrolling shows no gap. */
const BESIDE = 10;

/** As page.css has them: `--row`. */
const ROW_HEIGHT = 30;
const NARROW_ROW_HEIGHT = 58;
const NARROW = '(max-width: 40rem)';

/** Which rows of a long table are in sight: only these are made. */
export function useWindow(
  place: RefObject<HTMLDivElement>,
  rows: number,
  scrolled: (isAtTop: boolean) => void = () => {},
): { first: number; last: number; rowHeight: number; onScroll: () => void } {
  const top = useSignal(0);
  const height = useSignal(0);
  const rowHeight = matchMedia(NARROW).matches ? NARROW_ROW_HEIGHT : ROW_HEIGHT;
  useLayoutEffect(() => {
    const element = place.current as HTMLDivElement;
    const resized = new ResizeObserver(() => {
      height.value = element.clientHeight;
    });
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  const at = Math.min(Math.floor(top.value / rowHeight), Math.max(0, rows - 1));
  return {
    first: Math.max(0, at - BESIDE),
    last: Math.min(rows, at + Math.ceil(height.value / rowHeight) + BESIDE),
    rowHeight,
    onScroll: () => {
      const { scrollTop = 0 } = place.current ?? {};
      top.value = scrollTop;
      scrolled(scrollTop === 0);
    },
  };
}

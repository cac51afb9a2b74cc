import { useSignal, useSignalEffect } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { compact, count } from '../../base/units.ts';
import { drawMatrix, layoutOfMatrix } from '../drawing/matrix-drawing.ts';
import { fitted, paletteOf } from '../drawing/palette.ts';
import { labelOf, matrixOf } from '../model/matrix.ts';
import type { Pair } from '../model/pairs.ts';
import { model, traffic } from '../state/feed.ts';
import { filter, refine } from '../state/route.ts';
import { colours } from '../state/theme.ts';
import { Empty } from './empty.tsx';
import { Neighbourhood } from './neighbourhood.tsx';
import { ProgramChoice } from './program-choice.tsx';

interface Cell {
  readonly from: number;
  readonly to: number;
}

/** Senders and receivers as a table, and the neighbourhood of the one that is chosen. */
export function Talk() {
  // The rates are of the last look.
  void traffic.value;
  const at = useSignal<Cell | null>(null);
  const scrolled = useSignal(0);
  const size = useSignal({ width: 0, height: 0 });
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const { pairs, programs } = model.value;
  const matrix = matrixOf(pairs);
  const layout = layoutOfMatrix(matrix, size.value.width, size.value.height);
  const { ksock } = filter.value;

  useLayoutEffect(() => {
    const element = place.current as HTMLDivElement;
    const resized = new ResizeObserver(() => {
      size.value = { width: element.clientWidth, height: element.clientHeight };
    });
    resized.observe(element);
    return () => resized.disconnect();
  }, []);

  const draw = (): void => {
    const { height, width } = size.value;
    if (canvas.current === null || place.current === null || width === 0) return;
    drawMatrix(fitted(canvas.current, width, height), {
      matrix,
      layout,
      width,
      height,
      x: place.current.scrollLeft,
      y: place.current.scrollTop,
      labelOf: (id) => labelOf(programs, id),
      chosen: ksock,
      at: at.value,
      palette: paletteOf(canvas.current),
    });
  };
  useLayoutEffect(draw);
  useSignalEffect(() => {
    void scrolled.value;
    void colours.value;
    void at.value;
    draw();
  });

  const cellAt = ({ offsetX, offsetY }: MouseEvent): Partial<Cell> => {
    const { scrollLeft = 0, scrollTop = 0 } = place.current ?? {};
    const column = Math.floor((offsetX - layout.left + scrollLeft) / layout.cell);
    const row = Math.floor((offsetY - layout.top + scrollTop) / layout.cell);
    const from = offsetY < layout.top ? undefined : matrix.senders[row];
    const to = offsetX < layout.left ? undefined : matrix.receivers[column];
    return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  };

  const pair = at.value === null ? undefined : pairs.get(at.value.from, at.value.to);
  return (
    <section class="talk" aria-label="Who talks to whom">
      <div class="tools">
        <ProgramChoice ksock={ksock} />
        <output class="muted" id="counts">
          {pair === undefined
            ? `${count(matrix.senders.length)} senders, ${count(matrix.receivers.length)} receivers, ${count(matrix.pairs.length)} pairs; the stronger the colour, the more messages`
            : inWords(pair)}
        </output>
      </div>
      <div class="split">
        <div
          class="scroll matrix"
          ref={place}
          onScroll={() => {
            scrolled.value++;
          }}
        >
          <canvas
            ref={canvas}
            aria-label="Matrix of senders and receivers. Choose a program above: its neighbourhood is shown as a list, too."
            onPointerMove={(event) => {
              const { from, to } = cellAt(event);
              at.value = from === undefined || to === undefined ? null : { from, to };
            }}
            onPointerLeave={() => {
              at.value = null;
            }}
            onClick={(event) => {
              const { from, to } = cellAt(event);
              const next = from ?? to ?? 0;
              refine({ ksock: next === ksock ? (to ?? 0) : next });
            }}
          />
          <div
            class="extent"
            style={{ width: `${layout.width}px`, height: `${layout.height - size.value.height}px` }}
          />
          {matrix.pairs.length === 0 && (
            <Empty>Nobody has got a message since the page was opened.</Empty>
          )}
        </div>
        {ksock !== 0 && <Neighbourhood ksock={ksock} />}
      </div>
    </section>
  );
}

function inWords({ count: all, from, missed, rate, to }: Pair): string {
  const { programs } = model.value;
  const lost = missed > 0 ? `, ${count(missed)} missed` : '';
  return `${programs.whoIs(from)} → ${programs.whoIs(to)}: ${compact(rate)}/s, ${count(all)} messages${lost}`;
}

import { type Signal, useSignal, useSignalEffect } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { count } from '../../base/units.ts';
import { SequenceCanvas } from '../drawing/sequence-canvas.ts';
import { Chart } from '../model/chart.ts';
import { timeOfDay } from '../model/times.ts';
import { model, now } from '../state/feed.ts';
import { beats, frames } from '../state/pulse.ts';
import { filter, route, showMessage, toggleFold } from '../state/route.ts';
import { colours } from '../state/theme.ts';
import { FilterBar } from './filter-bar.tsx';
import { MessageDetail } from './message-detail.tsx';

/** A lane for each program, an arrow for each message. */
export function Sequence() {
  const isPaused = useSignal(false);
  const place = useRef<HTMLCanvasElement>(null);
  const drawing = useRef<SequenceCanvas | null>(null);
  const moves = useSignal(0);
  const shown = model.value;
  const chart = useMemo(() => new Chart(shown.history, shown.programs), [shown]);

  const pause = (want: boolean): void => {
    isPaused.value = want;
    if (want) {
      chart.pause();
    } else {
      chart.resume();
      drawing.current?.toEnd();
    }
  };

  useEffect(() => {
    const canvas = new SequenceCanvas(place.current as HTMLCanvasElement, chart, shown, {
      paused: () => pause(true),
      chosen: showMessage,
      moved: () => {
        moves.value++;
      },
    });
    drawing.current = canvas;
    return () => canvas.close();
  }, [chart]);

  useSignalEffect(() => {
    void frames.value;
    void beats.value;
    chart.choose(filter.value, route.value.fold);
    chart.take(now());
    drawing.current?.draw();
  });
  useSignalEffect(() => {
    void colours.value;
    drawing.current?.recolour();
  });

  return (
    <section class="sequence" aria-label="Sequence">
      <FilterBar>
        <button
          type="button"
          aria-pressed={route.value.fold}
          title="Messages that repeat are one line, with their number"
          onClick={toggleFold}
        >
          Fold repeats
        </button>
        <button
          type="button"
          id="pause"
          aria-pressed={isPaused.value}
          onClick={() => pause(!isPaused.value)}
        >
          {isPaused.value ? 'Go on' : 'Pause'}
        </button>
      </FilterBar>
      <div class="split">
        <div class="scroll chart">
          <canvas
            ref={place}
            tabIndex={0}
            aria-label="Sequence chart. Arrows up and down choose a message, Enter shows it, Space pauses, End goes on. The view Messages has the same as a table."
            onKeyDown={(event) => {
              if (event.key === ' ' || event.key === 'End') {
                pause(event.key === ' ' && !isPaused.value);
                event.preventDefault();
              }
            }}
          />
        </div>
        {route.value.message !== '' && <MessageDetail id={route.value.message} />}
      </div>
      <TimeSlider drawing={drawing} moves={moves}>
        <Counts chart={chart} />
      </TimeSlider>
    </section>
  );
}

/** Where in the history the chart is. */
function TimeSlider({ children, drawing, moves }: TimeSliderProps) {
  void beats.value;
  void moves.value;
  const times = drawing.current?.times ?? null;
  const text = (time: number): string => timeOfDay(model.value.dateOf(time));
  return (
    <div class="times">
      <span class="muted">{times === null ? '' : text(times.first)}</span>
      <input
        type="range"
        id="time"
        aria-label="Time of the chart"
        min={times?.first ?? 0}
        max={times?.last ?? 0}
        step="any"
        value={times?.shown ?? 0}
        disabled={times === null || times.first === times.last}
        aria-valuetext={times === null ? 'nothing yet' : text(times.shown)}
        onInput={({ currentTarget }) => drawing.current?.toTime(Number(currentTarget.value))}
      />
      <output class="muted" for="time">
        {times === null ? '' : text(times.shown)}
      </output>
      {children}
    </div>
  );
}

interface TimeSliderProps {
  children: ComponentChildren;
  drawing: { readonly current: SequenceCanvas | null };
  moves: Signal<number>;
}

function Counts({ chart }: { chart: Chart }) {
  void beats.value;
  const parts = [
    chart.isPaused ? `paused: ${count(chart.held)} came since` : '',
    chart.undrawn > 0 ? `${count(chart.undrawn)} lines went by too quickly to draw` : '',
  ].filter((part) => part !== '');
  return (
    <output class="muted" id="counts">
      {parts.join('; ')}
    </output>
  );
}

import type { BusModel } from '../model/bus-model.ts';
import type { Chart, Row } from '../model/chart.ts';
import type { Entry } from '../model/history.ts';
import { timeOfDay } from '../model/times.ts';
import { fitted, type Palette, paletteOf } from './palette.ts';
import {
  HEAD_HEIGHT,
  layoutOf,
  ROW_HEIGHT,
  rowsThatFit,
  SequenceDrawing,
} from './sequence-drawing.ts';

/** What the user did at the chart. */
export interface ChartCalls {
  /** Looked back: the chart must stand still. */
  paused(): void;
  /** Asked for a message, by its id. */
  chosen(id: string): void;
  /** The chart shows another time than before. */
  moved(): void;
}

const ROWS_PER_WHEEL = 3;

/** A chart on a canvas: what part of it is shown, and what the pointer and the keys do there. */
export class SequenceCanvas {
  private readonly canvas: HTMLCanvasElement;
  private readonly chart: Chart;
  private readonly model: BusModel;
  private readonly calls: ChartCalls;
  private readonly ended = new AbortController();
  private readonly resized: ResizeObserver;
  private palette: Palette;
  private size = { width: 0, height: 0 };
  /** Rows between the last one that is shown and the end. */
  private back = 0;
  private left = 0;
  private chosen: Entry | null = null;
  private rows: Row[] = [];

  constructor(canvas: HTMLCanvasElement, chart: Chart, model: BusModel, calls: ChartCalls) {
    this.canvas = canvas;
    this.chart = chart;
    this.model = model;
    this.calls = calls;
    this.palette = paletteOf(canvas);
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(canvas.parentElement as Element);
    this.listen();
    this.resize();
  }

  close(): void {
    this.resized.disconnect();
    this.ended.abort();
  }

  private listen(): void {
    const { canvas } = this;
    const { signal } = this.ended;
    canvas.addEventListener('wheel', (event) => this.wheel(event), { signal, passive: false });
    canvas.addEventListener('keydown', (event) => this.key(event), { signal });
    let drag: { x: number; y: number; back: number; left: number } | null = null;
    canvas.addEventListener(
      'pointerdown',
      (event) => {
        drag = { x: event.clientX, y: event.clientY, back: this.back, left: this.left };
        canvas.setPointerCapture(event.pointerId);
      },
      { signal },
    );
    canvas.addEventListener(
      'pointermove',
      (event) => {
        if (drag === null) {
          this.choose(this.rowAt(event.offsetY)?.last ?? null);
          return;
        }
        this.left = drag.left - (event.clientX - drag.x);
        this.lookBack(drag.back + Math.round((event.clientY - drag.y) / ROW_HEIGHT));
      },
      { signal },
    );
    canvas.addEventListener(
      'pointerup',
      (event) => {
        const isClick =
          drag !== null && Math.abs(event.clientX - drag.x) + Math.abs(event.clientY - drag.y) < 5;
        drag = null;
        if (isClick) this.show(this.rowAt(event.offsetY)?.last);
      },
      { signal },
    );
    canvas.addEventListener('pointercancel', () => (drag = null), { signal });
    canvas.addEventListener('pointerleave', () => this.choose(null), { signal });
  }

  private wheel(event: WheelEvent): void {
    const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    event.preventDefault();
    if (isSideways) {
      this.left += event.deltaX + (event.shiftKey ? event.deltaY : 0);
      this.draw();
    } else {
      this.lookBack(this.back - Math.sign(event.deltaY) * ROWS_PER_WHEEL);
    }
  }

  private key(event: KeyboardEvent): void {
    const page = rowsThatFit(this.size.height);
    const at = this.rows.findIndex(({ last }) => last === this.chosen);
    const steps: Readonly<Record<string, () => void>> = {
      ArrowUp: () => this.step(at < 0 ? this.rows.length - 1 : at - 1),
      ArrowDown: () => this.step(at < 0 ? this.rows.length - 1 : at + 1),
      ArrowLeft: () => this.aside(-1),
      ArrowRight: () => this.aside(1),
      PageUp: () => this.lookBack(this.back + page),
      PageDown: () => this.lookBack(this.back - page),
      Home: () => this.lookBack(this.chart.length),
      Enter: () => this.show(this.chosen ?? undefined),
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    step();
  }

  private aside(by: number): void {
    this.left += by * 100;
    this.draw();
  }

  /** Chooses the row at an index of those shown; beyond them, it scrolls. */
  private step(index: number): void {
    this.calls.paused();
    if (index < 0) this.lookBack(this.back + 1);
    else if (index >= this.rows.length) this.lookBack(this.back - 1);
    const within = Math.min(Math.max(0, index), this.rows.length - 1);
    this.choose(this.rows[within]?.last ?? null);
  }

  private choose(entry: Entry | null): void {
    if (entry === this.chosen) return;
    this.chosen = entry;
    this.draw();
  }

  private show(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.calls.paused();
    this.calls.chosen(String(entry.message.id));
  }

  private lookBack(back: number): void {
    const most = Math.max(0, this.chart.length - rowsThatFit(this.size.height));
    const next = Math.min(Math.max(0, back), most);
    if (next > 0) this.calls.paused();
    this.back = next;
    this.draw();
    this.calls.moved();
  }

  private rowAt(y: number): Row | undefined {
    return y < HEAD_HEIGHT ? undefined : this.rows[Math.floor((y - HEAD_HEIGHT) / ROW_HEIGHT)];
  }

  toEnd(): void {
    this.back = 0;
    this.draw();
    this.calls.moved();
  }

  /** The chart stands still, and ends with what happened at this time. */
  toTime(time: number): void {
    this.calls.paused();
    this.lookBack(this.chart.length - 1 - this.chart.indexAt(time));
  }

  /** The times of the first row that there is, of the last one that is shown, and of the last one that there is. */
  get times(): { first: number; shown: number; last: number } | null {
    const { chart } = this;
    const [first, last] = [chart.at(0), chart.at(chart.length - 1)];
    if (first === undefined || last === undefined) return null;
    const isLive = !chart.isPaused && this.back === 0;
    const shown = (isLive ? undefined : this.rows.at(-1)) ?? last;
    return { first: first.first.time, shown: shown.first.time, last: last.first.time };
  }

  recolour(): void {
    this.palette = paletteOf(this.canvas);
    this.draw();
  }

  private resize(): void {
    const { clientHeight, clientWidth } = this.canvas.parentElement as Element;
    this.size = { width: clientWidth, height: clientHeight };
    this.draw();
  }

  draw(): void {
    const { chart, chosen, model, palette, size } = this;
    if (size.width === 0 || size.height === 0) return;
    const fit = rowsThatFit(size.height);
    const end = chart.length - this.back;
    const begin = Math.max(0, end - fit);
    this.rows = [];
    for (let at = begin; at < end; at++) this.rows.push(chart.at(at) as Row);
    if (!chart.isPaused) chart.drawn(fit);
    const lanes = chart.lanes();
    const layout = layoutOf(size.width, size.height, lanes.length, this.left);
    this.left = layout.left;
    const { programs } = model;
    new SequenceDrawing(fitted(this.canvas, size.width, size.height), {
      rows: this.rows,
      before: chart.at(begin - 1),
      lanes,
      nameOf: (ksock) => programs.nameOf(ksock),
      hasLeft: (ksock) => programs.get(ksock)?.hasLeft === true,
      timeOf: (time) => timeOfDay(model.dateOf(time)),
      layout,
      palette,
      chosen,
      isLive: !chart.isPaused && this.back === 0,
    }).draw();
  }
}

/** The colours and fonts of the page's style, as a canvas needs them. */
export interface Palette {
  readonly back: string;
  readonly panel: string;
  readonly line: string;
  readonly text: string;
  readonly muted: string;
  readonly accent: string;
  readonly chosen: string;
  readonly warn: string;
  readonly bad: string;
  readonly reply: string;
  readonly font: string;
  readonly mono: string;
}

export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`);
  return {
    back: colour('back'),
    panel: colour('panel'),
    line: colour('line'),
    text: colour('text'),
    muted: colour('muted'),
    accent: colour('accent'),
    chosen: colour('chosen'),
    warn: colour('warn'),
    bad: colour('bad'),
    reply: colour('reply'),
    font: style.fontFamily,
    mono: colour('mono'),
  };
}

/** Fits the canvas to its place on the screen; gives its context, in units of CSS pixels. */
export function fitted(canvas: HTMLCanvasElement, width: number, height: number) {
  const ratio = devicePixelRatio;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** The text, cut to what has room in this width. */
export function shortened(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return `${text.slice(0, length)}…`;
}

// Quantities in words: short, of about the same width, and with their unit.

/** Milliseconds as `3 µs`, `4.2 ms`, `12.3 s`, `4 min` or `5 h`. */
export function duration(ms: number): string {
  if (ms < 0.9995) return `${Math.round(ms * 1000)} µs`;
  if (ms < 999.5) return `${short(ms)} ms`;
  const s = ms / 1000;
  if (s < 99.95) return `${s.toFixed(1)} s`;
  if (s < 5970) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}

/** A number per second, or a number of a list of things: `0.4`, `31`, `19,800`. */
export function count(value: number): string {
  return value > 0 && value < 9.95 && !Number.isInteger(value)
    ? value.toFixed(1)
    : Math.round(value).toLocaleString('en');
}

/** `3 messages`, `1 message`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `512 B`, `3.1 KiB`, `40 MiB`. */
export function bytes(value: number): string {
  if (value < 1023.5) return `${Math.round(value)} B`;
  const kib = value / 1024;
  if (kib < 1023.5) return `${short(kib)} KiB`;
  const mib = kib / 1024;
  return mib < 1023.5 ? `${short(mib)} MiB` : `${short(mib / 1024)} GiB`;
}

/** Two figures at least, and no more behind the point than say something. */
function short(value: number): string {
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/** The same in at most seven characters: `999,999`, `1.23M`, `45.6G`. */
export function compact(value: number): string {
  if (value < 999_999.5) return count(value);
  const [unit, scaled] = value < 999.5e6 ? ['M', value / 1e6] : ['G', value / 1e9];
  return `${scaled.toPrecision(3)}${unit}`;
}

const BYTES_IN = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** The number of bytes in a text such as `4096`, `64KiB` or `100MiB`; null if it is none. */
export function bytesIn(text: string): number | null {
  const [, number = '', unit = ''] = text.match(/^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB)?$/) ?? [];
  const value = Math.round(Number(number) * BYTES_IN[unit as keyof typeof BYTES_IN]);
  return number !== '' && value < 2 ** 50 ? value : null;
}

const MS_IN = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
} as const;

/** The milliseconds of a text such as `10s`, `500ms`, `2min`, `1h` or `7d`; a number alone is seconds; null if it is no time. */
export function msIn(text: string): number | null {
  const [, number = '', unit = 's'] =
    text.match(/^(\d+(?:\.\d+)?|\.\d+) ?(ms|s|m|min|h|d)?$/) ?? [];
  return number === '' ? null : Number(number) * MS_IN[unit as keyof typeof MS_IN];
}

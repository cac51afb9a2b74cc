import { escapedLines } from '../../base/escape.ts';
import { textIfUtf8 } from '../../base/text.ts';

/** How the data of a message can be shown. */
export type Look = 'text' | 'json' | 'hex';

/** What data most probably is. */
export function looksLike(data: Uint8Array): Look {
  const text = textIfUtf8(data);
  if (text === undefined || hasControls(text)) return 'hex';
  return jsonOf(data) === undefined ? 'text' : 'json';
}

function hasControls(text: string): boolean {
  // Beside tabs and ends of lines.
  return /\p{Cc}/u.test(text.replace(/[\t\n\r]/g, ''));
}

/** The object or array that the data is, as JSON. */
export function jsonOf(data: Uint8Array): object | undefined {
  const text = textIfUtf8(data);
  if (text === undefined || !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined;
  }
}

/** Data on one line, for a table: text, or the first bytes. */
export function shortText(data: Uint8Array, most = 120): string {
  const begin = data.length > most ? data.subarray(0, most) : data;
  const text = new TextDecoder().decode(begin);
  // A character that was cut is no reason to show bytes.
  const isText = !hasControls(text) && !text.slice(0, -2).includes('\ufffd');
  const shown = isText
    ? escapedLines(text).replace(/\s+/g, ' ')
    : Array.from(begin.subarray(0, 24), hex).join(' ');
  return data.length > begin.length ? `${shown}…` : shown;
}

const BYTES_PER_LINE = 16;

/** Lines of a dump: where the bytes are, the bytes, and the characters that they are in ASCII. */
export function hexLines(data: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += BYTES_PER_LINE) {
    const bytes = [...data.subarray(at, at + BYTES_PER_LINE)];
    const dump = bytes
      .map(hex)
      .join(' ')
      .padEnd(BYTES_PER_LINE * 3 - 1);
    const text = bytes.map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    );
    lines.push(`${at.toString(16).padStart(6, '0')}  ${dump}  ${text.join('')}`);
  }
  return lines;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

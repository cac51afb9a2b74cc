/**
 * Characters that control a terminal or hide text: control characters (C0, DEL, C1), marks of text direction, line
 * separators, and lone surrogates.
 */
const UNSEEN = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `\n`, `\x1b` or `\u202e`. */
export function escapeOf(character: string): string {
  const code = character.charCodeAt(0);
  return SHORT[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
}

/**
 * Text of another program as one line that does nothing to a terminal but print. Printable text of every language stays
 * as it is.
 */
export function escaped(text: string): string {
  return text.replace(UNSEEN, escapeOf);
}

/** The same for text of several lines: keeps newlines and tabs. */
export function escapedLines(text: string): string {
  return text.replace(UNSEEN, (one) => (one === '\n' || one === '\t' ? one : escapeOf(one)));
}

/** A value as JSON on one line, with these characters in JSON's own escapes. */
export function escapedJson(value: object): string {
  return JSON.stringify(value).replace(UNSEEN, (one) => `\\u${hex(one.charCodeAt(0), 4)}`);
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

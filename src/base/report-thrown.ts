import { escapedLines } from './escape.ts';

/** An error is shown with at most this many causes. */
const MAX_CAUSES = 5;

/**
 * Prints what a callback of the program threw, where nobody can catch it. It may be any value, and have text of other
 * programs: characters that control a terminal are escaped.
 */
export function reportThrown(what: string, error: unknown): void {
  try {
    console.error(escapedLines(what), shown(error));
  } catch {
    console.error(escapedLines(what), "with a value that can't be shown");
  }
}

/** The value itself, or text if the console would print it with such characters. (It escapes those of inner strings.) */
function shown(error: unknown): unknown {
  if (typeof error !== 'string' && !(error instanceof Error)) return error;
  const text = textOf(error);
  const safe = escapedLines(text);
  return safe === text ? error : safe;
}

function textOf(error: unknown): string {
  const texts: string[] = [];
  let at: unknown = error;
  for (; at instanceof Error && texts.length < MAX_CAUSES; at = at.cause) {
    texts.push(at.stack ?? String(at));
  }
  if (at !== undefined) texts.push(String(at));
  return texts.join('\n  cause: ');
}

/** Tells of what a function of the program threw where nobody catches it; it may be anything at all. */
export function reportThrown(what: string, error: unknown): void {
  try {
    console.error(what, error);
  } catch {
    console.error(what, "with a value that can't be shown");
  }
}

/** Prints what a callback of the program threw, where nobody can catch it. It may be any value. */
export function reportThrown(what: string, error: unknown): void {
  try {
    console.error(what, error);
  } catch {
    console.error(what, "with a value that can't be shown");
  }
}

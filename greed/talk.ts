/** What the programs of a greedy run say to it. */
export type Said =
  | { readonly ready: true }
  /** All that the attack does is done, or goes on. */
  | { readonly done: true }
  /** How long the witness waited each time since it was asked last, in milliseconds, and how often in vain. */
  | { readonly waits: readonly number[]; readonly lost: number }
  | { readonly failed: string };

/** What the programs of a greedy run say to it. */
export type Said =
  | { readonly ready: true }
  /** All that the attack does is done, or goes on. */
  | { readonly done: true }
  /** How long the witness waited each time since it was asked last; why Requests failed, and how often. */
  | {
      readonly waits: readonly Wait[];
      readonly lost: readonly (readonly [why: string, times: number])[];
    }
  | { readonly failed: string };

/** How long a Request took, and how long of that no CPU was free for the daemon or the witness, in milliseconds. */
export interface Wait {
  readonly ms: number;
  readonly ready: number;
}

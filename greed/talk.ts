/** What the programs of a greedy run say to it. */
export type Said =
  | { readonly ready: true }
  /** All that the attack does is done (true), or begins to go on until it is over. */
  | { readonly done: boolean }
  /** How long the witness waited each time since it was asked last; why Requests failed, and how often. */
  | {
      readonly waits: readonly Wait[];
      readonly lost: readonly (readonly [why: string, times: number])[];
    }
  | { readonly failed: string };

/** What they are told. */
export type Told =
  /** The attack is over. */
  | { readonly over: true }
  /** The witness tells all when it has asked so many Requests since it told last. */
  | { readonly atLeast: number };

/** How long a Request took, and how long of that no CPU was free for the daemon or the witness, in milliseconds. */
export interface Wait {
  readonly ms: number;
  readonly ready: number;
}

export interface Entry {
  /** When: rises, over all journals together. */
  t: number;
  e: string;
  [field: string]: unknown;
}

/** What one Ksock's program did and saw, in order. */
export interface Journal {
  readonly name: string;
  readonly entries: Entry[];
}

/** Checks what all programs on one bus saw against the promises of KBUS: what was broken, if anything. */
export function brokenPromises(journals: readonly Journal[]): string[];

export interface MessageLike {
  readonly id: object;
  readonly inReplyTo: object;
  readonly name: string;
  readonly flags: number;
  readonly to: number;
  readonly from: number;
  readonly data: Uint8Array;
  isRequest(): boolean;
  isReply(): boolean;
  isSynthetic(): boolean;
}

/** The fields of a journal's entry that tell of a message. */
export function noteOf(message: MessageLike): Record<string, unknown>;

/** Whether a binding name matches the name of a message. */
export function covers(bindingName: string, name: string): boolean;

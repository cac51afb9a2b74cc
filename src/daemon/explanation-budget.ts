import { type Call, codeOf, type ErrorCode } from '../message/errno.ts';
import { meaningOf } from '../message/meaning.ts';

/** The most refusals that are explained per event; a flood of further ones gets error numbers alone. */
const MAX_EXPLAINED_REFUSALS = 32;

/** A connection's budget of explained refusals per event: to explain one takes time from other connections. */
export class ExplanationBudget {
  private readonly markDirty: () => void;
  private readonly isForPage: boolean;
  private explained = 0;

  /** `markDirty` must make sure that `renew` is called after the event. Pages have no meanings of error numbers. */
  constructor(markDirty: () => void, isForPage: boolean) {
    this.markDirty = markDirty;
    this.isForPage = isForPage;
  }

  /** The explanation; if the budget is spent, or there is none, the general meaning for a page, and '' for others. */
  why(call: Call, errno: number, explain: () => string): string {
    let text = '';
    if (this.explained < MAX_EXPLAINED_REFUSALS) {
      this.explained++;
      this.markDirty();
      text = explain();
    }
    return text === '' && this.isForPage ? meaningOf(call, codeOf(errno) as ErrorCode) : text;
  }

  renew(): void {
    this.explained = 0;
  }
}

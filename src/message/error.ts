import { escaped } from '../base/escape.ts';
import { brand, isOfOtherCopy } from '../base/other-copy.ts';
import { type Call, codeOf, type ErrorCode } from './errno.ts';
import { meaningOf } from './meaning.ts';

/**
 * KBUS refused a call, or could not be reached. `code` and `errno` are Linux's and never change; the message says what
 * was asked, what stood in the way, and what to do. It may have text of other programs, so it is one line, with characters
 * that control a terminal escaped.
 *
 * @example
 * ```ts
 * import { Bus, KbusError, Ksock } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * try {
 *   await ksock.request('$.Heater.Set', '21');
 * } catch (error) {
 *   if (!(error instanceof KbusError)) throw error;
 *   console.log(error.code, error.errno, error.call); // → EADDRNOTAVAIL 99 send
 *   console.log(error.meaning); // → nobody replies to '$.Heater.Set' on bus 0
 * }
 * await ksock.close();
 * ```
 */
export class KbusError extends Error {
  override readonly name: string = 'KbusError';
  /** E.g. `EPIPE`. */
  readonly code: ErrorCode | 'STATUS';
  /** E.g. 32. */
  readonly errno: number;
  /** E.g. `send`. */
  readonly call: Call;
  /** What stood in the way, with the values if they are known; otherwise what the code means for this call. */
  readonly meaning: string;

  constructor(
    call: Call,
    errno: number,
    asked: string,
    options: { cause?: unknown; meaning?: string; code?: 'STATUS' } = {},
  ) {
    const code = options.code ?? codeOf(errno) ?? 'EPROTO';
    const meaning = escaped(
      options.meaning ?? (code === 'STATUS' ? 'KBUS answered the Request' : meaningOf(call, code)),
    );
    super(
      `${code === 'STATUS' ? '' : `${code} (${errno}): `}${escaped(asked)}: ${meaning}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.errno = errno;
    this.call = call;
    this.meaning = meaning;
  }

  /** Also true for errors of another copy of this package, if a program has two. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(this, value) || isOfOtherCopy(this, value);
  }

  /** For logs: the fields of the error, and the Status or Reply that caused it. */
  toJSON(): object {
    const { name, message, ...rest } = this;
    return {
      name,
      message,
      ...rest,
      ...(this.cause instanceof Error && { cause: `${this.cause}` }),
    };
  }
}

brand(KbusError, 'KbusError');

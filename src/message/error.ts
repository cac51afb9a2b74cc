import { brand, isOfOtherCopy } from '../base/other-copy.ts';
import { type Call, codeOf, type ErrorCode, MEANING, UNIX_TEXT } from './errno.ts';
import type { Message } from './message.ts';

/**
 * KBUS refused, or could not be asked. `code` and `errno` are Linux's and never change; the message
 * says what was asked, and what the code means in KBUS for this call.
 */
export class KbusError extends Error {
  override readonly name: string = 'KbusError';
  /** E.g. `EPIPE`. */
  readonly code: ErrorCode | 'STATUS';
  /** E.g. 32. */
  readonly errno: number;
  /** E.g. `send`. */
  readonly call: Call;
  /** What stood in the way, with its values where they are known; else what the code means for this call. */
  readonly meaning: string;

  constructor(
    call: Call,
    errno: number,
    asked: string,
    options: { cause?: unknown; meaning?: string; code?: 'STATUS' } = {},
  ) {
    const code = options.code ?? codeOf(errno) ?? 'EPROTO';
    const meaning = options.meaning ?? meaningOf(call, code);
    super(
      `${code === 'STATUS' ? '' : `${code} (${errno}): `}${asked}: ${meaning}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.errno = errno;
    this.call = call;
    this.meaning = meaning;
  }

  /** True of the errors of another copy of this package too, if a program has two. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(this, value) || isOfOtherCopy(this, value);
  }

  /** For logs: what it says, and the Status or Reply that it came of. */
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

function meaningOf(call: Call, code: ErrorCode | 'STATUS'): string {
  if (code === 'STATUS') return 'KBUS answered the Request';
  return MEANING[call][code] ?? MEANING.any[code] ?? UNIX_TEXT[code];
}

const STATUS_MEANING: Readonly<Record<string, string>> = {
  '$.KBUS.Replier.GoneAway': 'the Replier went away before it read the Request',
  '$.KBUS.Replier.Ignored': 'the Replier read the Request, and went away without answering it',
  '$.KBUS.Replier.Unbound': 'the Replier unbound from the name before it read the Request',
  '$.KBUS.Replier.Disappeared': 'the Replier went away while the Request was waiting to be sent',
  '$.KBUS.ErrorSending': 'the Request was waiting to be sent, and can never be',
  '$.KBUS.Bus.GoneAway': 'the bus went away before the Request was answered',
};

/** A Request was answered by a Status of KBUS in place of a Reply. */
export class StatusError extends KbusError {
  override readonly name = 'StatusError';
  readonly status: Message;

  constructor(asked: string, status: Message) {
    super('request', 0, asked, {
      code: 'STATUS',
      meaning: `${STATUS_MEANING[status.name] ?? 'KBUS answered in place of the Replier'} (${status.name})`,
    });
    this.status = status;
  }
}

/** The name of the Reply that the handler form of a Replier sends when its handler throws. */
export const REPLIER_ERROR = '$.KBUS.Replier.Error';

/** A Replier's handler threw: `reply` holds what it said. */
export class ReplierError extends KbusError {
  override readonly name = 'ReplierError';
  readonly reply: Message;

  constructor(asked: string, reply: Message) {
    super('request', 0, asked, {
      code: 'STATUS',
      meaning: `the Replier failed to answer: ${reply.text()}`,
    });
    this.reply = reply;
  }
}

brand(KbusError, 'KbusError');
brand(StatusError, 'StatusError');
brand(ReplierError, 'ReplierError');

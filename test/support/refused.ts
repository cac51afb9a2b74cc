import { expect } from 'vitest';
import { UNIX_TEXT } from '../../src/message/all-meanings.ts';
import { Errno, type ErrorCode } from '../../src/message/errno.ts';
import { KbusError } from '../../src/message/error.ts';

/** The KbusError that a call rejects with, which must have this code and a complete text. */
export async function refused(call: Promise<unknown>, code: ErrorCode): Promise<KbusError> {
  const error = await failed(call);
  expect(error).toBeInstanceOf(KbusError);
  const refusal = error as KbusError;
  expect(refusal.code, refusal.message).toBe(code);
  expect(refusal.errno).toBe(Errno[code]);
  expect(refusal.message).toMatch(new RegExp(`^${code} \\(${Errno[code]}\\): \\S`));
  expect(refusal.message.endsWith(refusal.meaning)).toBe(true);
  // The meaning is KBUS's, not Unix's text.
  expect(refusal.meaning).not.toBe(UNIX_TEXT[code]);
  return refusal;
}

/** The error that a promise rejects with. */
export async function failed(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  return expect.fail(`it should have failed, but gave ${String(value)}`);
}

import { describe, expect, it } from 'vitest';
import { MEANING, UNIX_TEXT } from '../../src/message/all-meanings.ts';
import { type Call, codeOf, Errno, type ErrorCode } from '../../src/message/errno.ts';
import { KbusError } from '../../src/message/error.ts';
import { MessageId } from '../../src/message/id.ts';
import { Reply, Status } from '../../src/message/message.ts';
import { ReplierError, StatusError } from '../../src/message/request-error.ts';

const inReplyTo = new MessageId(0, 1);

describe('KbusError', () => {
  it('names its code, its number, what was asked, and what that code means in KBUS for this call.', () => {
    const error = new KbusError('send', Errno.EPIPE, "send Request '$.a' to 3");
    expect(error.message).toBe(
      "EPIPE (32): send Request '$.a' to 3: the Replier it was addressed to is no longer the one bound to that name",
    );
    expect([error.name, error.code, error.errno, error.call]).toEqual([
      'KbusError',
      'EPIPE',
      32,
      'send',
    ]);
    expect(error).toBeInstanceOf(Error);
  });

  it('has for each code of each call a meaning: one sentence without a full stop.', () => {
    for (const [call, meanings] of Object.entries(MEANING)) {
      for (const [code, meaning] of Object.entries(meanings)) {
        // Programs at device files get numbers only.
        if (call !== 'ioctl' && code !== 'EFAULT') {
          const error = new KbusError(call as Call, Errno[code as ErrorCode], 'ask');
          expect(error.meaning).toBe(meaning);
        }
        expect(meaning).not.toMatch(/[.!]$/);
        expect(meaning).not.toBe(UNIX_TEXT[code as ErrorCode]);
      }
    }
  });

  it('falls back on the code’s meaning for any call, and then says where to look.', () => {
    expect(new KbusError('unbind', Errno.EBADF, 'unbind').meaning).toBe('this Ksock is closed');
    expect(new KbusError('bind', Errno.EPIPE, 'bind').meaning).toBe(
      'KBUS gave no reason; see `kbus errno EPIPE`',
    );
  });

  it('keeps its cause.', () => {
    const cause = new Error('because');
    expect(new KbusError('open', Errno.ENOENT, 'open', { cause }).cause).toBe(cause);
    expect('cause' in new KbusError('open', Errno.ENOENT, 'open')).toBe(false);
  });

  it('has a number for every code, and a code for every number.', () => {
    for (const [code, errno] of Object.entries(Errno)) {
      expect(codeOf(errno)).toBe(code);
      expect(UNIX_TEXT[code as ErrorCode]).toMatch(/^[A-Z]/);
    }
    expect(codeOf(0)).toBeUndefined();
    expect(codeOf(1000)).toBeUndefined();
    expect(new Set(Object.values(Errno)).size).toBe(Object.values(Errno).length);
  });
});

describe('StatusError', () => {
  it.for<[string, string]>([
    [
      '$.KBUS.Replier.GoneAway',
      'the Replier went away before it read the Request, as far as KBUS knows',
    ],
    ['$.KBUS.Replier.Ignored', 'the Replier read the Request, and went away without answering it'],
    ['$.KBUS.Replier.Unbound', 'the Replier unbound from the name before it read the Request'],
    [
      '$.KBUS.Replier.Disappeared',
      'the Replier went away while the Request was waiting to be sent',
    ],
    ['$.KBUS.ErrorSending', 'the Request was waiting to be sent, and can never be'],
    ['$.KBUS.Bus.GoneAway', 'the bus went away before the Request was answered'],
    ['$.KBUS.Remote.Limpet', 'KBUS answered in place of the Replier'],
  ])('%s: %s', ([name, meaning]) => {
    const status = new Status(name, { inReplyTo });
    const error = new StatusError("send Request '$.a'", status);
    expect(error.message).toBe(`send Request '$.a': ${meaning} (${name})`);
    expect([error.name, error.code, error.errno]).toEqual(['StatusError', 'STATUS', 0]);
    expect(error.status).toBe(status);
  });
});

describe('ReplierError', () => {
  it('has the text of the handler’s error.', () => {
    const reply = new Reply('$.KBUS.Replier.Error', 'no such thing', { inReplyTo });
    const error = new ReplierError("send Request '$.a'", reply);
    expect(error.message).toBe("send Request '$.a': the Replier failed to answer: no such thing");
    expect(error.reply).toBe(reply);
  });
});

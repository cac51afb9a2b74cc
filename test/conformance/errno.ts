import { describe, expect, it } from 'vitest';
import { MEANING } from '../../src/message/all-meanings.ts';
import { type Call, codeOf, Errno, type ErrorCode } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Reply, Request } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { fill } from './reading.ts';
import type { Stage } from './transport.ts';

type Provoke = (stage: Stage) => Promise<unknown>;

const LONG = `$.${'a'.repeat(1000)}`;
const BOTH = { flags: Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL };
const EVENT = '$.KBUS.ReplierBindEvent';

/** A sender that is sending. */
async function stuck(stage: Stage) {
  const sender = await stage.open();
  const listener = await stage.open();
  await listener.bind('$.a');
  await fill(listener, sender);
  const message = new Announcement('$.a', null, { flags: Flag.ALL_OR_WAIT });
  await refused(sender.sendMsg(message), 'EAGAIN');
  return sender;
}

/** A Replier of `$.a`, on a bus that reports binds to a listener whose queue is full. */
async function overheard(stage: Stage) {
  const replier = await stage.open();
  await replier.bind('$.a', true);
  const listener = await stage.open();
  await listener.reportReplierBinds(true);
  await listener.bind(EVENT);
  await fill(listener, replier);
  return replier;
}

/** How to cause each error of each call. The sections test the calls themselves. */
const PROVOKED: Partial<Record<Call, Partial<Record<ErrorCode, Provoke>>>> = {
  bind: {
    EADDRINUSE: async (stage) => {
      await (await stage.open()).bind('$.a', true);
      return (await stage.open()).bind('$.a', true);
    },
    EBADMSG: async (stage) => (await stage.open()).bind('a'),
    ENAMETOOLONG: async (stage) => (await stage.open()).bind(LONG),
    EAGAIN: async (stage) => (await overheard(stage)).bind('$.b', true),
  },
  unbind: {
    EINVAL: async (stage) => (await stage.open()).unbind('$.a'),
    EBADMSG: async (stage) => (await stage.open()).unbind('a'),
    ENAMETOOLONG: async (stage) => (await stage.open()).unbind(LONG),
    EAGAIN: async (stage) => (await overheard(stage)).unbind('$.a', true),
  },
  findReplier: {
    ENAMETOOLONG: async (stage) => (await stage.open()).findReplier(''),
  },
  write: {
    EBADF: async (stage) => (await stage.open('r')).writeMsg(new Announcement('$.a')),
    EALREADY: async (stage) => (await stuck(stage)).writeMsg(new Announcement('$.a')),
    EINVAL: async (stage) => (await stage.open()).writeData(new Uint8Array(88)),
    ENAMETOOLONG: async (stage) => (await stage.open()).writeMsg(new Announcement(LONG)),
    EBADMSG: async (stage) => (await stage.open()).writeMsg(new Announcement('$.*')),
    EMSGSIZE: async (stage) => {
      const ksock = await stage.open();
      await ksock.setMaxMessageSize(200);
      return ksock.writeMsg(new Announcement('$.a', new Uint8Array(200)));
    },
  },
  send: {
    ENOMSG: async (stage) => (await stage.open()).send(),
    EINVAL: async (stage) => (await stage.open()).sendMsg(new Announcement('$.a', null, BOTH)),
    ENAMETOOLONG: async (stage) => (await stage.open()).sendMsg(new Announcement(LONG)),
    EBADMSG: async (stage) => (await stage.open()).sendMsg(new Announcement('$.%')),
    EMSGSIZE: async (stage) => {
      const ksock = await stage.open();
      await ksock.setMaxMessageSize(200);
      return ksock.sendMsg(new Announcement('$.a', new Uint8Array(200)));
    },
    EBADF: async (stage) => (await stage.open('r')).sendMsg(new Announcement('$.a')),
    EALREADY: async (stage) => (await stuck(stage)).sendMsg(new Announcement('$.a')),
    ENOLCK: async (stage) => {
      const ksock = await stage.open();
      await fill(ksock, await stage.open());
      return ksock.sendMsg(new Request('$.a'));
    },
    EADDRNOTAVAIL: async (stage) => (await stage.open()).sendMsg(new Request('$.a')),
    ECONNREFUSED: async (stage) => {
      const ksock = await stage.open();
      const options = { inReplyTo: new MessageId(0, 9), to: ksock.id };
      return ksock.sendMsg(new Reply('$.a', null, options));
    },
    EPIPE: async (stage) => {
      const ksock = await stage.open();
      await ksock.bind('$.a', true);
      return ksock.sendMsg(new Request('$.a', null, { to: ksock.id + 1 }));
    },
    EBUSY: async (stage) => {
      const replier = await stage.open();
      const requester = await stage.open();
      await replier.bind('$.a', true);
      await fill(replier, requester);
      return requester.sendMsg(new Request('$.a'));
    },
    EAGAIN: async (stage) => (await stuck(stage)).send(),
  },
  wantMessagesOnce: {},
  reportReplierBinds: {
    EBUSY: async (stage) => {
      const ksock = await stage.open();
      await ksock.bind('$.a', true);
      await ksock.bind('$.b', true);
      await ksock.setMaxMessages(1);
      return ksock.reportReplierBinds(true);
    },
  },
  verbose: {},
  maxMessageSize: {
    EINVAL: async (stage) => (await stage.open()).setMaxMessageSize(99),
  },
  newDevice: {
    EINVAL: async (stage) => {
      const ksock = await stage.open();
      for (let number = 1; number < 256; number++) await ksock.newDevice();
      return ksock.newDevice();
    },
  },
};

/** Errors for which the client or the bus says more than the table: what stood in the way, with the values. */
const VALUES: Partial<Record<Call, readonly ErrorCode[]>> = {
  bind: ['EADDRINUSE', 'EBADMSG', 'ENAMETOOLONG', 'EAGAIN'],
  unbind: ['EBADMSG', 'ENAMETOOLONG', 'EAGAIN'],
  findReplier: ['ENAMETOOLONG'],
  send: [
    'EINVAL',
    'ENAMETOOLONG',
    'EBADMSG',
    'EMSGSIZE',
    'ENOLCK',
    'EADDRNOTAVAIL',
    'ECONNREFUSED',
    'EPIPE',
    'EBUSY',
    'EAGAIN',
  ],
};

/** Errors of the table that no call of a program can get, and why. */
const ELSEWHERE: Partial<Record<Call, readonly ErrorCode[]>> = {
  // Limits of a daemon's memory, and the memory of programs at a device.
  // And the rights of access points: test/daemon/access.test.ts.
  bind: ['ENOMEM', 'ENOLCK', 'EACCES', 'EBADF'],
  findReplier: ['EACCES'],
  send: ['ENOMEM', 'EFAULT', 'EACCES'],
  maxMessageSize: ['EACCES'],
  // The client checks switches and limits as arguments.
  maxMessages: ['EINVAL'],
  wantMessagesOnce: ['EINVAL'],
  reportReplierBinds: ['EINVAL', 'EACCES'],
  verbose: ['EINVAL', 'EACCES'],
  // A daemon without permission, or without descriptors, for the socket.
  newDevice: ['EACCES', 'ENOMEM'],
};

const NOT_OF_A_BUS: readonly Call[] = [
  'open',
  'read',
  'stats',
  'observe',
  'kick',
  'ioctl',
  'request',
  'any',
];

export function errno(stage: Stage): void {
  describe('spec 1 §12: Errors', () => {
    const cases = Object.entries(PROVOKED).flatMap(([call, codes]) =>
      Object.entries(codes).map(([code, provoke]) => ({
        call: call as Call,
        code: code as ErrorCode,
        provoke: provoke as Provoke,
      })),
    );

    it.for(cases)(
      '$call: $code: the error names its code, its number, what was asked, and what that code means in KBUS for this call.',
      async ({ call, code, provoke }) => {
        const error = await refused(provoke(stage), code);
        expect(error.call).toBe(call);
        // A device file gives only the number.
        const isNumber = error.meaning === MEANING[call][code];
        if (!isNumber) expect(VALUES[call]).toContain(code);
        const [, ...rest] = error.message.split(': ');
        expect(rest.join(': ')).toMatch(/^\S.*: /);
      },
    );

    it('Every error that has a meaning occurs.', () => {
      for (const [call, meanings] of Object.entries(MEANING) as [Call, object][]) {
        if (NOT_OF_A_BUS.includes(call)) continue;
        const tried = Object.keys(PROVOKED[call] ?? {});
        expect([call, ...tried, ...(ELSEWHERE[call] ?? [])].sort()).toEqual(
          [call, ...Object.keys(meanings)].sort(),
        );
      }
    });

    it('ENOENT (no such bus).', async ({ skip }) => {
      if (stage.transport.hasNumbers === false)
        skip('who has a bus at hand needs no number for it');
      await refused(stage.open('rw', 99), 'ENOENT');
    });

    it("The numbers are Linux's on every platform.", () => {
      expect(Errno).toMatchObject({
        EADDRINUSE: 98,
        EADDRNOTAVAIL: 99,
        EAGAIN: 11,
        EACCES: 13,
        EALREADY: 114,
        EBADF: 9,
        EBADMSG: 74,
        EBUSY: 16,
        ECONNREFUSED: 111,
        EFAULT: 14,
        EINVAL: 22,
        EMSGSIZE: 90,
        ENAMETOOLONG: 36,
        ENOENT: 2,
        ENOLCK: 37,
        ENOMEM: 12,
        ENOMSG: 42,
        ENOTTY: 25,
        EPIPE: 32,
      });
      for (const [code, number] of Object.entries(Errno)) expect(codeOf(number)).toBe(code);
    });
  });
}

import { describe, expect, it } from 'vitest';
import { Access, RIGHTS, type Right } from '../../src/bus/access.ts';
import { perform } from '../../src/bus/driver/perform.ts';
import { ASK, Op, type OpCode } from '../../src/message/calls.ts';
import { Errno } from '../../src/message/errno.ts';
import { REPLIER_ERROR } from '../../src/message/request-error.ts';
import { outcome, type Program, stage } from './program.ts';

const GUEST = "access point 'guest'";

/** An access point with all rights but some, or with these only. */
const allBut = (...missing: Right[]): Access =>
  new Access(GUEST, { rights: RIGHTS.filter((right) => !missing.includes(right)) });
const only = (...rights: Right[]): Access => new Access(GUEST, { rights });

/** The outcome of a call, and the reason for a refusal. */
function called({ ksock }: Program, op: OpCode, argument = 0, text = ''): [string, string] {
  const result = perform(ksock, op, argument, text)?.first ?? 0;
  if (result >= 0) return ['ok', ''];
  return [outcome(result), ksock.whyCallRefused(op, argument, text, -result)];
}

const lacks = (right: Right, more = ''): string =>
  `${GUEST} does not give the right '${right}'${more}; \`kbus access\` shows who may do what`;

describe('spec 1 §13.2: Rights', () => {
  it('read is the right to bind as Listener.', () => {
    const { program } = stage();
    const guest = program({ access: allBut('read') });
    expect(called(guest, Op.BIND, 0, '$.a')).toEqual([
      'EACCES',
      lacks('read', ', which listening needs'),
    ]);
    expect(called(guest, Op.BIND, 1, '$.a')).toEqual(['ok', '']);
    expect(called(program({ access: only('read') }), Op.BIND, 0, '$.*')).toEqual(['ok', '']);
  });

  it('reply is the right to bind as Replier.', () => {
    const { program } = stage();
    const guest = program({ access: allBut('reply') });
    expect(called(guest, Op.BIND, 1, '$.a')).toEqual(['EACCES', lacks('reply')]);
    expect(called(guest, Op.BIND, 0, '$.a')).toEqual(['ok', '']);
  });

  it.each([
    ['reporting of Replier binds', Op.REPORT_REPLIER_BINDS, 1, ASK],
    ['verbose', Op.VERBOSE, 1, ASK],
    ['the maximum message size', Op.MAX_MESSAGE_SIZE, 200, 0],
  ] as const)('manage is the right to set %s; everybody may ask.', (_, op, value, ask) => {
    const { bus, program } = stage();
    const guest = program({ access: allBut('manage') });
    expect(called(guest, op, value)).toEqual(['EACCES', lacks('manage')]);
    expect(called(guest, op, ask)).toEqual(['ok', '']);
    if (op === Op.MAX_MESSAGE_SIZE) expect(called(guest, op, 1)).toEqual(['ok', '']);
    expect(bus.maxMessageSize(0)).not.toBe(200);
    expect([bus.verbose(ASK), guest.ksock.reportReplierBinds(ASK)]).toEqual([0, 0]);
    expect(called(program({ access: only('manage') }), op, value)).toEqual(['ok', '']);
  });

  it('manage is the right to make buses and to end Ksocks.', () => {
    const { program } = stage();
    const [guest, other] = [program({ access: allBut('manage') }), program()];
    expect(called(guest, Op.NEW_DEVICE)).toEqual(['EACCES', lacks('manage')]);
    expect(called(guest, Op.KICK, other.id)).toEqual(['EACCES', lacks('manage')]);
    expect(other.ksock.isOpen).toBe(true);
  });

  it('observe, or manage, is needed to see bindings and statistics.', () => {
    const { program } = stage();
    for (const op of [Op.BINDINGS, Op.STATS]) {
      const guest = program({ access: allBut('observe', 'manage') });
      expect(called(guest, op)).toEqual(['EACCES', lacks('observe')]);
      for (const right of ['observe', 'manage'] as const) {
        expect(called(program({ access: only(right) }), op)).toEqual(['ok', '']);
      }
    }
  });

  it('find_replier needs one of the two, or a right to the name.', () => {
    const { program } = stage();
    const guest = program({
      access: new Access(GUEST, { rights: ['read', 'write'], listen: ['$.b'], send: ['$.c.*'] }),
    });
    const find = (name: string): string => called(guest, Op.FIND_REPLIER, 0, name)[0];
    expect([find('$.a'), find('$.b'), find('$.c.d'), find('$.c.*'), find('$.*')]).toEqual([
      'EACCES',
      'ok',
      'ok',
      'ok',
      'EACCES',
    ]);
    expect(called(program({ access: only('observe') }), Op.FIND_REPLIER, 0, '$.a')[0]).toBe('ok');
  });

  it('write is the right to send; a Reply needs none.', () => {
    const { program } = stage();
    const [guest, requester] = [program({ access: allBut('write') }), program()];
    expect(guest.announce('$.a')).toBe('EACCES');
    expect(guest.request('$.a')).toBe('EACCES');
    guest.answer('$.a');
    expect(requester.request('$.a')).toBe('ok');
    expect(guest.reply(guest.next())).toBe('ok');
    expect(requester.names()).toEqual(['$.a']);
  });

  it('a refused send uses no id, and delivers nothing.', () => {
    const { bus, program } = stage();
    const [guest, listener] = [program({ access: only('read') }), program().listen('$.*')];
    expect(guest.announce('$.a')).toBe('EACCES');
    expect(bus.nextSerial).toBe(1);
    expect(listener.rest()).toEqual([]);
    // A bad name says more than a right that lacks.
    expect(guest.announce('$.*')).toBe('EBADMSG');
  });

  it('no right is needed to unbind, and to set what is the Ksock’s own.', () => {
    const { program } = stage();
    const guest = program({ access: only('read') }).listen('$.a');
    expect(called(guest, Op.UNBIND, 0, '$.a')).toEqual(['ok', '']);
    expect(called(guest, Op.MAX_MESSAGES, 3)).toEqual(['ok', '']);
    expect(called(guest, Op.WANT_MESSAGES_ONCE, 1)).toEqual(['ok', '']);
  });
});

describe('spec 1 §13.2: Names', () => {
  const access = new Access(GUEST, {
    rights: ['read', 'write', 'reply'],
    send: ['$.Jobs.%'],
    listen: ['$.Public.*'],
    reply: ['$.Worker.*', '$.Tool'],
  });

  it('a binding name is permitted if every name that it matches is.', () => {
    const { program } = stage();
    const guest = program({ access });
    const bind = (name: string, replier: number): [string, string] =>
      called(guest, Op.BIND, replier, name);
    for (const name of ['$.Public.Door', '$.Public.*', '$.Public.%']) {
      expect(bind(name, 0)).toEqual(['ok', '']);
    }
    for (const name of ['$.*', '$.Public', '$.%.Door', '$.KBUS.ReplierBindEvent', '$.Worker.A']) {
      expect(bind(name, 0)).toEqual([
        'EACCES',
        `${GUEST} gives the right to listen to only '$.Public.*', which does not cover '${name}'; \`kbus access\` shows who may do what`,
      ]);
    }
    expect(bind('$.Worker.%', 1)).toEqual(['ok', '']);
    expect(bind('$.Public.Door', 1)[1]).toContain(
      "reply for only '$.Worker.*', '$.Tool', which does not cover '$.Public.Door'",
    );
  });

  it('a message may be sent whose name one of the wildcards matches.', () => {
    const { program } = stage();
    const [guest, other] = [program({ access }), program().answer('$.Jobs.*', '$.Public.*')];
    expect(guest.announce('$.Jobs.New')).toBe('ok');
    expect(guest.request('$.Jobs.New')).toBe('ok');
    expect(guest.request('$.Jobs.New.Now')).toBe('EACCES');
    expect(guest.announce('$.Public.Door')).toBe('EACCES');
    expect(other.names()).toEqual(['$.Jobs.New']);
  });

  it('a Reply may have a name that its Ksock may reply for or send, and that of errors.', () => {
    const { program } = stage();
    const [guest, requester] = [program({ access }).answer('$.Worker.*'), program()];
    const names = ['$.Secret', '$.Public.Door', '$.Worker.B', '$.Jobs.New', REPLIER_ERROR];
    const outcomes = names.map((name) => {
      requester.request('$.Worker.A');
      return guest.reply({ ...guest.next(), name });
    });
    expect(outcomes).toEqual(['EACCES', 'EACCES', 'ok', 'ok', 'ok']);
    // What was refused may still be answered.
    expect(guest.ksock.numUnrepliedTo).toBe(2);
  });

  it('a refusal names no Replier to whom the sender may not send.', () => {
    const { program } = stage();
    const guest = program({ access });
    const [secret, job] = ['$.Jobz.A', '$.Jobs.Ab'];
    program().answer(secret, job);
    const why = (name: string): string =>
      guest.ksock.whyRefused({ name, isReply: false } as never, Errno.EADDRNOTAVAIL);
    expect(why('$.Jobs.Aa')).toContain(`did you mean '${job}'?`);
    expect(why('$.Jobs.A')).not.toContain(secret);
  });
});

describe('spec 1 §13.3: Read-only Ksocks over sockets', () => {
  it('cannot bind as Replier, unless they are opened by the rules of the module.', () => {
    const { program } = stage();
    const reader = program({ mode: 'r', readOnlyReplies: false });
    const [code, why] = called(reader, Op.BIND, 1, '$.a');
    expect([code, why]).toEqual(['EBADF', '']);
    expect(called(reader, Op.BIND, 0, '$.a')[0]).toBe('ok');
    expect(called(program({ mode: 'r' }), Op.BIND, 1, '$.a')[0]).toBe('ok');
  });
});

describe('spec 1 §13.5: Ending a Ksock', () => {
  it('has the effect of its program’s death, and tells its program who did it.', () => {
    const { program } = stage();
    const [boss, replier, requester] = [program(), program().answer('$.a'), program()];
    requester.request('$.a');
    requester.request('$.a');
    replier.next();
    expect(boss.ksock.kick(replier.id)).toBe(0);
    expect(replier.ksock.isOpen).toBe(false);
    expect(replier.told.at(-1)).toBe(
      `kicked: Ksock ${boss.id} (process 1000, as it says) ended Ksock ${replier.id} of bus 0`,
    );
    expect(requester.names()).toEqual(['$.KBUS.Replier.GoneAway', '$.KBUS.Replier.Ignored']);
    expect(requester.request('$.a')).toBe('EADDRNOTAVAIL');
  });

  it('is refused for a Ksock that is not open, and for its own.', () => {
    const { program } = stage();
    const boss = program();
    expect(called(boss, Op.KICK, 99)).toEqual([
      'EADDRNOTAVAIL',
      'Ksock 99 is not open on bus 0; `kbus stats` shows those that are',
    ]);
    expect(called(boss, Op.KICK, boss.id)[0]).toBe('EINVAL');
    expect(boss.ksock.isOpen).toBe(true);
  });
});

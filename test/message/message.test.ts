import { describe, expect, it } from 'vitest';
import { replierBindEventData, splitReplierBindEventData } from '../../src/message/bind-event.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import {
  Announcement,
  Message,
  Reply,
  Request,
  replyTo,
  Status,
  statefulRequest,
} from '../../src/message/message.ts';

const FULL = {
  id: new MessageId(1, 2),
  inReplyTo: new MessageId(0, 0),
  to: 3,
  from: 4,
  origFrom: new OrigFrom(5, 6),
  finalTo: new OrigFrom(7, 8),
  flags: 0xabc0_0001,
};

describe('Message', () => {
  it('accepts text, bytes or nothing as data, and keeps bytes by reference.', () => {
    const bytes = Uint8Array.of(1, 2);
    expect(new Message('$.a', bytes).data).toBe(bytes);
    expect([...new Message('$.a', 'é').data]).toEqual([0xc3, 0xa9]);
    expect(new Message('$.a').data).toHaveLength(0);
    expect(new Message('$.a', null).dataLength).toBe(0);
    expect([...new Message('$.a', Buffer.from('hi')).data]).toEqual([104, 105]);
  });

  it.for<[string, () => unknown, RegExp]>([
    ['name', () => new Message(5 as never), /^name must be a string .*, not number$/],
    ['name', () => new Request(undefined as never), /^name must be a string/],
    ['data', () => new Message('$.a', 5 as never), /^data must be a string or a Uint8Array/],
    ['data', () => new Message('$.a', { a: 1 } as never), /^data must be .*JSON\.stringify/],
    ['data', () => new Message('$.a', [1, 2] as never), /^data must be/],
    ['options', () => new Message('$.a', '', null as never), /^the options of a message must be/],
    ['options', () => new Message('$.a', '', 5 as never), /^the options of a message must be/],
    ['to', () => new Message('$.a', '', { to: -1 }), /^to must be a whole number/],
    ['to', () => new Message('$.a', '', { to: 2 ** 32 }), /^to must be .* not 4294967296$/],
    ['from', () => new Message('$.a', '', { from: 1.5 }), /^from must be/],
    ['flags', () => new Message('$.a', '', { flags: Number.NaN }), /^flags must be/],
    ['flags', () => new Message('$.a', '', { flags: '1' as never }), /^flags must be/],
    ['networkId', () => new MessageId(-1, 0), /^networkId must be/],
    ['serialNum', () => new MessageId(0, 2 ** 32), /^serialNum must be/],
    ['localId', () => new OrigFrom(0, -1), /^localId must be/],
    [
      'id',
      () => new Message('$.a', '', { id: 5 as never }),
      /^id must be of class MessageId, not number$/,
    ],
    [
      'inReplyTo',
      () => new Reply('$.a', '', { inReplyTo: '[0:1]' as never }),
      /^inReplyTo must be of class MessageId/,
    ],
    [
      'origFrom',
      () => new Message('$.a', '', { origFrom: new MessageId(1, 2) as never }),
      /^origFrom must be of class OrigFrom/,
    ],
    ['finalTo', () => new Message('$.a', '', { finalTo: {} as never }), /^finalTo must be/],
  ])('A wrong %s is a TypeError that names it.', ([, make, message]) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  it('`text` and `json` decode the data.', () => {
    expect(new Message('$.a', Uint8Array.of(0xff, 0x41)).text()).toBe('\ufffdA');
    expect(new Message('$.a', '[1,{"b":null}]').json()).toEqual([1, { b: null }]);
    expect(() => new Message('$.a', 'not json').json()).toThrow(SyntaxError);
    expect(() => new Message('$.a').json()).toThrow(SyntaxError);
  });

  it('knows its kind.', () => {
    const facts = (message: Message): boolean[] => [
      message.isRequest(),
      message.isReply(),
      message.isStatefulRequest(),
      message.isSynthetic(),
      message.isUrgent(),
      message.wantsUsToReply(),
    ];
    const is = (...indices: number[]): boolean[] =>
      [0, 1, 2, 3, 4, 5].map((at) => indices.includes(at));
    const inReplyTo = new MessageId(0, 1);
    expect(facts(new Announcement('$.a'))).toEqual(is());
    expect(facts(new Request('$.a'))).toEqual(is(0));
    expect(facts(new Request('$.a', '', { to: 1 }))).toEqual(is(0, 2));
    expect(facts(new Request('$.a', '', { finalTo: new OrigFrom(0, 1) }))).toEqual(is(0, 2));
    expect(facts(new Announcement('$.a', '', { to: 1 }))).toEqual(is());
    expect(facts(new Reply('$.a', '', { inReplyTo }))).toEqual(is(1));
    expect(facts(new Reply('$.a', '', { inReplyTo: new MessageId(1, 0) }))).toEqual(is(1));
    expect(facts(new Status('$.KBUS.a', { inReplyTo }))).toEqual(is(1, 3));
    expect(facts(new Request('$.a', '', { flags: Flag.WANT_YOU_TO_REPLY }))).toEqual(is(0, 5));
    expect(facts(new Announcement('$.a', '', { flags: Flag.WANT_YOU_TO_REPLY }))).toEqual(is());
    expect(facts(new Announcement('$.a', '', { flags: Flag.URGENT }))).toEqual(is(4));
  });

  it('`setUrgent` and `setWantReply` set and clear one flag only.', () => {
    const message = new Message('$.a', '', { flags: 0xffff_0000 });
    message.setUrgent();
    message.setWantReply();
    expect(message.flags).toBe((0xffff_0000 | Flag.URGENT | Flag.WANT_A_REPLY) >>> 0);
    message.setUrgent(false);
    message.setWantReply(false);
    expect(message.flags).toBe(0xffff_0000);
  });

  it('`cast` gives the message as an object of its kind’s class.', () => {
    const inReplyTo = new MessageId(0, 1);
    const flags = Flag.SYNTHETIC;
    for (const [message, kind] of [
      [new Message('$.a'), Announcement],
      [new Message('$.a', '', { flags: Flag.WANT_A_REPLY }), Request],
      [new Message('$.a', '', { inReplyTo }), Reply],
      [new Message('$.a', '', { inReplyTo, flags }), Status],
      [new Message('$.KBUS.ReplierBindEvent'), Announcement],
    ] as const) {
      const cast = message.cast();
      expect(cast.constructor).toBe(kind);
      expect(cast.extract()).toEqual(message.extract());
    }
  });

  it('`fromMessage` makes a message of its class, or throws a TypeError for another kind.', () => {
    const request = new Message('$.a', 'x', FULL);
    const made = Request.fromMessage(request);
    expect(made).toBeInstanceOf(Request);
    expect(made.extract()).toEqual(request.extract());
    made.name = '$.b';
    expect(request.name).toBe('$.a');
    expect(Message.fromMessage(made)).toBeInstanceOf(Message);
    expect(() => Announcement.fromMessage(request)).toThrow(/is not an Announcement$/);
    expect(() => Reply.fromMessage(request)).toThrow(/is not a Reply/);
    expect(() => Status.fromMessage(request)).toThrow(/is not a Status/);
    expect(() => Request.fromMessage(new Message('$.a'))).toThrow(/is not a Request/);
    expect(() => new Reply('$.a', '', { inReplyTo: MessageId.UNSET })).toThrow(TypeError);
  });

  it('`extract` gives the fields in order, and `fromSequence` makes the message of them.', () => {
    const message = new Message('$.a', 'x', FULL);
    expect(message.extract()).toEqual([
      FULL.id,
      FULL.inReplyTo,
      FULL.to,
      FULL.from,
      FULL.origFrom,
      FULL.finalTo,
      FULL.flags,
      '$.a',
      message.data,
    ]);
    expect(Message.fromSequence(message.extract()).extract()).toEqual(message.extract());
  });

  it('`equivalent` compares name, data and `to`, and not the fields that KBUS sets.', () => {
    const message = new Message('$.a', 'data', FULL);
    expect(message.equivalent(new Message('$.a', 'data', { to: 3 }))).toBe(true);
    expect(message.equivalent(new Message('$.b', 'data', FULL))).toBe(false);
    expect(message.equivalent(new Message('$.a', 'date', FULL))).toBe(false);
    expect(message.equivalent(new Message('$.a', 'data.', FULL))).toBe(false);
    expect(message.equivalent(new Message('$.a', 'data', { ...FULL, to: 4 }))).toBe(false);
  });

  it('`data` may be replaced.', () => {
    const message = new Message('$.a', 'one');
    message.data = 'three' as never;
    expect([message.text(), message.dataLength]).toEqual(['three', 5]);
    expect(message.totalLength()).toBe(new Message('$.a', 'three').totalLength());
  });
});

describe('MessageId and OrigFrom', () => {
  it('are comparable.', () => {
    const ids = [new MessageId(1, 1), new MessageId(0, 10), new MessageId(0, 9)];
    expect(ids.sort((a, b) => a.compare(b)).map(String)).toEqual(['[0:9]', '[0:10]', '[1:1]']);
    expect(new MessageId(1, 2).equals(new MessageId(1, 2))).toBe(true);
    expect(new MessageId(1, 2).equals(new MessageId(2, 1))).toBe(false);
    expect(new OrigFrom(1, 2).equals(new OrigFrom(1, 2))).toBe(true);
    expect(new OrigFrom(1, 2).compare(new OrigFrom(1, 3))).toBeLessThan(0);
    expect(new OrigFrom(2, 0).compare(new OrigFrom(1, 3))).toBeGreaterThan(0);
    expect(new MessageId(1, 2).compare(new MessageId(1, 2))).toBe(0);
  });

  it('(0,0) is unset; either number sets it.', () => {
    expect(MessageId.UNSET.isSet).toBe(false);
    expect(new MessageId(0, 1).isSet && new MessageId(1, 0).isSet).toBe(true);
    expect(OrigFrom.UNSET.isSet).toBe(false);
    expect(new OrigFrom(0, 1).isSet && new OrigFrom(1, 0).isSet).toBe(true);
  });
});

describe('replyTo', () => {
  const options = { id: new MessageId(0, 5), from: 7, flags: Flag.WANT_YOU_TO_REPLY };

  it('makes the Reply to a Request that its reader must answer.', () => {
    const reply = replyTo(new Request('$.a', 'why?', options), 'because');
    expect(reply).toBeInstanceOf(Reply);
    expect([reply.name, reply.text(), reply.to]).toEqual(['$.a', 'because', 7]);
    expect(reply.inReplyTo).toEqual(options.id);
    expect(reply.flags).toBe(0);
    expect(reply.id.isSet).toBe(false);
  });

  it('throws for any other message.', () => {
    for (const message of [
      new Announcement('$.a', '', options),
      new Request('$.a', '', { ...options, flags: 0 }),
    ]) {
      expect(() => replyTo(message)).toThrow(TypeError);
      expect(() => replyTo(message)).toThrow(/is not for us to answer/);
    }
  });
});

describe('statefulRequest', () => {
  const reply = new Reply('$.a', '', {
    inReplyTo: new MessageId(0, 1),
    from: 9,
    to: 2,
    origFrom: new OrigFrom(3, 4),
  });

  it('made from a Reply goes to its sender.', () => {
    const request = statefulRequest(reply, '$.b', 'again');
    expect([request.to, request.name, request.text()]).toEqual([9, '$.b', 'again']);
    expect(request.finalTo).toEqual(new OrigFrom(3, 4));
    expect(request.isStatefulRequest()).toBe(true);
  });

  it('made from an earlier stateful Request goes to the same Replier.', () => {
    const again = statefulRequest(statefulRequest(reply, '$.b'), '$.c');
    expect([again.to, again.finalTo]).toEqual([9, new OrigFrom(3, 4)]);
  });

  it('can’t be made from another message.', () => {
    expect(() => statefulRequest(new Request('$.a'), '$.b')).toThrow(TypeError);
    expect(() => statefulRequest(new Announcement('$.a'), '$.b')).toThrow(/whom to ask/);
  });
});

describe('splitReplierBindEventData', () => {
  it.for(['$.a', '$.ab', '$.abc', '$.abcd', '$.a.*'])(
    'undoes replierBindEventData: %s.',
    (name) => {
      for (const isBind of [true, false]) {
        const event = { isBind, binder: 0xffff_ffff, name };
        const data = replierBindEventData(event);
        expect(data.length % 4).toBe(0);
        expect(splitReplierBindEventData(data)).toEqual(event);
        // The alignment in memory doesn't matter.
        const moved = new Uint8Array(data.length + 1);
        moved.set(data, 1);
        expect(splitReplierBindEventData(moved.subarray(1))).toEqual(event);
      }
    },
  );

  it('throws a TypeError for other data.', () => {
    const data = replierBindEventData({ isBind: true, binder: 1, name: '$.a' });
    for (let length = 0; length < data.length; length++) {
      expect(() => splitReplierBindEventData(data.subarray(0, length))).toThrow(TypeError);
    }
    expect(() => splitReplierBindEventData(new Uint8Array([...data, 0]))).toThrow(TypeError);
    for (const lie of [0, 9, 0xff]) {
      const lying = data.slice();
      lying.fill(lie, 8, 12);
      expect(() => splitReplierBindEventData(lying)).toThrow(TypeError);
    }
  });
});

import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { replierBindEventData } from '../../src/message/bind-event.ts';
import type { MessageOptions } from '../../src/message/fields.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, Message, Reply, Request, Status } from '../../src/message/message.ts';

const id = (network: number, serial: number): MessageId => new MessageId(network, serial);
const EVENT = '$.KBUS.ReplierBindEvent';

describe('String(message) (spec 4 §2)', () => {
  it.for<[string, Message]>([
    [
      "<Announcement '$.Actor.Speak', id=[0:2], from=1, data='Ahem'>",
      new Message('$.Actor.Speak', 'Ahem', { id: id(0, 2), from: 1 }),
    ],
    [
      "<Request '$.Actor.Ask.Guildenstern', id=[0:6], from=1, flags=0x3 (REQ,YOU), data='Were you speaking to me?'>",
      new Request('$.Actor.Ask.Guildenstern', 'Were you speaking to me?', {
        id: id(0, 6),
        from: 1,
        flags: Flag.WANT_YOU_TO_REPLY,
      }),
    ],
    ["<Announcement '$.a'>", new Announcement('$.a')],
    ["<Request '$.a', flags=0x1 (REQ)>", new Request('$.a')],
    [
      "<Reply '$.a', id=[0:7], to=1, from=2, in_reply_to=[0:6], data='Yes'>",
      new Reply('$.a', 'Yes', { id: id(0, 7), to: 1, from: 2, inReplyTo: id(0, 6) }),
    ],
    [
      "<Status '$.KBUS.Replier.GoneAway', id=[0:7], to=1, from=2, in_reply_to=[0:6], flags=0x4 (SYN)>",
      new Status('$.KBUS.Replier.GoneAway', {
        id: id(0, 7),
        to: 1,
        from: 2,
        inReplyTo: id(0, 6),
      }),
    ],
    [
      "<Request '$.a', id=[3:9], to=4, from=5, orig_from=(6,7), final_to=(8,9), flags=0x309 (REQ,URG,aFL,aWT)>",
      new Request('$.a', null, {
        id: id(3, 9),
        to: 4,
        from: 5,
        origFrom: new OrigFrom(6, 7),
        finalTo: new OrigFrom(8, 9),
        flags: Flag.URGENT | Flag.ALL_OR_FAIL | Flag.ALL_OR_WAIT,
      }),
    ],
    [
      "<ReplierBindEvent id=[0:3], flags=0x204 (SYN,aFL), [Bind '$.Fred' for 2]>",
      bindEvent(true, 2, '$.Fred', { id: id(0, 3) }),
    ],
    [
      "<ReplierBindEvent id=[0:4], flags=0x204 (SYN,aFL), [Unbind '$.Fred.*' for 2]>",
      bindEvent(false, 2, '$.Fred.*', { id: id(0, 4) }),
    ],
    ["<Announcement '$.a', flags=0xffff0000>", new Announcement('$.a', '', { flags: 0xffff_0000 })],
    ["<Announcement '$.a', flags=0x10>", new Announcement('$.a', '', { flags: 0x10 })],
  ])('%s', ([printed, message]) => {
    expect(String(message)).toBe(printed);
  });

  it('prints an Announcement of that name as any other if its data is not an event.', () => {
    expect(String(new Message(EVENT, 'no'))).toBe(`<Announcement '${EVENT}', data='no'>`);
    const lying = replierBindEventData({ isBind: true, binder: 1, name: '$.a' });
    lying[8] = 200;
    expect(String(new Message(EVENT, lying))).toContain(`<Announcement '${EVENT}', data=`);
  });

  it.for<[string, Uint8Array | string]>([
    ["'plain'", 'plain'],
    ["'it\\'s'", "it's"],
    ["'a\\\\b'", 'a\\b'],
    ["'1\\n2\\r3\\t4'", '1\n2\r3\t4'],
    ["'\\x00\\x01\\x7f'", '\0\x01\x7f'],
    ["'\\x85'", '\u0085'],
    ["'é 漢 😀'", 'é 漢 😀'],
    ["'\\xff\\xfe'", Uint8Array.of(0xff, 0xfe)],
    ["'a\\xe9\\'\\n'", Uint8Array.of(0x61, 0xe9, 0x27, 0x0a)],
    ["'\ufeffbom'", '\ufeffbom'],
  ])('escapes data that isn’t text: %s.', ([printed, data]) => {
    expect(String(new Announcement('$.a', data))).toBe(`<Announcement '$.a', data=${printed}>`);
  });
});

describe('Inspecting it in a REPL', () => {
  it('→ `Message(…)`', () => {
    const message = new Message('$.Actor.Speak', 'Ahem', { from: 1, id: id(0, 2) });
    expect(inspect(message)).toBe(
      "Message('$.Actor.Speak', data='Ahem', from_=1, id=MessageId(0, 2))",
    );
    expect(inspect({ message })).toBe(
      "{\n  message: Message('$.Actor.Speak', data='Ahem', from_=1, id=MessageId(0, 2))\n}",
    );
  });

  it('names the class, and leaves out unset fields.', () => {
    expect(inspect(new Announcement('$.a'))).toBe("Announcement('$.a')");
    expect(inspect(new Request('$.a', 'x', { to: 3 }))).toBe(
      "Request('$.a', data='x', to=3, flags=0x1)",
    );
    expect(
      inspect(
        new Reply('$.a', null, {
          inReplyTo: id(1, 2),
          origFrom: new OrigFrom(3, 4),
          finalTo: new OrigFrom(5, 6),
        }),
      ),
    ).toBe(
      "Reply('$.a', orig_from=OrigFrom(3, 4), final_to=OrigFrom(5, 6), in_reply_to=MessageId(1, 2))",
    );
  });

  it('prints `MessageId(n, s)` and `OrigFrom(n, l)` as `[n:s]` and `(n,l)`.', () => {
    expect(String(id(1, 2))).toBe('[1:2]');
    expect(String(new OrigFrom(1, 2))).toBe('(1,2)');
    expect(inspect([id(1, 2), new OrigFrom(3, 4)])).toBe('[ MessageId(1, 2), OrigFrom(3, 4) ]');
  });
});

function bindEvent(
  isBind: boolean,
  binder: number,
  name: string,
  options: MessageOptions,
): Message {
  const data = replierBindEventData({ isBind, binder, name });
  return new Message(EVENT, data, { ...options, flags: Flag.SYNTHETIC | Flag.ALL_OR_FAIL });
}

describe('text of another program', () => {
  it.for<[string, Message]>([
    [
      "<Announcement '$.A\\x1b[2J', data='\\x9b\\u202e\\n\\\\'>",
      new Announcement('$.A\x1b[2J', '\x9b\u202e\n\\'),
    ],
    [
      "<Announcement '$.A', data='\\xff\\x1b\\''>",
      new Announcement('$.A', Uint8Array.of(255, 27, 39)),
    ],
    [
      "<ReplierBindEvent [Bind '$.A\\x1b' for 1]>",
      new Announcement(EVENT, replierBindEventData({ isBind: true, binder: 1, name: '$.A\x1b' })),
    ],
  ])('%s prints it safely for a terminal', ([printed, message]) => {
    expect(String(message)).toBe(printed);
    expect(inspect(message)).not.toMatch(/[\p{Cc}\u202e]/u);
  });
});

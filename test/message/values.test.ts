import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { replierBindEventData } from '../../src/message/bind-event.ts';
import { BorrowedMessage } from '../../src/message/borrowed.ts';
import { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { Head } from '../../src/message/head.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import {
  Message,
  REPLIER_BIND_EVENT,
  ReceivedMessage,
  Reply,
  Request,
  replyTo,
  Status,
  statefulRequest,
} from '../../src/message/message.ts';
import { ReplierError, StatusError } from '../../src/message/request-error.ts';

const SECRET = 'of somebody else';
const MEMORY = Buffer.alloc(65_536, SECRET);
const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** A received message: its data lies in memory with others. */
function received(name = '$.A', flags = 0): Message {
  MEMORY.set(Buffer.from('mine'), 1000);
  return new ReceivedMessage(new Head(name, flags), 4, 7, MEMORY, 1000, 4);
}

function borrowed(): BorrowedMessage {
  const message = new BorrowedMessage();
  message.showMessage(received());
  return message;
}

describe('JSON.stringify', () => {
  it('gives a message for logs, without unset fields', () => {
    const request = new Request('$.A', 'why?', {
      id: new MessageId(0, 3),
      to: 5,
      from: 4,
      origFrom: new OrigFrom(1, 2),
      finalTo: new OrigFrom(3, 4),
    });
    expect(json(request)).toEqual({
      kind: 'Request',
      name: '$.A',
      id: '[0:3]',
      to: 5,
      from: 4,
      origFrom: '(1,2)',
      finalTo: '(3,4)',
      flags: '0x1 (REQ)',
      data: 'why?',
    });
    expect(json(new Message('$.A'))).toEqual({ kind: 'Announcement', name: '$.A' });
    expect(json(new Reply('$.A', null, { inReplyTo: new MessageId(0, 3) }))).toEqual({
      kind: 'Reply',
      name: '$.A',
      inReplyTo: '[0:3]',
    });
  });

  it('gives data that is no text in base64, with its length', () => {
    const data = Uint8Array.from({ length: 20_000 }, (_, at) => at & 255);
    expect(json(new Message('$.A', data))).toMatchObject({
      data: { base64: Buffer.from(data).toString('base64'), length: 20_000 },
    });
  });

  it('decodes a ReplierBindEvent, and no other data of that name', () => {
    const event = { isBind: true, binder: 2, name: '$.Fred' };
    const message = new Message(REPLIER_BIND_EVENT, replierBindEventData(event));
    expect(json(message)).toEqual({ kind: 'ReplierBindEvent', name: REPLIER_BIND_EVENT, event });
    expect(json(new Message(REPLIER_BIND_EVENT, 'hm'))).toMatchObject({ data: 'hm' });
  });

  it('gives ids as strings', () => {
    expect(json([new MessageId(0, 3), new OrigFrom(1, 2)])).toEqual(['[0:3]', '(1,2)']);
  });

  it('gives the fields of an error, and the message that caused it', () => {
    const inReplyTo = new MessageId(0, 3);
    const refusal = new KbusError('send', 32, 'send it', { cause: new Error('why') });
    expect(json(refusal)).toMatchObject({
      name: 'KbusError',
      message: refusal.message,
      code: 'EPIPE',
      errno: 32,
      call: 'send',
      cause: 'Error: why',
    });
    const status = new Status('$.KBUS.Replier.GoneAway', { inReplyTo });
    expect(json(new StatusError('ask', status))).toMatchObject({
      name: 'StatusError',
      code: 'STATUS',
      status: { kind: 'Status', name: '$.KBUS.Replier.GoneAway', inReplyTo: '[0:3]' },
    });
    const reply = new Reply('$.KBUS.Replier.Error', 'no', { inReplyTo });
    expect(json(new ReplierError('ask', reply))).toMatchObject({ reply: { data: 'no' } });
  });

  it('gives a borrowed message likewise, while it is valid', () => {
    const message = borrowed();
    expect(json(message)).toEqual(json(received()));
    expect([String(message), inspect(message)]).toEqual([String(received()), inspect(received())]);
    message.end();
    expect(json(message)).toEqual({ over: true });
    expect([String(message), inspect(message)]).toEqual([
      '<BorrowedMessage that is over>',
      '<BorrowedMessage that is over>',
    ]);
  });
});

describe('A message in shared memory shows only its own data', () => {
  const marked = (): Message => {
    const message = received('$.A', Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY);
    message.connection = { secret: SECRET };
    return message;
  };

  it.for<[string, (message: Message | BorrowedMessage) => unknown]>([
    ['JSON.stringify', (message) => JSON.stringify(message)],
    ['String', (message) => String(message)],
    ['util.inspect', (message) => inspect(message)],
    ['util.inspect of what holds it', (message) => inspect({ message, error: [message] })],
    ['structuredClone', (message) => inspect(structuredClone(message), { depth: 9 })],
  ])('to %s.', ([, show]) => {
    for (const message of [marked(), borrowed()]) {
      const shown = show(message);
      expect(shown).toMatch(/\$\.A/);
      expect(shown).not.toContain(SECRET.slice(0, 4));
      expect(String(shown).length).toBeLessThan(600);
    }
  });

  it('also in errors that hold it.', () => {
    const error = new StatusError('ask', received());
    expect(inspect(error)).not.toContain(SECRET);
    expect(inspect(structuredClone(error))).not.toContain(SECRET);
  });
});

describe('Text', () => {
  it.for([
    ['nothing', ''],
    ['a byte order mark', '\ufeffa'],
    ['two of them', '\ufeff\ufeff'],
    ['NUL', 'a\0b'],
    ['what is beyond 16 bits', '😀é'],
    ['line ends', 'a\r\n'],
  ])('is received as it was sent: %s.', ([, text]) => {
    expect(new Message('$.A', text).text()).toBe(text);
  });

  it('has U+FFFD for each lone surrogate, which UTF-8 can’t express.', () => {
    expect(new Message('$.A', 'a\ud800b\udc00').text()).toBe('a\ufffdb\ufffd');
  });

  it('is read as JSON with or without a byte order mark.', () => {
    expect(new Message('$.A', '\ufeff{"a":1}').json()).toEqual({ a: 1 });
  });
});

describe('Data', () => {
  const other = (code: string): ArrayBufferView => runInNewContext(code);
  const bytes = [1, 2, 3, 4];
  it.for<[string, () => ArrayBufferView | ArrayBuffer]>([
    ['an ArrayBuffer', () => Uint8Array.from(bytes).buffer],
    ['a DataView', () => new DataView(Uint8Array.of(0, ...bytes, 0).buffer, 1, 4)],
    ['a Buffer', () => Buffer.from(bytes)],
    ['an array of larger numbers', () => new Uint32Array(Uint8Array.from(bytes).buffer)],
    ['a Uint8Array of another realm', () => other('Uint8Array.of(0, 1, 2, 3, 4).subarray(1)')],
    ['an ArrayBuffer of another realm', () => other('Uint8Array.of(1, 2, 3, 4).buffer')],
    ['a DataView of another realm', () => other('new DataView(Uint8Array.of(1, 2, 3, 4).buffer)')],
    [
      'shared memory',
      () => {
        const shared = new Uint8Array(new SharedArrayBuffer(4));
        shared.set(bytes);
        return shared;
      },
    ],
  ])('may be %s.', ([, make]) => {
    const message = new Message('$.A', make());
    expect(message.data).toBeInstanceOf(Uint8Array);
    expect([...message.data]).toEqual(bytes);
    message.data = make();
    expect([...message.data]).toEqual(bytes);
    expect(message.text()).toBe('\x01\x02\x03\x04');
    expect([...Message.fromBytes(message.toBytes()).data]).toEqual(bytes);
  });

  it('may be empty, but not detached.', () => {
    for (const empty of [new Uint8Array(0), new ArrayBuffer(0), new DataView(new ArrayBuffer(0))]) {
      expect(new Message('$.A', empty).dataLength).toBe(0);
    }
    const given = Uint8Array.from(bytes);
    const { buffer } = given;
    structuredClone(given, { transfer: [buffer] });
    for (const gone of [given, buffer]) {
      expect(() => new Message('$.A', gone)).toThrow(TypeError);
      expect(() => new Message('$.A', gone)).toThrow(/detached: it was transferred/);
    }
  });

  it('throws a clear error if it was transferred after the message was made.', () => {
    const given = Uint8Array.from(bytes);
    const message = new Message('$.A', given);
    structuredClone(given, { transfer: [given.buffer] });
    expect(() => message.data).toThrow(/detached: it was transferred/);
    expect(() => message.toBytes()).toThrow(/detached: it was transferred/);
  });
});

describe('Of a second copy of the package', async () => {
  vi.resetModules();
  const other = await import('../../src/index.ts');

  it('messages can be answered, and followed by stateful Requests.', () => {
    const flags = Flag.WANT_YOU_TO_REPLY;
    const request = new other.Request('$.A', 'why?', {
      id: new other.MessageId(0, 3),
      from: 4,
      flags,
    });
    expect(request).not.toBeInstanceOf(Message);
    const reply = replyTo(request as unknown as Message, 'because');
    expect([reply.to, String(reply.inReplyTo), reply.name]).toEqual([4, '[0:3]', '$.A']);
    const earlier = new other.Reply('$.A', 'x', {
      inReplyTo: new other.MessageId(0, 1),
      from: 6,
      origFrom: new other.OrigFrom(1, 2),
    });
    const next = statefulRequest(earlier as unknown as Message, '$.A');
    expect([next.to, next.finalTo]).toEqual([6, new OrigFrom(1, 2)]);
  });

  it('ids are accepted.', () => {
    const id = new other.MessageId(7, 9) as unknown as MessageId;
    const message = new Message('$.A', null, { id, inReplyTo: id });
    expect([String(message.id), String(message.inReplyTo)]).toEqual(['[7:9]', '[7:9]']);
    const origFrom = new other.OrigFrom(1, 2) as unknown as OrigFrom;
    expect(String(new Message('$.A', null, { origFrom }).origFrom)).toBe('(1,2)');
    // The two classes differ.
    expect(() => new Message('$.A', null, { id: origFrom as unknown as MessageId })).toThrow(
      /^id must be of class MessageId/,
    );
  });

  it('errors are instances of their classes.', () => {
    const error = new other.KbusError('send', 32, 'x');
    const status = new other.StatusError('x', new other.Message('$.A'));
    expect(error instanceof KbusError).toBe(true);
    expect(error instanceof StatusError).toBe(false);
    expect(status instanceof KbusError).toBe(true);
    expect(status instanceof StatusError).toBe(true);
    expect(status instanceof ReplierError).toBe(false);
    class Mine extends KbusError {}
    expect(error instanceof Mine).toBe(false);
    expect(new Mine('send', 32, 'x') instanceof KbusError).toBe(true);
    for (const value of [null, undefined, 'x', {}, Object.create(null), new Error('x')]) {
      expect((value as unknown) instanceof KbusError).toBe(false);
    }
  });

  it('a message that cannot be read names both copies.', () => {
    const strange = Object.create(other.Message.prototype) as Message;
    expect(() => replyTo(strange)).toThrow(
      /^request is a Message of another copy of kbus, and can't be read: one at \S+, the other at \S+; /,
    );
  });

  it('a Bus names both copies.', async () => {
    await expect(Ksock.open(new other.Bus() as never)).rejects.toThrow(
      /^the Bus and the Ksock come from two copies of kbus, .* one at \S+, the other at \S+; install one copy only$/,
    );
  });
});

describe('A BorrowedMessage', () => {
  it('is not accepted as a Message: the error names keep().', () => {
    expect(() => replyTo(borrowed() as unknown as Message)).toThrow(
      "request must be a Message, such as new Announcement('$.Name', 'data'), not a BorrowedMessage: its keep() gives one",
    );
  });
});

describe('Options', () => {
  it.for([
    [{ form: 4 }, "a message has no option 'form'; did you mean 'from'?"],
    [{ Flags: 1 }, "a message has no option 'Flags'; did you mean 'flags'?"],
    [{ inReplyto: 1 }, "a message has no option 'inReplyto'; did you mean 'inReplyTo'?"],
    [{ orgFrom: 1 }, "a message has no option 'orgFrom'; did you mean 'origFrom'?"],
    [
      { priority: 1 },
      "a message has no option 'priority'; it has to, from, origFrom, finalTo, inReplyTo, flags, id",
    ],
  ] as const)('that don’t exist are refused: %j.', ([options, text]) => {
    expect(() => new Message('$.A', '', options as never)).toThrow(TypeError);
    expect(() => new Message('$.A', '', options as never)).toThrow(text);
  });

  it('that are undefined count as missing.', () => {
    const none = { to: undefined, from: undefined, flags: undefined, id: undefined };
    const more = { origFrom: undefined, finalTo: undefined, inReplyTo: undefined };
    const message = new Message('$.A', 'x', { ...none, ...more });
    expect(String(message)).toBe("<Announcement '$.A', data='x'>");
  });
});

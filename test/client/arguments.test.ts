import { describe, expect, it } from 'vitest';
import { Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { KbusError } from '../../src/message/error.ts';
import { Announcement, type Message, Request } from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere } from './everywhere.ts';

/** JavaScript programs may pass any value. */
type Any = never;

const WRONG: Record<string, (ksock: Ksock) => Promise<unknown>> = {
  'a Ksock is opened with `await Ksock.open(0)`, not with `new`': async () =>
    new (Ksock as unknown as new (bus: number) => Ksock)(0),
  'name must be a string, not number (bind)': (ksock) => ksock.bind(5 as Any),
  'name must be a string, not undefined': (ksock) => ksock.bind(undefined as Any, true),
  'replier must be a boolean, not string': (ksock) => ksock.bind('$.a', 'yes' as Any),
  'name must be a string, not object': (ksock) => ksock.unbind({} as Any),
  'replier must be a boolean, not number': (ksock) => ksock.unbind('$.a', 1 as Any),
  'name must be a string, not boolean': (ksock) => ksock.findReplier(true as Any),
  "message must be a Message, such as new Announcement('$.Name', 'data'), not string": (ksock) =>
    ksock.sendMsg('$.a' as Any),
  "message must be a Message, such as new Announcement('$.Name', 'data'), not object": (ksock) =>
    ksock.sendMsg({ name: '$.a', data: new Uint8Array(0) } as Any),
  "message must be a Message, such as new Announcement('$.Name', 'data'), not undefined": (ksock) =>
    ksock.writeMsg(undefined as Any),
  'bytes must be a Uint8Array, not string': (ksock) => ksock.writeData('abc' as Any),
  'bytes must be a Uint8Array, not object': (ksock) => ksock.writeData([1, 2] as Any),
  'signal must be an AbortSignal, not stop': (ksock) =>
    ksock.sendMsg(new Announcement('$.a'), { wait: true, signal: 'stop' as Any }),
  'count must be a whole number from 0 to 4294967295, not -1': (ksock) => ksock.setMaxMessages(-1),
  'count must be a whole number from 0 to 4294967295, not 1.5': (ksock) =>
    ksock.setMaxMessages(1.5),
  'count must be a whole number from 0 to 4294967295, not many': (ksock) =>
    ksock.setMaxMessages('many' as Any),
  'size must be a whole number from 0 to 4294967295, not 4294967296': (ksock) =>
    ksock.setMaxMessageSize(2 ** 32),
  'count must be a whole number from 0 to 4294967295, not -5': (ksock) => ksock.readData(-5),
  'count must be a whole number from 0 to 4294967295, not Infinity': (ksock) =>
    ksock.readMsg(Number.POSITIVE_INFINITY),
  'the switch must be a boolean, not number': (ksock) => ksock.wantMessagesOnce(1 as Any),
  'the switch must be a boolean, not string': (ksock) => ksock.reportReplierBinds('on' as Any),
  'the switch must be a boolean, not object': (ksock) => ksock.verbose(null as Any),
  'timeout must be a number of milliseconds from 0, not -1': (ksock) =>
    ksock.waitForMsg({ timeout: -1 }),
  'timeout must be a number of milliseconds from 0, not NaN': (ksock) =>
    ksock.waitForMsg({ timeout: Number.NaN }),
  'timeout must be a number of milliseconds from 0, not soon': (ksock) =>
    ksock.waitForMsg({ timeout: 'soon' as Any }),
  'signal must be an AbortSignal, not [object AbortController]': (ksock) =>
    ksock.waitForMsg({ signal: new AbortController() as Any }),
  'options must be an object such as { timeout: 1000 }, not 1.5': (ksock) =>
    ksock.waitForMsg(1.5 as Any),
  'timeout must be a number of milliseconds from 0, not -2': (ksock) =>
    ksock.waitWritable({ timeout: -2 }),
  'options must be an object such as { timeout: 1000 }, not null': (ksock) =>
    ksock.waitWritable(null as Any),
  "name must be a string such as '$.Sensor.Kitchen', not undefined": (ksock) =>
    ksock.request(undefined as Any),
  'data must be a string or a Uint8Array, not object; JSON.stringify() makes a string of anything':
    (ksock) => ksock.request('$.a', { a: 1 } as Any),
  'to must be a whole number from 0 to 4294967295, not -1': (ksock) =>
    ksock.request('$.a', '', { to: -1 }),
  'timeout must be a number of milliseconds from 0, not -3': (ksock) =>
    ksock.request('$.a', '', { timeout: -3 }),
  'signal must be an AbortSignal, not 5': (ksock) => ksock.request('$.a', '', { signal: 5 as Any }),
  "<Announcement '$.a'> is not a Request": (ksock) => ksock.request(new Announcement('$.a')),
  'handler must be a function, not undefined': (ksock) => ksock.replier('$.a', undefined as Any),
  'handler must be a function, not string': (ksock) => ksock.listener('$.a', 'handler' as Any),
  "message must be a Message, such as new Announcement('$.Name', 'data'), not number": (ksock) =>
    ksock.sendAll([5 as Any]),
  'signal must be an AbortSignal, not true': (ksock) => ksock.sendAll([], { signal: true as Any }),
  "request has no option 'timout'; did you mean 'timeout'?": (ksock) =>
    ksock.request('$.a', '', { timout: 5 } as Any),
  "sendMsg has no option 'wiat'; did you mean 'wait'?": (ksock) =>
    ksock.sendMsg(new Announcement('$.a'), { wiat: true } as Any),
  "listener has no option 'concurency'; did you mean 'concurrency'?": (ksock) =>
    ksock.listener('$.a', () => {}, { concurency: 5 } as Any),
  "close has no option 'finnish'; did you mean 'finish'?": (ksock) =>
    ksock.close({ finnish: true } as Any),
  'concurrency must be a whole number from 1, not 0': (ksock) =>
    ksock.replier('$.a', () => {}, { concurrency: 0 }),
};

everywhere('Wrong arguments', (stage) => {
  it.for(Object.keys(WRONG))('get a TypeError that names the argument: %s.', async (what) => {
    const ksock = await stage.open();
    await ksock.bind('$.*');
    await ksock.bind('$.a', true);
    const error = await failed((WRONG[what] as (ksock: Ksock) => Promise<unknown>)(ksock));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe(what.replace(' (bind)', ''));
    // The call had no effect, and the Ksock still works.
    expect(await ksock.numMessages()).toBe(0);
    expect(String(await ksock.sendMsg(new Announcement('$.b')))).toBe('[0:1]');
    expect((await next(ksock)).name).toBe('$.b');
    expect(await ksock.readBindings()).toHaveLength(2);
  });

  it('The Ksock refuses a message with a changed, invalid field, and sends no part of it.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.*');
    for (const change of [
      (message: Message) => Object.assign(message, { name: '$.a\u0141' }),
      (message: Message) => Object.assign(message, { name: `$.${'a'.repeat(2000)}` }),
      (message: Message) => Object.assign(message, { name: '' }),
      (message: Message) => Object.assign(message, { flags: 0x300 }),
    ]) {
      const message = new Announcement('$.a', 'data');
      change(message);
      expect(await failed(ksock.sendMsg(message))).toBeInstanceOf(KbusError);
      expect(await failed(ksock.writeMsg(message))).toBeInstanceOf(KbusError);
      expect(await failed(ksock.sendAll([message]))).toBeInstanceOf(KbusError);
    }
    expect(await ksock.numMessages()).toBe(0);
    await ksock.sendMsg(new Announcement('$.a', 'whole'));
    expect((await next(ksock)).text()).toBe('whole');
  });

  it('A request with a wrong timeout is not sent.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a', true);
    await failed(ksock.request(new Request('$.a'), '', { timeout: -1 }));
    const aborted = AbortSignal.abort(new Error('not at all'));
    expect(await failed(ksock.request('$.a', '', { signal: aborted }))).toBe(aborted.reason);
    expect(await ksock.numMessages()).toBe(0);
  });
});

describe('Ksock.open', () => {
  it.for<[string, () => Promise<unknown>]>([
    ['EINVAL: open bus -1', () => Ksock.open(-1)],
    ['EINVAL: open bus 1.5', () => Ksock.open(1.5)],
    ['EINVAL: open bus 4294967296', () => Ksock.open(2 ** 32)],
    ["EINVAL: open bus '0'", () => Ksock.open('0' as Any)],
    ['EINVAL: open bus null', () => Ksock.open(null as Any)],
    ['EINVAL: mode "w"', () => Ksock.open(0, { mode: 'w' as Any })],
    ['EINVAL: mode "rw+"', () => Ksock.open(0, { mode: 'rw+' as Any })],
  ])('refuses a wrong bus or mode: %s.', async ([what, open]) => {
    const error = await refused(open(), 'EINVAL');
    expect(error.call).toBe('open');
    expect(error.message).toContain(what.slice('EINVAL: '.length));
  });

  it.for<[string, KsockOptions]>([
    ['directory must be a string, not number', { directory: 5 as Any }],
    ['onConnected must be a function, not string', { onConnected: 'x' as Any }],
    ['onDisconnected must be a function, not object', { onDisconnected: {} as Any }],
    ['signal must be an AbortSignal, not 7', { signal: 7 as Any }],
  ])('rejects with a TypeError that names the option: %s.', async ([what, options]) => {
    const error = await failed(Ksock.open(0, options));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe(what);
  });
});

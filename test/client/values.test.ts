import { runInNewContext } from 'node:vm';
import { expect, it, vi } from 'vitest';
import { Announcement, Message, Request } from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { failed } from '../support/refused.ts';
import { everywhere } from './everywhere.ts';

everywhere('Messages as values', (stage) => {
  it('of a second copy of the package can be sent.', async () => {
    vi.resetModules();
    const other = await import('../../src/message/index.ts');
    const theirs = (text: string): Message =>
      new other.Announcement('$.a', text) as unknown as Message;
    expect(theirs('')).not.toBeInstanceOf(Message);
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await ksock.sendMsg(theirs('sent'));
    ksock.post(theirs('posted'));
    await ksock.flush();
    await ksock.sendAll([theirs('one of all')]);
    await ksock.writeMsg(theirs('written'));
    await ksock.send();
    for (const text of ['sent', 'posted', 'one of all', 'written']) {
      expect((await next(ksock)).text()).toBe(text);
    }
    const replier = await stage.open();
    await replier.replier('$.b', (request) => `re ${request.text()}`);
    const asked = new other.Request('$.b', 'why?') as unknown as Request;
    expect((await ksock.request(asked)).text()).toBe('re why?');
  });

  it('may have data of another realm, small and large.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    for (const length of [3, 100_000]) {
      const data: ArrayBufferView = runInNewContext(`new Uint8Array(${length}).fill(65)`);
      await ksock.sendMsg(new Announcement('$.a', data));
      expect((await next(ksock)).text()).toBe('A'.repeat(length));
      const whole = new Announcement('$.a', data).toBytes();
      const bytes = runInNewContext('Uint8Array.from(whole)', { whole });
      await ksock.writeData(bytes);
      await ksock.send();
      expect((await next(ksock)).dataLength).toBe(length);
    }
  });

  it('whose data was transferred before the send are refused, without effect on others.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    for (const length of [3, 100_000]) {
      const gone = (name: string): Message => {
        const data = new Uint8Array(length);
        const message = new Request(name, data);
        structuredClone(data, { transfer: [data.buffer] });
        return message;
      };
      const refusals = [
        failed(ksock.sendMsg(gone('$.a'))),
        failed(ksock.request(gone('$.a'))),
        failed(ksock.sendAll([gone('$.a')])),
        failed(ksock.writeMsg(gone('$.a'))),
      ];
      for (const refusal of refusals) {
        expect(await refusal).toBeInstanceOf(TypeError);
        expect(String(await refusal)).toMatch(/detached: it was transferred/);
      }
      await ksock.sendMsg(new Announcement('$.a', 'still well'));
      expect((await next(ksock)).text()).toBe('still well');
    }
  });

  it('that are borrowed are refused, with an error that names keep().', async () => {
    const ksock = await stage.open();
    const refusal = new Promise((resolve) => {
      void ksock.listener('$.a', (message) => resolve(failed(ksock.sendMsg(message as never))), {
        borrowed: true,
      });
    });
    await ksock.sendMsg(new Announcement('$.a'));
    expect(String(await refusal)).toMatch(/not a BorrowedMessage: its keep\(\) gives one$/);
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import type { StatusError } from '../../src/message/request-error.ts';
import { fill, next } from '../conformance/reading.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

everywhere('A Ksock that another one ends (spec 1 §13.5)', (stage) => {
  const says = (boss: Ksock, kicked: number): RegExp =>
    new RegExp(`: Ksock ${boss.id} (\\(.*\\) )?ended Ksock ${kicked} of bus 0$`);

  it('learns from its calls who has ended it: those that wait, and all later ones.', async () => {
    const [boss, ksock] = [await stage.open(), await stage.open()];
    const { id } = ksock;
    const full = await stage.open();
    await full.bind('$.a', true);
    await full.bind('$.full');
    const asked = failed(ksock.request('$.a'));
    await settled();
    await fill(full, boss);
    const calls = [
      ksock.waitForMsg(),
      ksock.sendMsg(new Announcement('$.full'), { wait: true }),
      (async () => {
        for await (const message of ksock) expect(message.name).toBe('$.a');
      })(),
    ].map(failed);
    await settled();
    await boss.kick(id);
    const later = [
      () => ksock.numMessages(),
      () => ksock.sendMsg(new Announcement('$.b')),
      () => ksock.bind('$.b'),
      () => ksock.request('$.b'),
      () => ksock.readNextMsg(),
      async () => {
        await ksock.post(new Announcement('$.b'));
        await ksock.flush();
      },
    ].map((call) => failed(call()));
    for (const error of await Promise.all([asked, ...calls, ...later])) {
      await refused(Promise.reject(error), 'ECONNABORTED');
      expect((error as Error).message).toMatch(says(boss, id));
    }
    expect(ksock.isConnected).toBe(false);
    await ksock.close();
  });

  it('goes away for everybody else, as if its program had died.', async () => {
    const [boss, replier, requester] = [await stage.open(), await stage.open(), await stage.open()];
    await replier.bind('$.a', true);
    const answer = failed(requester.request('$.a'));
    await next(replier);
    await boss.kick(replier.id);
    expect(((await answer) as StatusError).status.name).toBe('$.KBUS.Replier.Ignored');
    await refused(requester.sendMsg(new Request('$.a')), 'EADDRNOTAVAIL');
    expect((await boss.stats()).ksocks.map(({ ksock }) => ksock)).not.toContain(replier.id);
  });

  it('may hold any messages, and what it has sent is delivered.', async () => {
    const [boss, ksock] = [await stage.open(), await stage.open()];
    await ksock.bind('$.a');
    await boss.bind('$.b');
    await ksock.sendMsg(new Announcement('$.b', 'before'));
    await boss.sendMsg(new Announcement('$.a', 'x'.repeat(100_000)));
    await boss.sendMsg(new Announcement('$.a', null, { flags: Flag.URGENT }));
    await boss.kick(ksock.id);
    expect((await next(boss)).text()).toBe('before');
    await refused(ksock.waitForMsg(), 'ECONNABORTED');
  });

  it('is refused for a Ksock that is not open, for its own, and for ids that can’t be.', async () => {
    const boss = await stage.open();
    await refused(boss.kick(99), 'EADDRNOTAVAIL');
    await refused(boss.kick(boss.id), 'EINVAL');
    await expect(boss.kick(-1)).rejects.toThrow(TypeError);
    expect(await boss.numMessages()).toBe(0);
  });
});

describe('A program whose Ksock another one ends', () => {
  let local: LocalDaemon;
  beforeEach(async () => {
    local = await LocalDaemon.start();
  });
  afterEach(() => local.stop());

  it('learns of it by onHandlerError, if only its handlers used the Ksock.', async () => {
    const boss = await local.open();
    const heard: string[] = [];
    const failure = new Promise<[unknown, unknown]>((resolve, reject) => {
      const onHandlerError = (...args: [unknown, unknown]): void => resolve(args);
      local
        .open({ onHandlerError })
        .then(async (ksock) => {
          await ksock.listener('$.a', (message) => heard.push(message.text()));
          await boss.sendMsg(new Announcement('$.a', 'one'));
          await ksock.numMessages();
          await boss.kick(ksock.id);
        })
        .catch(reject);
    });
    const [error, message] = await failure;
    expect(error).toMatchObject({ code: 'ECONNABORTED' });
    expect(message).toBeNull();
    expect(heard).toEqual(['one']);
  });

  it('does not reconnect by itself.', async () => {
    const boss = await local.open();
    const ended: string[] = [];
    const ksock = await local.open({
      reconnect: { minDelay: 1, maxDelay: 1 },
      onDisconnected: (error) => ended.push(error.code),
      onConnected: () => ended.push('connected'),
    });
    await ksock.bind('$.a');
    const waiting = refused(ksock.waitForMsg(), 'ECONNABORTED');
    await boss.kick(ksock.id);
    await waiting;
    await refused(ksock.unbind('$.a'), 'ECONNABORTED');
    // It would be back by now: each of these connections takes longer than its delay.
    for (let count = 0; count < 5; count++) await (await local.open()).close();
    expect(ended).toEqual(['ECONNABORTED']);
    expect((await boss.stats()).ksocks.map((one) => one.ksock)).toEqual([boss.id]);
  });
});

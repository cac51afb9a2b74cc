import { expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { Announcement } from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { refused } from '../support/refused.ts';
import { everywhere } from './everywhere.ts';

everywhere('discard', (stage) => {
  it('drops the waiting message; a send that queued behind it, and must wait too, takes its place.', async () => {
    const [sender, listener] = [await stage.open(), await stage.open()];
    await listener.bind('$.a');
    await listener.setMaxMessages(1);
    await sender.sendMsg(new Announcement('$.a', 'first'));
    const waiting = refused(
      sender.sendMsg(new Announcement('$.a', 'given up'), { wait: true }),
      'ECANCELED',
    );
    const behind = refused(
      sender.sendMsg(new Announcement('$.a', 'behind', { flags: Flag.ALL_OR_WAIT })),
      'EAGAIN',
    );
    await sender.discard();
    await Promise.all([waiting, behind]);
    await refused(sender.writeMsg(new Announcement('$.a', 'another')), 'EALREADY');
    expect((await next(listener)).text()).toBe('first');
    await sender.send();
    expect((await next(listener)).text()).toBe('behind');
    await sender.sendMsg(new Announcement('$.a', 'after'));
    expect((await next(listener)).text()).toBe('after');
  });
});

import { expect, it } from 'vitest';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { refused } from '../support/refused.ts';
import { everywhere } from './everywhere.ts';

everywhere('Equal sends in one tick', (stage) => {
  it('are handled one by one: the first of two Replies to a Request answers it.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.ask', true);
    const id = await requester.sendMsg(new Request('$.ask'));
    const reply = replyTo(await next(replier), 'yes');
    const [first, second] = [
      replier.sendMsg(reply),
      refused(replier.sendMsg(reply), 'ECONNREFUSED'),
    ];
    await Promise.all([first, second]);
    expect((await next(requester)).inReplyTo).toEqual(id);
  });

  it('each get their own Reply, even if some of them fail.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    const slow: (() => void)[] = [];
    await replier.replier('$.ask', (request) => {
      const text = request.text();
      if (text === '0007') throw new Error('not that one');
      if (text === '0011') return new Promise((resolve) => slow.push(() => resolve('at last')));
      return text === '0013' ? `${text} and more` : text;
    });
    const texts = Array.from({ length: 40 }, (_, at) => String(at).padStart(4, '0'));
    const outcomes = texts.map((text) =>
      requester.request('$.ask', text).then(
        (reply) => reply.text(),
        (error: Error) => error.message,
      ),
    );
    await outcomes[39];
    for (const resolve of slow) resolve();
    const expected = texts.map((text) => expect.stringContaining(text));
    expected[7] = expect.stringContaining('not that one');
    expected[11] = 'at last';
    expect(await Promise.all(outcomes)).toEqual(expected);
  });

  it('keep the ids that a Limpet gave them.', async () => {
    const [sender, listener] = [await stage.open(), await stage.open()];
    await listener.bind('$.a');
    const ids = [7, 3, 3, 9].map((serial) => new MessageId(5, serial));
    await Promise.all(ids.map((id) => sender.sendMsg(new Announcement('$.a', 'x', { id }))));
    for (const id of ids) expect((await next(listener)).id).toEqual(id);
  });

  it('keep orig_from and final_to, even if the listener reads in two steps.', async () => {
    const [sender, listener] = [await stage.open(), await stage.open()];
    await listener.bind('$.a');
    await listener.bind('$.*');
    const [origFrom, finalTo] = [new OrigFrom(1, 2), new OrigFrom(3, 4)];
    const message = new Announcement('$.a', 'x', { origFrom, finalTo });
    await Promise.all([1, 2, 3].map(() => sender.sendMsg(message)));
    for (let copy = 0; copy < 6; copy++) {
      expect(await next(listener)).toMatchObject({ origFrom, finalTo });
    }
  });
});

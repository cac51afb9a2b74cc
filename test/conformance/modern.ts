import { describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request, replyTo } from '../../src/message/message.ts';
import { ReplierError, StatusError } from '../../src/message/request-error.ts';
import { failed, refused } from '../support/refused.ts';
import { staged } from './original.ts';
import { fill, next, readAll, readTexts } from './reading.ts';
import type { Transport } from './transport.ts';

/** The client's API beyond the original's (spec 4). */
export function modern(transport: Transport<Ksock>): void {
  describe(`${transport.name}: spec 4`, () => {
    const stage = staged(transport);

    it('`String(ksock)` → `Ksock device 0, id 1, mode read/write`.', async () => {
      const ksock = await stage.open();
      expect(String(ksock)).toBe('Ksock device 0, id 1, mode read/write');
      expect(String(await stage.open('r'))).toBe('Ksock device 0, id 2, mode read');
      expect([ksock.id, ksock.ksockId()]).toEqual([1, 1]);
    });

    it('`await using` closes it.', async () => {
      const other = await stage.open();
      let ksock: Ksock;
      {
        await using inScope = await stage.open();
        ksock = inScope;
        await ksock.bind('$.a', true);
        expect(await other.findReplier('$.a')).toBe(ksock.id);
      }
      expect(await other.findReplier('$.a')).toBeNull();
      await refused(ksock.bind('$.a'), 'EBADF');
    });

    it('`for await (const msg of ksock)` waits for messages for as long as the Ksock is open.', async () => {
      const ksock = await stage.open();
      const sender = await stage.open();
      await ksock.bind('$.a');
      const heard: string[] = [];
      const loop = (async () => {
        for await (const message of ksock) {
          heard.push(message.text());
          if (message.text() === '5') void ksock.close();
        }
      })();
      for (let at = 0; at < 6; at++) await sender.sendMsg(new Announcement('$.a', String(at)));
      await loop;
      expect(heard.slice(0, 6)).toEqual(['0', '1', '2', '3', '4', '5']);
    });

    it('`ksock.drain()` ends when the queue is empty, as Python’s does.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      for (let at = 0; at < 3; at++) await ksock.sendMsg(new Announcement('$.a', String(at)));
      const heard: string[] = [];
      for await (const message of ksock.drain()) {
        heard.push(message.text());
        if (heard.length === 1) await ksock.sendMsg(new Announcement('$.a', 'more'));
      }
      expect(heard).toEqual(['0', '1', '2', 'more']);
      expect(await ksock.numMessages()).toBe(0);
    });

    it('`readBindings()` lists the bindings of the bus, newest first.', async () => {
      const one = await stage.open();
      const two = await stage.open();
      await one.bind('$.Fred', true);
      await two.bind('$.Fred.Bob');
      const bindings = await one.readBindings();
      expect(bindings.map(({ ksock, replier, name }) => [ksock, replier, name])).toEqual([
        [two.id, false, '$.Fred.Bob'],
        [one.id, true, '$.Fred'],
      ]);
      for (const { device, pid } of bindings) {
        expect(device).toBe(0);
        if (transport.hasPids === false) expect(pid).toBe(0);
        else expect(pid).toBeGreaterThan(0);
      }
    });

    it('`request(name, data, { timeout, signal, to })` resolves with the Reply.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const { signal } = new AbortController();
      const options = { timeout: 60_000, signal, to: replier.id, flags: 1 << 20 };
      const answer = requester.request('$.Ask', 'why?', options);
      const request = (await replier.waitForMsg()) as Message;
      expect([request.text(), request.to, request.from]).toEqual([
        'why?',
        replier.id,
        requester.id,
      ]);
      expect(request.flags).toBe(Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY | (1 << 20));
      await replier.sendMsg(replyTo(request, 'because'));
      const reply = await answer;
      expect([reply.text(), reply.kind, reply.from]).toEqual(['because', 'Reply', replier.id]);
      expect(reply.inReplyTo).toEqual(request.id);
    });

    it('`request` may be given a Request, and its Reply may have another name, or be urgent.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const answer = requester.request(new Request('$.Ask', 'made before'));
      const request = (await replier.waitForMsg()) as Message;
      const reply = replyTo(request, 'x');
      reply.name = '$.Answer';
      reply.setUrgent();
      await replier.sendMsg(reply);
      expect((await answer).name).toBe('$.Answer');
    });

    it('The Reply to a `request` does not go through the queue, even if other code reads it.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.bind('$.News');
      const waiting = requester.waitForMsg();
      const answer = requester.request('$.Ask');
      await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message, 'reply'));
      expect((await answer).text()).toBe('reply');
      await replier.sendMsg(new Announcement('$.News', 'news'));
      expect((await waiting)?.text()).toBe('news');
    });

    it('Many Requests may be in flight at once; each gets its own Reply, in any order.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const answers = Array.from({ length: 50 }, (_, at) => requester.request('$.Ask', String(at)));
      const requests: Message[] = [];
      while (requests.length < 50) requests.push((await replier.waitForMsg()) as Message);
      for (const request of requests.reverse()) {
        await replier.sendMsg(replyTo(request, `re ${request.text()}`));
      }
      const texts = (await Promise.all(answers)).map((reply) => reply.text());
      expect(texts).toEqual(Array.from({ length: 50 }, (_, at) => `re ${at}`));
    });

    it('It fails with an error holding the Status when KBUS answered instead.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const answer = failed(requester.request('$.Ask'));
      await replier.waitForMsg();
      await replier.close();
      const error = (await answer) as StatusError;
      expect(error).toBeInstanceOf(StatusError);
      expect(error).toBeInstanceOf(KbusError);
      expect([error.code, error.status.name, error.status.kind]).toEqual([
        'STATUS',
        '$.KBUS.Replier.Ignored',
        'Status',
      ]);
      expect(error.status.from).toBe(replier.id);
      expect(error.message).toBe(
        "send Request '$.Ask': the Replier read the Request, and went away without answering it ($.KBUS.Replier.Ignored)",
      );
    });

    it('A Request that its requester gives up leaves the Replier’s queue, if it is unread; listeners keep their copies.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      const listener = await stage.open();
      await replier.bind('$.Ask', true);
      await listener.bind('$.Ask');
      const controller = new AbortController();
      const { signal } = controller;
      const asked = ['1', '2', '3'].map((text) =>
        text === '2'
          ? failed(requester.request('$.Ask', text, { signal }))
          : requester.request('$.Ask', text),
      );
      for (const text of ['1', '2', '3']) {
        expect((await listener.waitForMsg())?.text()).toBe(text);
      }
      controller.abort('enough');
      expect(await asked[1]).toBe('enough');
      // A later call sees the effect.
      await requester.numMessages();
      expect(await replier.numMessages()).toBe(2);
      const requests = await readAll(replier);
      expect(requests.map((request) => request.text())).toEqual(['1', '3']);
      for (const request of requests) await replier.sendMsg(replyTo(request, request.text()));
      const answers = (await Promise.all([asked[0], asked[2]])) as Message[];
      expect(answers.map((answer) => answer.text())).toEqual(['1', '3']);
    });

    it('A Request that is given up frees a slot in the Replier’s queue for one that waits.', async () => {
      const requester = await stage.open();
      const other = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await replier.setMaxMessages(1);
      const controller = new AbortController();
      const { signal } = controller;
      const given = failed(requester.request('$.Ask', 'given up', { signal }));
      await requester.numMessages();
      const waits = other.request('$.Ask', 'waits', { flags: Flag.ALL_OR_WAIT });
      await other.numMessages();
      controller.abort('enough');
      await given;
      const request = (await replier.waitForMsg()) as Message;
      expect(request.text()).toBe('waits');
      await replier.sendMsg(replyTo(request, 'done'));
      expect((await waits).text()).toBe('done');
    });

    it('For `request()` and for printing, a Reply whose name begins with `$.KBUS.` is a Status whether SYNTHETIC is set or not.', async () => {
      const requester = await stage.open();
      const limpet = await stage.open();
      await limpet.bind('$.Ask', true);
      const answer = failed(requester.request('$.Ask'));
      const passedOn = replyTo((await limpet.waitForMsg()) as Message);
      passedOn.name = '$.KBUS.Replier.GoneAway';
      // The bus strips it from all messages that users send.
      passedOn.flags |= Flag.SYNTHETIC;
      await limpet.sendMsg(passedOn);
      const error = (await answer) as StatusError;
      expect(error).toBeInstanceOf(StatusError);
      expect(error).not.toBeInstanceOf(ReplierError);
      expect([error.status.name, error.status.kind, error.status.isSynthetic()]).toEqual([
        '$.KBUS.Replier.GoneAway',
        'Status',
        false,
      ]);
      expect(String(error.status)).toMatch(/^<Status '\$\.KBUS\.Replier\.GoneAway', /);
      expect(error.message).toMatch(/: the Replier went away before it read the Request/);
    });

    it('EBADMSG says which character of the name is wrong, and where.', async () => {
      const ksock = await stage.open();
      const faults: readonly [name: string, fault: string][] = [
        ['$.Room 2', "character 7, ' ', is not an ASCII letter, a digit, '_' or '-'"],
        ['$.Caf\u00e9', "character 6, '\u00e9', is not an ASCII letter, a digit, '_' or '-'"],
        ['$.A..B', "character 5, '.', follows a '.', with no word between them"],
        ['A.B', "it does not begin with '$.'"],
      ];
      for (const [name, fault] of faults) {
        for (const refusal of [
          failed(ksock.sendMsg(new Announcement(name))),
          failed(ksock.sendAll([new Announcement(name)])),
          failed(ksock.request(name)),
        ]) {
          expect(((await refusal) as KbusError).meaning).toBe(`the name can't be sent: ${fault}`);
        }
        for (const refusal of [failed(ksock.bind(name, true)), failed(ksock.unbind(name))]) {
          const { code, message, meaning } = (await refusal) as KbusError;
          expect([code, meaning]).toEqual(['EBADMSG', `the name can't be bound: ${fault}`]);
          expect(message).toContain(`'${name}'`);
        }
      }
      const star = (await failed(ksock.bind('$.*.A'))) as KbusError;
      expect(star.meaning).toMatch(/character 3, '\*', may only stand at the end$/);
      const sent = (await failed(ksock.sendMsg(new Announcement('$.A.%')))) as KbusError;
      expect(sent.meaning).toMatch(
        /character 5, '%', is a wildcard, which can be bound but not sent/,
      );
      const event = (await failed(ksock.bind('$.KBUS.ReplierBindEvent', true))) as KbusError;
      expect(event.meaning).toMatch(/^KBUS itself sends .* no Ksock can be its Replier$/);
    });

    it('`request` is refused as a send is: typed errors with `code`.', async () => {
      const requester = await stage.open();
      await refused(requester.request('$.Nobody'), 'EADDRNOTAVAIL');
      await refused(requester.request('$.Nobody.*'), 'EBADMSG');
      await refused((await stage.open('r')).request('$.Nobody'), 'EBADF');
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await refused(requester.request('$.Ask', '', { to: 77 }), 'EPIPE');
      await fill(replier, requester);
      await refused(requester.request('$.Ask', '', { wait: false }), 'EBUSY');
      await fill(requester, replier);
      await refused(requester.request('$.Ask', '', { wait: false }), 'ENOLCK');
    });

    it('`request()` waits for a slot in its own queue and one in the Replier’s, in the order of the calls.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.setMaxMessages(2);
      await replier.setMaxMessages(1);
      const asked = Array.from({ length: 20 }, (_, at) => requester.request('$.Ask', String(at)));
      const order: string[] = [];
      for (let at = 0; at < 20; at++) {
        // A transport with short turns takes a while.
        const request = (await replier.waitForMsg()) as Message;
        order.push(request.text());
        await replier.sendMsg(replyTo(request, request.text()));
      }
      const answers = (await Promise.all(asked)).map((answer) => answer.text());
      expect(order).toEqual(asked.map((_, at) => String(at)));
      expect(answers).toEqual(order);
    });

    it('A `request` holds the place for its Reply, and gives it back.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.setMaxMessages(1);
      const answer = requester.request('$.Ask');
      await refused(requester.request('$.Ask', '', { wait: false }), 'ENOLCK');
      await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message));
      await answer;
      const again = requester.request('$.Ask');
      await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message));
      await again;
    });

    it('With ALL_OR_WAIT, `request` waits for all recipients’ queues, and then for its Reply.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await fill(replier, requester);
      const answer = requester.request('$.Ask', 'waited', { flags: Flag.ALL_OR_WAIT });
      expect((await replier.waitForMsg())?.name).toBe('$.Filler');
      const request = (await replier.waitForMsg()) as Message;
      expect(request.text()).toBe('waited');
      await replier.sendMsg(replyTo(request, 'answered'));
      expect((await answer).text()).toBe('answered');
      // The state of the Ksock has not changed.
      await requester.sendMsg(new Announcement('$.Other'));
    });

    it('A Replier’s handler answers with what it returns: text, bytes or nothing, at once or later.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.replier('$.Text', (request) => `re: ${request.text()}`);
      await replier.replier('$.Bytes', () => Uint8Array.of(0, 255));
      await replier.replier('$.Nothing', () => {});
      await replier.replier('$.Later.*', async (request) => {
        await Promise.resolve();
        return request.name;
      });
      expect((await requester.request('$.Text', 'hi')).text()).toBe('re: hi');
      expect([...(await requester.request('$.Bytes')).data]).toEqual([0, 255]);
      expect((await requester.request('$.Nothing')).dataLength).toBe(0);
      expect((await requester.request('$.Later.a.b')).text()).toBe('$.Later.a.b');
      expect(await replier.numUnrepliedTo()).toBe(0);
    });

    it('A Replier’s handler sends an error when it throws.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.replier('$.Throws', () => {
        throw new RangeError('too far');
      });
      await replier.replier('$.Rejects', async () => Promise.reject(new Error('too late')));
      for (const [name, said] of [
        ['$.Throws', 'too far'],
        ['$.Rejects', 'too late'],
      ] as const) {
        const error = (await failed(requester.request(name))) as ReplierError;
        expect(error).toBeInstanceOf(ReplierError);
        expect(error.message).toBe(`send Request '${name}': the Replier failed to answer: ${said}`);
        expect(error.reply.from).toBe(replier.id);
      }
    });

    it('Data as Uint8Array or string in, Uint8Array out with `.text()` and `.json()`.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', '{"é":[1,2]}'));
      const got = await next(ksock);
      expect(got.data).toBeInstanceOf(Uint8Array);
      expect(got.text()).toBe('{"é":[1,2]}');
      expect(got.json()).toEqual({ é: [1, 2] });
      await ksock.sendMsg(new Announcement('$.a', Uint8Array.of(1, 2, 3)));
      const { data } = await next(ksock);
      expect(Object.prototype.toString.call(data)).toBe('[object Uint8Array]');
      expect([...data]).toEqual([1, 2, 3]);
    });

    it.each([
      ['Uint8Array', Uint8Array.of(1, 2, 3)],
      // A Buffer's slice is no copy.
      ['Buffer', Buffer.of(1, 2, 3)],
    ])(
      'A received message belongs to its receiver: changing it does not change another’s (%s).',
      async (_, mine) => {
        const ksock = await stage.open();
        await ksock.bind('$.a');
        await ksock.bind('$.a');
        await ksock.sendMsg(new Announcement('$.a', mine));
        mine.fill(9);
        const first = await next(ksock);
        expect([...first.data]).toEqual([1, 2, 3]);
        first.data.fill(7);
        expect([...(await next(ksock)).data]).toEqual([1, 2, 3]);
      },
    );

    it('Calls are carried out in the order in which they were made, awaited or not.', async () => {
      const ksock = await stage.open();
      const other = await stage.open();
      const calls = [
        ksock.bind('$.a'),
        ksock.sendMsg(new Announcement('$.a', '1')),
        ksock.numMessages(),
        ksock.writeMsg(new Announcement('$.a', '2')),
        ksock.send(),
        ksock.numMessages(),
        ksock.sendMsg(new Announcement('$.a', '3')),
        ksock.writeMsg(new Announcement('$.a', 'thrown away')),
        ksock.discard(),
        ksock.numMessages(),
        ksock.readNextMsg(),
        ksock.numMessages(),
        ksock.unbind('$.a'),
        ksock.numMessages(),
      ] as const;
      const results = await Promise.all(calls);
      expect([2, 5, 9, 11, 13].map((at) => results[at])).toEqual([1, 2, 3, 2, 0]);
      expect((results[10] as Message).text()).toBe('1');
      await refused(ksock.send(), 'ENOMSG');
      expect(String(await other.sendMsg(new Announcement('$.a')))).toBe('[0:4]');
    });

    // Their low bytes are characters that a name may have: 'A', '$' and '.'.
    it.for(['$.\u0141', '\u0124.a', '$\u012ea', '$.😀', '$.caf\u00e9'])(
      'A character above U+00FF does not become another one: %s.',
      async (name) => {
        const ksock = await stage.open();
        await ksock.bind('$.*');
        await refused(ksock.sendMsg(new Announcement(name)), 'EBADMSG');
        await refused(ksock.writeMsg(new Announcement(name)), 'EBADMSG');
        await refused(ksock.send(), 'ENOMSG');
        await refused(ksock.bind(name), 'EBADMSG');
        expect(await ksock.findReplier(name)).toBeNull();
        expect(await ksock.numMessages()).toBe(0);
      },
    );

    it('An error says what was asked.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.Mine', true);
      for (const [call, asked] of [
        [() => ksock.sendMsg(new Request('$.a')), "send Request '$.a'"],
        [() => ksock.sendMsg(new Request('$.Mine', '', { to: 9 })), "send Request '$.Mine' to 9"],
        [() => ksock.request('$.a'), "send Request '$.a'"],
        [() => ksock.sendMsg(new Announcement('$.*')), "send Announcement '$.*'"],
        [() => ksock.writeMsg(new Announcement('$.%')), "write Announcement '$.%'"],
        [() => ksock.bind('$.Mine', true), "bind '$.Mine' as Replier"],
        [() => ksock.bind('a'), "bind 'a' as Listener"],
        [() => ksock.unbind('$.a'), "unbind '$.a' as Listener"],
        [() => ksock.findReplier(''), "find the Replier of ''"],
        [() => ksock.setMaxMessageSize(5), 'set the maximum message size to 5'],
        [() => ksock.send(), 'send'],
      ] as const) {
        const error = (await failed(call())) as KbusError;
        expect(error.message).toBe(`${error.code} (${error.errno}): ${asked}: ${error.meaning}`);
      }
    });

    it('A message of 16 MiB, the maximum, passes; a larger one is refused.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      const most = 16 * 1024 * 1024 - new Announcement('$.a').totalLength();
      const data = new Uint8Array(most).fill(7);
      await ksock.sendMsg(new Announcement('$.a', data));
      const got = await next(ksock);
      expect(got.totalLength()).toBe(16 * 1024 * 1024);
      expect(Buffer.from(got.data).equals(data)).toBe(true);
      await refused(ksock.sendMsg(new Announcement('$.a', new Uint8Array(most + 1))), 'EMSGSIZE');
      await refused(ksock.sendMsg(new Announcement('$.a', new Uint8Array(2 * most))), 'EMSGSIZE');
      await ksock.sendMsg(new Announcement('$.a', 'it goes on'));
      expect((await next(ksock)).text()).toBe('it goes on');
    });

    it('Explicit resource management: a handler is stopped by `await using`.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      {
        await using _handling = await replier.replier('$.Ask', () => 'yes');
        expect((await requester.request('$.Ask')).text()).toBe('yes');
      }
      await refused(requester.request('$.Ask'), 'EADDRNOTAVAIL');
      await replier.bind('$.Ask', true);
      await requester.sendMsg(new Request('$.Ask', 'read by hand'));
      expect(await readTexts(replier)).toEqual(['read by hand']);
      expect(await readAll(requester)).toEqual([]);
    });
  });
}

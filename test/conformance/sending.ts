import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import {
  Announcement,
  type Message,
  Reply,
  Request,
  replyTo,
  statefulRequest,
} from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, fill, next, readAll, readNames, readTexts } from './reading.ts';
import type { OriginalKsock, Stage } from './transport.ts';

/** A send that would succeed, and its Ksocks; a test adds faults. */
interface Scene {
  readonly stage: Stage;
  readonly sender: OriginalKsock;
  readonly replier: OriginalKsock;
  readonly listener: OriginalKsock;
  readonly other: OriginalKsock;
  message: Message;
}

interface Fault {
  readonly step: string;
  readonly code: ErrorCode;
  /** Whether the send got an id. */
  readonly usesId: boolean;
  put(scene: Scene): Promise<void> | void;
}

/** Too large for the maximum of the scene, and otherwise valid. */
const LARGE = 2000;

const badFlags: Fault = {
  step: 'both ALL_ flags',
  code: 'EINVAL',
  usesId: false,
  put: ({ message }) => {
    message.flags |= Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL;
  },
};
const noName: Fault = {
  step: 'a zero-length name',
  code: 'EINVAL',
  usesId: false,
  put: ({ message }) => {
    message.name = '';
  },
};
const longName: Fault = {
  step: 'too long a name',
  code: 'ENAMETOOLONG',
  usesId: false,
  put: ({ message }) => {
    message.name = `$.${'a'.repeat(999)}`;
  },
};
const badName: Fault = {
  step: 'a wildcard name',
  code: 'EBADMSG',
  usesId: false,
  put: ({ message }) => {
    message.name = '$.Ask.*';
  },
};
const tooLarge: Fault = {
  step: "larger than the bus's maximum",
  code: 'EMSGSIZE',
  usesId: false,
  put: async ({ message, other }) => {
    message.data = new Uint8Array(LARGE);
    // For a Reply, the maximum is that when its Request was accepted.
    if (!message.isReply()) await other.setMaxMessageSize(LARGE);
  },
};
const senderFull: Fault = {
  step: "Request and the sender's queue is full",
  code: 'ENOLCK',
  usesId: false,
  put: ({ sender, other }) => fill(sender, other),
};
const noReplier: Fault = {
  step: 'Request and no Replier matches',
  code: 'EADDRNOTAVAIL',
  usesId: true,
  put: ({ replier }) => replier.unbind('$.Ask', true),
};
const otherReplier: Fault = {
  step: 'stateful Request and the matching Replier has another id',
  code: 'EPIPE',
  usesId: true,
  put: ({ message, other }) => {
    message.to = other.id;
  },
};
const replierFull: Fault = {
  step: "Request and Replier's queue full",
  code: 'EBUSY',
  usesId: true,
  put: ({ replier, other }) => fill(replier, other),
};
const replierFullWait: Fault = {
  step: "Request and Replier's queue full, with ALL_OR_WAIT",
  code: 'EAGAIN',
  usesId: true,
  put: async ({ replier, other, message }) => {
    message.flags |= Flag.ALL_OR_WAIT;
    await fill(replier, other);
  },
};
const listenerFull: Fault = {
  step: "any listener's queue full: with ALL_OR_FAIL",
  code: 'EBUSY',
  usesId: true,
  put: async ({ listener, other, message }) => {
    message.flags |= Flag.ALL_OR_FAIL;
    await fill(listener, other);
  },
};
const listenerFullWait: Fault = {
  step: "any listener's queue full: with ALL_OR_WAIT",
  code: 'EAGAIN',
  usesId: true,
  put: async ({ listener, other, message }) => {
    message.flags |= Flag.ALL_OR_WAIT;
    await fill(listener, other);
  },
};
const requesterGone: Fault = {
  step: 'Reply: requester no longer open',
  code: 'EADDRNOTAVAIL',
  usesId: true,
  put: async ({ stage, message }) => {
    const gone = await stage.open();
    message.to = gone.id;
    await gone.close();
  },
};
const notWaiting: Fault = {
  step: 'Reply: requester not waiting for that in_reply_to',
  code: 'ECONNREFUSED',
  usesId: true,
  put: ({ message }) => {
    message.inReplyTo = new MessageId(0, 4_000_000);
  },
};

// In the order of the steps; those of spec 1 §6.1 in the order of spec 2 §4.2.
const REQUEST_FAULTS = [
  noName,
  longName,
  badFlags,
  tooLarge,
  badName,
  senderFull,
  noReplier,
  otherReplier,
  replierFull,
  listenerFull,
];
const REPLY_FAULTS = [
  noName,
  longName,
  badFlags,
  tooLarge,
  badName,
  requesterGone,
  notWaiting,
  listenerFull,
];
const WAITING_FAULTS = [senderFull, noReplier, otherReplier, replierFullWait];

/** Faults that exclude each other: they would change the same thing. */
const EXCLUSIVE: readonly (readonly Fault[])[] = [
  [noName, longName, badName],
  [noReplier, replierFull],
  [noReplier, replierFullWait],
  [badFlags, listenerFull],
  [requesterGone, notWaiting],
];

function pairs(faults: readonly Fault[]): (readonly [first: Fault, second: Fault])[] {
  return faults.flatMap((first, at) =>
    faults
      .slice(at + 1)
      .filter((second) => !EXCLUSIVE.some((set) => set.includes(first) && set.includes(second)))
      .map((second) => [first, second] as const),
  );
}

async function sceneOf(stage: Stage, kind: 'Request' | 'Reply'): Promise<Scene> {
  const sender = await stage.open();
  const replier = await stage.open();
  const listener = await stage.open();
  const other = await stage.open();
  await listener.bind('$.Ask');
  await listener.bind('$.Ask.*');
  if (kind === 'Request') {
    await replier.bind('$.Ask', true);
    return { stage, sender, replier, listener, other, message: new Request('$.Ask') };
  }
  // The Reply that `sender` sends, to a Request of `replier`.
  await other.setMaxMessageSize(LARGE);
  await sender.bind('$.Asked', true);
  const { id, from } = await ask(replier, sender, '$.Asked');
  const message = new Reply('$.Ask', null, { inReplyTo: id, to: from });
  return { stage, sender, replier, listener, other, message };
}

/** The queued messages, without the fillers. */
async function heard({ sender, replier, listener, other }: Scene): Promise<string[]> {
  const names = await Promise.all([sender, replier, listener, other].map(readNames));
  return names.flat().filter((name) => name !== '$.Filler');
}

export function sending(stage: Stage): void {
  describe('spec 1 §6: Sending', () => {
    it.for(
      [
        ...REQUEST_FAULTS.map((fault) => ['Request', fault] as const),
        ...WAITING_FAULTS.map((fault) => ['Request', fault] as const),
        ...[requesterGone, notWaiting].map((fault) => ['Reply', fault] as const),
        ['Request', listenerFullWait] as const,
      ].map(([kind, fault]) => ({ kind, ...fault })),
    )('$kind: $step → $code; nothing is delivered to anybody.', async ({ kind, ...fault }) => {
      const scene = await sceneOf(stage, kind);
      await fault.put(scene);
      const before = await scene.other.sendMsg(new Announcement('$.Mark'));
      await refused(scene.sender.sendMsg(scene.message), fault.code);
      const after = await scene.other.sendMsg(new Announcement('$.Mark'));
      expect(after.serialNum - before.serialNum).toBe(fault.usesId ? 2 : 1);
      expect(await heard(scene)).toEqual([]);
    });

    it.for(
      [
        ...pairs(REQUEST_FAULTS).map((pair) => ['Request', pair] as const),
        ...pairs(WAITING_FAULTS).map((pair) => ['Request', pair] as const),
        ...pairs(REPLY_FAULTS).map((pair) => ['Reply', pair] as const),
      ].map(([kind, [first, second]]) => ({ kind, first, second })),
    )(
      '$kind: $first.step ($first.code) comes before $second.step ($second.code).',
      async ({ kind, first, second }) => {
        const scene = await sceneOf(stage, kind);
        // Bind names that a fault needs before another fault fills a queue.
        await second.put(scene);
        await first.put(scene);
        await refused(scene.sender.sendMsg(scene.message), first.code);
        expect(await heard(scene)).toEqual([]);
      },
    );

    it('spec 1 §6.1: nothing was written: ENOMSG.', async () => {
      const ksock = await stage.open();
      await refused(ksock.send(), 'ENOMSG');
      await ksock.writeMsg(new Announcement('$.a'));
      await ksock.send();
      await refused(ksock.send(), 'ENOMSG');
    });

    it('spec 1 §6.1: the message is not complete: EINVAL, and it is thrown away.', async () => {
      const ksock = await stage.open();
      const bytes = new Announcement('$.a', 'data').toBytes();
      for (const length of [1, 87, 88, 91, bytes.length - 1]) {
        await ksock.writeData(bytes.subarray(0, length));
        await refused(ksock.send(), 'EINVAL');
        await refused(ksock.send(), 'ENOMSG');
      }
    });

    it('spec 1 §6.1: the message has bad guards: EINVAL, and what was written is thrown away.', async () => {
      const ksock = await stage.open();
      const good = new Announcement('$.a', 'data').toBytes();
      for (const at of [0, 80, good.length - 4]) {
        const bytes = good.slice();
        bytes[at] = (bytes[at] as number) ^ 1;
        await refused(ksock.writeData(bytes), 'EINVAL');
        await refused(ksock.send(), 'ENOMSG');
      }
      await ksock.writeData(good);
      await ksock.send();
    });

    it('spec 1 §6.1: the message has a zero-length name: EINVAL.', async () => {
      const ksock = await stage.open();
      await refused(ksock.sendMsg(new Announcement('')), 'EINVAL');
      await refused(ksock.writeMsg(new Announcement('')), 'EINVAL');
    });

    it('spec 2 §4.1: bytes after the end: EMSGSIZE.', async () => {
      const ksock = await stage.open();
      await ksock.writeMsg(new Announcement('$.a'));
      await refused(ksock.writeData(Uint8Array.of(0)), 'EMSGSIZE');
      await refused(ksock.send(), 'ENOMSG');
      await ksock.writeMsg(new Announcement('$.a'));
      await refused(ksock.sendMsg(new Announcement('$.b')), 'EMSGSIZE');
    });

    it('spec 1 §6.1: the Ksock is read-only: EBADF.', async () => {
      const reader = await stage.open('r');
      await refused(reader.sendMsg(new Announcement('$.a')), 'EBADF');
      await refused(reader.writeMsg(new Announcement('$.a')), 'EBADF');
      await refused(reader.writeData(Uint8Array.of(1)), 'EBADF');
      await refused(reader.sendMsg(new Announcement('$.a.*')), 'EBADF');
      await refused(reader.send(), 'ENOMSG');
    });

    it('spec 1 §6.1: the Ksock is still sending: EALREADY.', async () => {
      const scene = await sceneOf(stage, 'Request');
      await listenerFullWait.put(scene);
      const { sender, message } = scene;
      await refused(sender.sendMsg(message), 'EAGAIN');
      await refused(sender.sendMsg(new Announcement('$.a')), 'EALREADY');
      await refused(sender.writeMsg(new Announcement('$.a')), 'EALREADY');
      await refused(sender.sendMsg(new Announcement('$.a.*')), 'EALREADY');
    });

    it("spec 1 §6.2: An Announcement from a full queue is not refused: only Requests need the sender's.", async () => {
      const scene = await sceneOf(stage, 'Request');
      await senderFull.put(scene);
      await scene.sender.sendMsg(new Announcement('$.Ask'));
      expect(await readNames(scene.listener)).toEqual(['$.Ask']);
    });

    it('spec 1 §6.3: KBUS sets `from` and assigns the id. The id becomes the "last message id" of the Ksock.', async () => {
      const ksock = await stage.open();
      const other = await stage.open();
      await ksock.bind('$.a');
      expect((await ksock.lastMsgId()).isSet).toBe(false);
      const id = await ksock.sendMsg(new Announcement('$.a'));
      expect(await ksock.lastMsgId()).toEqual(id);
      await other.sendMsg(new Announcement('$.a'));
      expect(await ksock.lastMsgId()).toEqual(id);
      await refused(ksock.sendMsg(new Request('$.Nobody')), 'EADDRNOTAVAIL');
      expect(String(await ksock.lastMsgId())).toBe('[0:3]');
      expect((await next(ksock)).from).toBe(ksock.id);
    });

    it('spec 1 §6.5: New: a Reply gets ECONNREFUSED when its sender is not the Ksock that the Request was given to.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      const meddler = await stage.open();
      await replier.bind('$.Ask', true);
      const request = await ask(requester, replier, '$.Ask');
      await refused(meddler.sendMsg(replyTo(request, 'wrong')), 'ECONNREFUSED');
      await refused(requester.sendMsg(replyTo(request, 'wrong')), 'ECONNREFUSED');
      await replier.sendMsg(replyTo(request, 'right'));
      expect(await readTexts(requester)).toEqual(['right']);
    });

    it('spec 1 §6.5: A Request is answered once: a second Reply gets ECONNREFUSED.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const request = await ask(requester, replier, '$.Ask');
      await replier.sendMsg(replyTo(request));
      await refused(replier.sendMsg(replyTo(request)), 'ECONNREFUSED');
      expect(await requester.numMessages()).toBe(1);
    });

    it('spec 1 §6.5: A Reply may have another name than its Request.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const { id, from } = await ask(requester, replier, '$.Ask');
      await replier.sendMsg(new Reply('$.Answer', 'x', { inReplyTo: id, to: from }));
      expect((await next(requester)).name).toBe('$.Answer');
    });

    it('spec 1 §6.5: The Replier can answer a Request before reading it; then the copy read later asks for no Reply.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const id = await requester.sendMsg(new Request('$.Ask'));
      await replier.sendMsg(new Reply('$.Ask', 'early', { inReplyTo: id, to: requester.id }));
      await next(replier);
      expect(await replier.numUnrepliedTo()).toBe(0);
      await replier.close();
      expect(await readTexts(requester)).toEqual(['early']);
    });

    it('spec 1 §6.6: A stateful Request to the Replier that is bound is delivered.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await replier.bind('$.More', true);
      await replier.sendMsg(replyTo(await ask(requester, replier, '$.Ask')));
      const again = statefulRequest(await next(requester), '$.More', 'still you?');
      expect([again.to, again.isStatefulRequest()]).toEqual([replier.id, true]);
      await requester.sendMsg(again);
      const got = await next(replier);
      expect([got.text(), got.to, got.isStatefulRequest()]).toEqual([
        'still you?',
        replier.id,
        true,
      ]);
      await requester.sendMsg(statefulRequest(again, '$.Ask', 'and again'));
      expect(await readTexts(replier)).toEqual(['and again']);
    });

    it('spec 1 §6.6: EPIPE: the Replier that the Request addresses is no longer the one bound to that name.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await replier.sendMsg(replyTo(await ask(requester, replier, '$.Ask')));
      const reply = await next(requester);
      await replier.unbind('$.Ask', true);
      await refused(requester.sendMsg(statefulRequest(reply, '$.Ask')), 'EADDRNOTAVAIL');
      const successor = await stage.open();
      await successor.bind('$.Ask', true);
      const error = await refused(requester.sendMsg(statefulRequest(reply, '$.Ask')), 'EPIPE');
      expect(error.message).toMatch(
        /is no longer the one bound to that name$|is not the Replier of '\$\.Ask' on bus 0: Ksock \d+ (?:\(.*\) )?is$/,
      );
      expect(await readAll(successor)).toEqual([]);
    });

    it('spec 1 §6.8: With neither ALL_ flag, that listener misses the message, and the others hear it.', async () => {
      const scene = await sceneOf(stage, 'Request');
      const second = await stage.open();
      await second.bind('$.Ask');
      await fill(scene.listener, scene.other);
      await scene.sender.sendMsg(scene.message);
      expect(await readNames(scene.replier)).toEqual(['$.Ask']);
      expect(await readNames(second)).toEqual(['$.Ask']);
      expect(await readNames(scene.listener)).toEqual(['$.Filler']);
    });

    it.for([
      ['ALL_OR_FAIL', Flag.ALL_OR_FAIL],
      ['ALL_OR_WAIT', Flag.ALL_OR_WAIT],
      ['neither', 0],
    ] as const)(
      'spec 1 §6.8: A Ksock with one free place and two matching bindings passes both checks, and may end one over its limit: with %s.',
      async ([, flags]) => {
        const ksock = await stage.open();
        await ksock.bind('$.a');
        await ksock.bind('$.*');
        await ksock.setMaxMessages(1);
        await ksock.sendMsg(new Announcement('$.a', 'heard', { flags }));
        expect(await readTexts(ksock)).toEqual(['heard', 'heard']);
      },
    );

    it('spec 1 §6.8: A Ksock that is Replier and listener, with one free place, passes both checks.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await replier.bind('$.Ask');
      await replier.setMaxMessages(1);
      await requester.sendMsg(new Request('$.Ask', null, { flags: Flag.ALL_OR_FAIL }));
      expect(await replier.numMessages()).toBe(2);
    });

    it('spec 1 §6.9: A Request is now outstanding; a Reply ends its Request.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.setMaxMessages(1);
      const request = await ask(requester, replier, '$.Ask');
      await refused(requester.sendMsg(new Request('$.Ask')), 'ENOLCK');
      expect(await replier.numUnrepliedTo()).toBe(1);
      await replier.sendMsg(replyTo(request));
      expect(await replier.numUnrepliedTo()).toBe(0);
      await next(requester);
      await requester.sendMsg(new Request('$.Ask'));
    });

    it('An Announcement that nobody listens for is a success.', async () => {
      const ksock = await stage.open();
      expect(String(await ksock.sendMsg(new Announcement('$.Void')))).toBe('[0:1]');
    });

    it('spec 1 §6.9: KBUS also delivers a Reply to the listeners of its name. The Replier gets no copy unless it listens.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      const listener = await stage.open();
      await replier.bind('$.Ask', true);
      await listener.bind('$.Ask');
      await replier.sendMsg(replyTo(await ask(requester, replier, '$.Ask'), 'heard by all'));
      expect((await readAll(listener)).map(({ kind }) => kind)).toEqual(['Request', 'Reply']);
      expect(await replier.numMessages()).toBe(0);
      await replier.bind('$.Ask');
      await replier.sendMsg(replyTo(await ask(requester, replier, '$.Ask')));
      // A listener's copy of the Request, and of the Reply.
      expect((await readAll(replier)).map(({ kind }) => kind)).toEqual(['Request', 'Reply']);
    });

    it('spec 1 §6.9: The requester needs no binding to get its Reply. If it also listens, it gets both copies.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await replier.sendMsg(replyTo(await ask(requester, replier, '$.Ask')));
      expect(await readNames(requester)).toEqual(['$.Ask']);
      const request = await ask(requester, replier, '$.Ask');
      await requester.bind('$.Ask');
      await replier.sendMsg(replyTo(request));
      expect(await readNames(requester)).toEqual(['$.Ask', '$.Ask']);
    });

    it('send_msg is write_msg and then send; the message may be written in any number of pieces of any size.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      const message = new Announcement('$.a', 'data', { flags: 0x10_0000 });
      const bytes = message.toBytes();
      for (const size of [1, 3, 87, 89, bytes.length]) {
        for (let at = 0; at < bytes.length; at += size) {
          await ksock.writeData(bytes.subarray(at, at + size));
        }
        const id = await ksock.send();
        const got = await next(ksock);
        expect(got.equivalent(message)).toBe(true);
        expect(got.id).toEqual(id);
      }
    });

    it('`discard` drops the written bytes, and does nothing if there are none.', async () => {
      const ksock = await stage.open();
      await ksock.discard();
      await ksock.writeMsg(new Announcement('$.a'));
      await ksock.discard();
      await refused(ksock.send(), 'ENOMSG');
      await ksock.writeData(new Announcement('$.a').toBytes().subarray(0, 90));
      await ksock.discard();
      await ksock.sendMsg(new Announcement('$.b'));
    });
  });
}

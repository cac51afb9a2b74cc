import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import type { MessageId } from '../../src/message/id.ts';
import { Announcement, type Message, Reply, Request } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, fill, next, readAll, readNames, readTexts } from './reading.ts';
import type { OriginalKsock, Stage } from './transport.ts';

const OR_WAIT = { flags: Flag.ALL_OR_WAIT };

interface Wait {
  readonly sender: OriginalKsock;
  readonly listener: OriginalKsock;
  readonly other: OriginalKsock;
}

/** A sender whose `$.News` waits for a listener with a full queue. */
async function announcing(stage: Stage): Promise<Wait> {
  const sender = await stage.open();
  const listener = await stage.open();
  const other = await stage.open();
  await listener.bind('$.News');
  await fill(listener, other);
  await refused(sender.sendMsg(new Announcement('$.News', 'waited', OR_WAIT)), 'EAGAIN');
  return { sender, listener, other };
}

interface RequestWait {
  readonly sender: OriginalKsock;
  readonly replier: OriginalKsock;
  readonly other: OriginalKsock;
  readonly id: MessageId;
}

/** A sender whose Request `$.Ask` waits for its Replier, whose queue is full. */
async function requesting(stage: Stage, to?: 'stateful'): Promise<RequestWait> {
  const sender = await stage.open();
  const replier = await stage.open();
  const other = await stage.open();
  await replier.bind('$.Ask', true);
  await fill(replier, other);
  const options = to === 'stateful' ? { ...OR_WAIT, to: replier.id } : OR_WAIT;
  await refused(sender.sendMsg(new Request('$.Ask', 'waited', options)), 'EAGAIN');
  return { sender, replier, other, id: await sender.lastMsgId() };
}

const isWritable = (ksock: OriginalKsock): Promise<boolean> => ksock.waitWritable({ timeout: 0 });

export function waiting(stage: Stage): void {
  describe('spec 1 §6.10: Waiting to send', () => {
    it('EAGAIN leaves the Ksock *sending*: it keeps the message and its id; `send` again ends that state.', async () => {
      const { sender, listener } = await announcing(stage);
      const id = await sender.lastMsgId();
      await refused(sender.send(), 'EAGAIN');
      await refused(sender.send(), 'EAGAIN');
      await next(listener);
      expect(await sender.send()).toEqual(id);
      const got = await next(listener);
      expect([got.text(), got.id]).toEqual(['waited', id]);
      expect(got.flags).toBe(Flag.ALL_OR_WAIT);
      await refused(sender.send(), 'ENOMSG');
      await sender.sendMsg(new Announcement('$.Other'));
      expect(await readAll(listener)).toEqual([]);
    });

    it('While the Ksock is sending, it is not writable; becoming writable (poll) ends that state.', async () => {
      const { sender, listener } = await announcing(stage);
      expect(await isWritable(sender)).toBe(false);
      await next(listener);
      expect(await isWritable(sender)).toBe(true);
      expect(await readTexts(listener)).toEqual(['waited']);
      await refused(sender.send(), 'ENOMSG');
      expect(await isWritable(sender)).toBe(true);
    });

    it('A Ksock that is not sending is writable; a read-only one never is.', async () => {
      expect(await isWritable(await stage.open())).toBe(true);
      expect(await isWritable(await stage.open('r'))).toBe(false);
    });

    it('`discard` ends that state.', async () => {
      const { sender, listener } = await announcing(stage);
      await sender.discard();
      expect(await isWritable(sender)).toBe(true);
      await refused(sender.send(), 'ENOMSG');
      await sender.sendMsg(new Announcement('$.Other'));
      expect(await readNames(listener)).toEqual(['$.Filler']);
    });

    it('While the Ksock is sending, writing another message gets EALREADY. New: the waiting message stays as it is.', async () => {
      const { sender, listener } = await announcing(stage);
      await refused(sender.sendMsg(new Announcement('$.News', 'other')), 'EALREADY');
      await refused(sender.writeMsg(new Announcement('$.News', 'other')), 'EALREADY');
      await refused(sender.writeData(Uint8Array.of(1)), 'EALREADY');
      await next(listener);
      await sender.send();
      expect(await readTexts(listener)).toEqual(['waited']);
    });

    it('While the Ksock is sending, it may read, bind and unbind.', async () => {
      const { sender, listener, other } = await announcing(stage);
      await sender.bind('$.Mine');
      await other.sendMsg(new Announcement('$.Mine', 'read'));
      expect((await next(sender)).text()).toBe('read');
      await sender.unbind('$.Mine');
      await sender.bind('$.Ask', true);
      expect(await other.findReplier('$.Ask')).toBe(sender.id);
      await refused(sender.send(), 'EAGAIN');
      await next(listener);
      await sender.send();
      expect(await readTexts(listener)).toEqual(['waited']);
    });

    it('New: a Request that waits holds the place for its Reply.', async () => {
      const { sender, replier, other } = await requesting(stage);
      await sender.bind('$.Mine');
      await sender.setMaxMessages(1);
      await refused(
        other.sendMsg(new Announcement('$.Mine', 'refused', { flags: Flag.ALL_OR_FAIL })),
        'EBUSY',
      );
      await next(replier);
      await sender.send();
      expect(await readTexts(replier)).toEqual(['waited']);
      await refused(
        other.sendMsg(new Announcement('$.Mine', 'refused', { flags: Flag.ALL_OR_FAIL })),
        'EBUSY',
      );
    });

    it.for([
      ['discarded', (wait: RequestWait) => wait.sender.discard()],
      [
        'refused when it is sent again',
        async (wait: RequestWait) => {
          await wait.replier.close();
          await refused(wait.sender.send(), 'EADDRNOTAVAIL');
        },
      ],
    ] as const)('A waiting Request that is %s gives that place back.', async ([, end]) => {
      const wait = await requesting(stage);
      const { sender, other } = wait;
      await sender.bind('$.Mine');
      await sender.setMaxMessages(1);
      await end(wait);
      await other.sendMsg(new Announcement('$.Mine', 'fits'));
      expect(await readTexts(sender)).toEqual(['fits']);
    });

    it.for([
      ['a read', (wait: Wait) => next(wait.listener)],
      ['an unbind', (wait: Wait) => wait.listener.unbind('$.Filler')],
      ['a raised limit', (wait: Wait) => wait.listener.setMaxMessages(2)],
    ] as const)('New: the retry wakes on anything that makes room: %s.', async ([, makeRoom]) => {
      const wait = await announcing(stage);
      const writable = wait.sender.waitWritable();
      await makeRoom(wait);
      expect(await writable).toBe(true);
      expect((await readAll(wait.listener)).at(-1)?.text()).toBe('waited');
    });

    it.for([
      ['an unbind of the very name', (wait: Wait) => wait.listener.unbind('$.News')],
      ['a close', (wait: Wait) => wait.listener.close()],
      ['a discard by the sender itself', (wait: Wait) => wait.sender.discard()],
    ] as const)(
      'New: the retry wakes when no full queue is left to wait for: %s.',
      async ([, leave]) => {
        const wait = await announcing(stage);
        const writable = wait.sender.waitWritable();
        await leave(wait);
        expect(await writable).toBe(true);
        await wait.sender.sendMsg(new Announcement('$.Other'));
      },
    );

    it('New: the retry wakes when a Reply that the full Ksock waited for has been read.', async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await listener.bind('$.News');
      await listener.setMaxMessages(1);
      const { id, from } = await ask(listener, replier, '$.Ask');
      await refused(sender.sendMsg(new Announcement('$.News', 'waited', OR_WAIT)), 'EAGAIN');
      const writable = sender.waitWritable();
      await replier.sendMsg(new Reply('$.Ask', 'reply', { inReplyTo: id, to: from }));
      expect((await next(listener)).text()).toBe('reply');
      expect(await writable).toBe(true);
      expect(await readTexts(listener)).toEqual(['waited']);
    });

    it('It waits for the Replier’s queue and for every listener’s.', async () => {
      const { sender, replier, other } = await requesting(stage);
      await other.bind('$.Ask');
      await fill(other, replier);
      const writable = sender.waitWritable();
      await readAll(replier);
      await refused(sender.send(), 'EAGAIN');
      await next(other);
      expect(await writable).toBe(true);
      expect(await readTexts(replier)).toEqual(['waited']);
      expect(await readTexts(other)).toEqual(['waited']);
    });

    it('Several senders that wait for one queue are served first come, first served.', async () => {
      const { sender, listener } = await announcing(stage);
      const second = await stage.open();
      await refused(second.sendMsg(new Announcement('$.News', 'second', OR_WAIT)), 'EAGAIN');
      const both = [second.waitWritable(), sender.waitWritable()];
      // Both wait now, however short a turn is.
      for (const one of [second, sender]) await one.numMessages();
      await next(listener);
      expect(await both[1]).toBe(true);
      expect((await next(listener)).text()).toBe('waited');
      expect(await both[0]).toBe(true);
      expect((await next(listener)).text()).toBe('second');
    });

    it('KBUS finds the recipients anew at each try.', async () => {
      const { sender, listener } = await announcing(stage);
      const late = await stage.open();
      await late.bind('$.*');
      await listener.unbind('$.News');
      await sender.send();
      expect(await readTexts(late)).toEqual(['waited']);
      expect(await readNames(listener)).toEqual(['$.Filler']);
    });

    it('A Request that waits goes to the Ksock that is the Replier when it is sent.', async () => {
      const { sender, replier, id } = await requesting(stage);
      const successor = await stage.open();
      const writable = sender.waitWritable();
      await successor.bind('$.%', true);
      await replier.unbind('$.Ask', true);
      expect(await writable).toBe(true);
      const request = await next(successor);
      expect([request.id, request.wantsUsToReply()]).toEqual([id, true]);
      expect(await readNames(replier)).toEqual(['$.Filler']);
    });

    it('Closing the Ksock while it is sending drops the message.', async () => {
      const { sender, listener } = await announcing(stage);
      await sender.close();
      expect(await readNames(listener)).toEqual(['$.Filler']);
      const request = await requesting(stage);
      await request.sender.close();
      expect(await readNames(request.replier)).toEqual(['$.Filler']);
    });

    describe('spec 1 §6.11: When poll retries a message that can never succeed', () => {
      const statusOf = (message: Message): unknown[] => [message.name, message.kind, message.from];

      it('the requester gets the Status `$.KBUS.Replier.Disappeared`, with from 0, if there is no Replier any more.', async () => {
        const { sender, replier, id } = await requesting(stage);
        const writable = sender.waitWritable();
        await replier.close();
        expect(await writable).toBe(true);
        const status = await next(sender);
        expect(statusOf(status)).toEqual(['$.KBUS.Replier.Disappeared', 'Status', 0]);
        expect([status.inReplyTo, status.to]).toEqual([id, sender.id]);
        await refused(sender.send(), 'ENOMSG');
        expect(await readAll(sender)).toEqual([]);
      });

      it('… also if it unbound while the send did not wait for it.', async () => {
        const { sender, replier, id } = await requesting(stage);
        await replier.unbind('$.Ask', true);
        expect(await sender.numMessages()).toBe(0);
        expect(await isWritable(sender)).toBe(true);
        const status = await next(sender);
        expect(statusOf(status)).toEqual(['$.KBUS.Replier.Disappeared', 'Status', 0]);
        expect(status.inReplyTo).toEqual(id);
      });

      it('`$.KBUS.ErrorSending` otherwise, with from 0: for a stateful Request when another Ksock is the Replier now.', async () => {
        const { sender, replier, id } = await requesting(stage, 'stateful');
        await replier.unbind('$.Ask', true);
        const successor = await stage.open();
        await successor.bind('$.Ask', true);
        expect(await isWritable(sender)).toBe(true);
        const status = await next(sender);
        expect(statusOf(status)).toEqual(['$.KBUS.ErrorSending', 'Status', 0]);
        expect([status.inReplyTo, status.to]).toEqual([id, sender.id]);
        expect(await readAll(successor)).toEqual([]);
      });

      it('The Status has the place that was held for the Reply.', async () => {
        const { sender, replier, other } = await requesting(stage);
        await sender.bind('$.Mine');
        await sender.setMaxMessages(1);
        await replier.close();
        await other.sendMsg(new Announcement('$.Mine', 'missed'));
        expect(await isWritable(sender)).toBe(true);
        expect(await readNames(sender)).toEqual(['$.KBUS.Replier.Disappeared']);
      });

      it('a Reply just ends: no requester waits for an answer to it.', async () => {
        const requester = await stage.open();
        const replier = await stage.open();
        const listener = await stage.open();
        await replier.bind('$.Ask', true);
        const { id, from } = await ask(requester, replier, '$.Ask');
        await listener.bind('$.Ask');
        await fill(listener, requester);
        const reply = new Reply('$.Ask', 'waits', { inReplyTo: id, to: from, ...OR_WAIT });
        await refused(replier.sendMsg(reply), 'EAGAIN');
        await requester.close();
        expect(await isWritable(replier)).toBe(true);
        expect(await readNames(listener)).toEqual(['$.Filler']);
        expect(await readAll(replier)).toEqual([]);
      });
    });

    it('If the user sends it again and it can never succeed, the call fails, and there is no Status.', async () => {
      const gone = await requesting(stage);
      await gone.replier.close();
      await refused(gone.sender.send(), 'EADDRNOTAVAIL');
      await refused(gone.sender.send(), 'ENOMSG');
      expect(await readAll(gone.sender)).toEqual([]);
    });

    it('… nor for a stateful one when another Ksock is the Replier: EPIPE.', async () => {
      const { sender, replier } = await requesting(stage, 'stateful');
      await replier.unbind('$.Ask', true);
      await (await stage.open()).bind('$.Ask', true);
      await refused(sender.send(), 'EPIPE');
      expect(await isWritable(sender)).toBe(true);
      expect(await readAll(sender)).toEqual([]);
    });

    it('A Request that was sent after waiting is outstanding: it gets its one Reply or Status.', async () => {
      const { sender, replier, id } = await requesting(stage);
      await next(replier);
      expect(await isWritable(sender)).toBe(true);
      await replier.close();
      expect((await readAll(sender)).map((m) => [m.name, m.inReplyTo])).toEqual([
        ['$.KBUS.Replier.GoneAway', id],
      ]);
    });

    it('A Request that waits for the sender’s own queue to drain wakes on its own read.', async () => {
      const alone = await stage.open();
      const other = await stage.open();
      await alone.bind('$.Ask', true);
      await fill(alone, other);
      // Its own queue is full: ENOLCK comes first.
      await refused(alone.sendMsg(new Request('$.Ask', '', OR_WAIT)), 'ENOLCK');
      await alone.bind('$.News');
      await refused(alone.sendMsg(new Announcement('$.News', 'waited', OR_WAIT)), 'EAGAIN');
      const writable = alone.waitWritable();
      await next(alone);
      expect(await writable).toBe(true);
      expect(await readTexts(alone)).toEqual(['waited']);
    });
  });
}

import { describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { Op } from '../../src/message/calls.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { EventError, EventReader } from '../../src/tap/event-reader.ts';
import { EventWalker } from '../../src/tap/event-walker.ts';
import type { EventOf, SeenMessage, TapEvent } from '../../src/tap/events.ts';
import { Program } from '../bus/program.ts';
import { Host, Peer, send } from '../daemon/peer.ts';
import { alikeFrame, messagesFrame } from '../support/frames.ts';
import { Observed, stateOfBus, stateOfView } from './observed.ts';

/** An event without its time, and with messages and ids as text. */
function shown({ time, ...event }: TapEvent): object {
  const text = (one: SeenMessage): string => `${one.kind} ${one.name} '${one.text()}'`;
  return Object.fromEntries(
    Object.entries(event).map(([key, value]) => [
      key,
      key === 'messages'
        ? (value as SeenMessage[]).map(text)
        : value instanceof MessageId
          ? String(value)
          : value,
    ]),
  );
}

const typesOf = (events: readonly TapEvent[]): string[] => events.map(({ type }) => type);

function only<T extends TapEvent['type']>(events: readonly TapEvent[], type: T): EventOf<T>[] {
  return events.filter((one): one is EventOf<T> => one.type === type);
}

describe('A tap', () => {
  it('begins with the whole state of the bus.', () => {
    const bus = new Bus({ number: 3, maxMessageSize: 5000 });
    const who = { program: 'thermostat ☃', pid: 812, uid: 1000, isClaimed: false };
    const program = new Program(bus, { mode: 'r', limit: 7, who });
    program.listen('$.Sensor.*');
    new Program(bus).announce('$.Sensor.Kitchen');
    const events = new Observed(bus).take();
    expect(events.map(shown)).toEqual([
      {
        type: 'begin',
        bus: 3,
        startedAt: 1000,
        maxMessageSize: 5000,
        reportReplierBinds: false,
        nextKsock: 3,
        nextSerial: 2,
      },
      expect.objectContaining({ type: 'ksock', ksock: 2, unread: 0 }),
      {
        type: 'ksock',
        ksock: 1,
        mode: 'r',
        program: 'thermostat ☃',
        pid: 812,
        uid: 1000,
        claimed: false,
        maxMessages: 7,
        once: false,
        unread: 1,
        missed: 0,
        outstanding: 0,
        unreplied: 0,
        sending: false,
      },
      { type: 'binding', binding: 1, ksock: 1, replier: false, name: '$.Sensor.*' },
      { type: 'ready' },
    ]);
  });

  it('shows the way of a Request: the message once, its copies, the reading and the answer.', () => {
    const bus = new Bus();
    const [asker, replier, listener] = [new Program(bus), new Program(bus), new Program(bus)];
    replier.answer('$.Ask');
    listener.listen('$.*');
    const observed = new Observed(bus);
    observed.take();
    asker.request('$.Ask', { data: 'time?', token: 5 });
    replier.ksock.take();
    replier.announce('$.Ask', { to: 1, inReplyTo: [0, 1], data: 'noon' });
    const about = { id: '[0:1]', count: 1 };
    const reply = { id: '[0:2]', count: 1 };
    expect(observed.take().map(shown)).toEqual([
      { type: 'messages', from: 1, ...about, messages: ["Request $.Ask 'time?'"] },
      { type: 'queued', ksock: 2, ...about, binding: 1, atFront: false, unread: 1 },
      { type: 'queued', ksock: 3, ...about, binding: 2, atFront: false, unread: 1 },
      { type: 'sent', ksock: 1, ...about, attempt: 'send', outstanding: 1 },
      { type: 'read', ksock: 2, ...about, isAsked: true, unread: 0, unreplied: 1 },
      { type: 'messages', from: 2, ...reply, messages: ["Reply $.Ask 'noon'"] },
      {
        type: 'answered',
        ksock: 1,
        ...reply,
        request: '[0:1]',
        status: '',
        isDirect: true,
        outstanding: 0,
        replier: 2,
        unreplied: 0,
      },
      { type: 'queued', ksock: 3, ...reply, binding: 2, atFront: false, unread: 2 },
      { type: 'sent', ksock: 2, ...reply, attempt: 'send', outstanding: 0 },
    ]);
  });

  it('names the Status that ends a Request, and who has left.', () => {
    const bus = new Bus();
    const [asker, replier] = [new Program(bus), new Program(bus)];
    replier.answer('$.Ask');
    asker.request('$.Ask');
    const observed = new Observed(bus);
    observed.take();
    replier.ksock.close();
    const events = observed.take();
    expect(typesOf(events)).toEqual(['messages', 'answered', 'queued', 'closed']);
    expect(only(events, 'answered')).toMatchObject([
      { ksock: 1, status: '$.KBUS.Replier.GoneAway', isDirect: false, replier: 2 },
    ]);
  });

  it('shows refusals with the message and the error, and never an id that was not given.', () => {
    const bus = new Bus();
    const program = new Program(bus);
    const observed = new Observed(bus);
    observed.take();
    program.request('$.Nobody', { data: 'x' });
    program.announce('no name', {});
    program.announce('', {});
    program.announce('$.é☃', {});
    program.announce(`$.${'L'.repeat(1000)}`, {});
    program.ksock.bind('$..A', false);
    const events = observed.take();
    expect(
      only(events, 'refused').map(({ errno, id, messages: [message] }) => [
        errno,
        String(id),
        message?.from,
        message?.name.slice(0, 10),
      ]),
    ).toEqual([
      [Errno.EADDRNOTAVAIL, '[0:1]', 1, '$.Nobody'],
      [Errno.EBADMSG, '[0:0]', 1, 'no name'],
      [Errno.EINVAL, '[0:0]', 1, '?'],
      [Errno.EBADMSG, '[0:0]', 1, '$.??'],
      [Errno.ENAMETOOLONG, '[0:0]', 1, '$.LLLLLLLL'],
    ]);
    expect(only(events, 'bindRefused')).toMatchObject([
      { ksock: 1, isBind: true, replier: false, name: '$..A', errno: Errno.EBADMSG },
    ]);
  });

  it('shows a message that waits once, however often it is tried.', () => {
    const bus = new Bus();
    const [sender, full] = [new Program(bus), new Program(bus, { limit: 1 })];
    full.listen('$.A');
    sender.announce('$.A', { data: 'first' });
    const observed = new Observed(bus);
    observed.take();
    sender.announce('$.A', { data: 'waits', flags: Flag.ALL_OR_WAIT });
    sender.ksock.poll();
    full.ksock.take();
    sender.ksock.poll();
    const events = observed.take();
    expect(typesOf(events)).toEqual(['messages', 'waiting', 'waiting', 'read', 'queued', 'sent']);
    expect(only(events, 'sent')).toMatchObject([{ attempt: 'poll', id: { serialNum: 2 } }]);
  });

  it('shows a given up Request, settings, and what a listener missed.', () => {
    const bus = new Bus();
    const [asker, replier] = [new Program(bus), new Program(bus, { limit: 1 })];
    replier.answer('$.Ask').listen('$.News');
    const observed = new Observed(bus);
    observed.take();
    asker.request('$.Ask', { token: 9 });
    asker.announce('$.News', {});
    asker.ksock.forget(9);
    replier.ksock.maxMessages(20);
    bus.maxMessageSize(3);
    const events = observed.take();
    expect(only(events, 'missed')).toMatchObject([{ ksock: 2, missed: 1, id: { serialNum: 2 } }]);
    expect(only(events, 'givenUp')).toMatchObject([
      { ksock: 1, isTakenBack: true, hasLeft: false, outstanding: 0, replier: 2, unread: 0 },
    ]);
    expect(only(events, 'set')).toMatchObject([
      { ksock: 2, setting: 'maxMessages', value: 20, result: 20 },
    ]);
  });

  it('takes one event for each thing that happens to many messages alike.', () => {
    const [host, bus] = [new Host(), new Bus()];
    const listener = new Program(bus).listen('$.N');
    const peer = Peer.open(host, bus);
    const observed = new Observed(bus);
    observed.take();
    peer.say(alikeFrame('SEND', new Announcement('$.N'), new Array<string>(100).fill('x')));
    listener.ksock.takeMany(60);
    const events = observed.take();
    expect(typesOf(events)).toEqual(['messages', 'queued', 'sent', 'read']);
    expect(only(events, 'messages')[0]?.messages).toHaveLength(100);
    expect(only(events, 'read')[0]).toMatchObject({ count: 60, unread: 40 });
  });

  it('tells of nothing any more when it was stopped, and leaves no trace on the bus.', () => {
    const bus = new Bus();
    const before = JSON.stringify([bus.nextKsockId, stateOfBus(bus), bus.memory.held]);
    const observed = new Observed(bus);
    observed.take();
    observed.tap.stop();
    expect(bus.observer).toBeNull();
    expect(JSON.stringify([bus.nextKsockId, stateOfBus(bus), bus.memory.held])).toBe(before);
  });
});

describe('The data of messages', () => {
  const lengths = (events: readonly TapEvent[]): number[][] =>
    only(events, 'messages').flatMap(({ messages }) =>
      messages.map(({ dataLength, wholeLength }) => [dataLength, wholeLength]),
    );

  it.for([
    [
      0,
      [
        [0, 5000],
        [0, 3],
      ],
    ],
    [
      100,
      [
        [100, 5000],
        [3, 3],
      ],
    ],
    [
      5000,
      [
        [5000, 5000],
        [3, 3],
      ],
    ],
  ] as const)('is cut to %s bytes, and its whole length is told.', ([data, expected]) => {
    const bus = new Bus();
    const program = new Program(bus);
    const observed = new Observed(bus, { data });
    observed.take();
    program.announce('$.Large', { data: 'x'.repeat(5000) });
    program.announce('$.Small', { data: 'abc' });
    const events = observed.take();
    expect(lengths(events)).toEqual(expected);
    for (const { messages } of only(events, 'messages')) {
      for (const message of messages) expect(message.text()).toMatch(/^(x*|(abc)?)$/);
    }
  });

  it('is cut in each message of a batch.', () => {
    const [host, bus] = [new Host(), new Bus()];
    const peer = Peer.open(host, bus);
    const observed = new Observed(bus, { data: 4 });
    observed.take();
    const texts = ['1234567', '', 'abcde', 'abc'];
    peer.say(
      messagesFrame(
        'SEND',
        texts.map((text) => new Announcement('$.N', text)),
      ),
    );
    const events = observed.take();
    expect(lengths(events)).toEqual([
      [4, 7],
      [0, 0],
      [4, 5],
      [3, 3],
    ]);
    const got = only(events, 'messages').flatMap(({ messages }) => messages);
    expect(got.map((one) => one.text())).toEqual(['1234', '', 'abcd', 'abc']);
  });

  it('takes a fourth of what may wait at most.', () => {
    const bus = new Bus();
    const program = new Program(bus);
    const observed = new Observed(bus, {}, 40_000);
    observed.take();
    program.announce('$.Large', { data: 'x'.repeat(30_000) });
    expect(lengths(observed.take())).toEqual([[10_000, 30_000]]);
  });

  it('of a long batch comes in several events, complete and in order.', () => {
    const [host, bus] = [new Host(), new Bus()];
    const peer = Peer.open(host, bus);
    const observed = new Observed(bus);
    observed.take();
    const all = Array.from(
      { length: 200 },
      (_, at) => new Announcement('$.N', `${at} `.repeat(99)),
    );
    peer.say(messagesFrame('SEND', all));
    const events = only(observed.take(), 'messages');
    expect(events.length).toBeGreaterThan(1);
    const got = events.flatMap(({ messages }) => messages);
    expect(got.map((one) => one.text())).toEqual(all.map((one) => one.text()));
    expect(got.map(({ id }) => id.serialNum)).toEqual(all.map((_, at) => at + 1));
  });
});

describe('A filter', () => {
  const play = (filter: ConstructorParameters<typeof Observed>[1]): TapEvent[] => {
    const [host, bus] = [new Host(), new Bus()];
    const [replier, listener] = [new Program(bus).answer('$.Ask.It'), new Program(bus)];
    listener.listen('$.*');
    const peer = Peer.open(host, bus);
    const observed = new Observed(bus, filter);
    observed.take();
    const names = ['$.A.x', '$.B', '$.A.y', '$.A.y', '$.C', '$.A.z'];
    peer.say(
      messagesFrame(
        'SEND',
        names.map((name) => new Announcement(name, name)),
      ),
    );
    peer.say(send(new Request('$.Ask.It', '?'), 20));
    replier.ksock.take();
    replier.announce('$.Ask.It', { to: 3, inReplyTo: [0, 7] });
    listener.ksock.takeMany(8);
    return observed.take();
  };
  const serials = (events: readonly TapEvent[], type: 'messages' | 'queued' | 'sent' | 'read') =>
    only(events, type).flatMap(({ id, count }) =>
      Array.from({ length: count }, (_, at) => id.serialNum + at),
    );

  it('of names shows these messages only, also of one batch, and all that becomes of them.', () => {
    const events = play({ names: ['$.A.*'] });
    for (const type of ['messages', 'queued', 'sent', 'read'] as const) {
      expect(serials(events, type), type).toEqual([1, 3, 4, 6]);
    }
    const got = only(events, 'messages').flatMap(({ messages }) => messages);
    expect(got.map((one) => one.text())).toEqual(['$.A.x', '$.A.y', '$.A.y', '$.A.z']);
  });

  it('of kinds shows these messages only.', () => {
    expect(serials(play({ kinds: ['request'] }), 'messages')).toEqual([7]);
    expect(serials(play({ kinds: ['reply'] }), 'messages')).toEqual([8]);
    expect(serials(play({ kinds: ['announcement', 'reply'] }), 'sent')).toEqual([
      1, 2, 3, 4, 5, 6, 8,
    ]);
    expect(serials(play({ kinds: ['status'] }), 'messages')).toEqual([]);
  });
});

describe('Events as bytes', () => {
  const block = (): Uint8Array => {
    const bus = new Bus();
    const [asker, replier] = [new Program(bus), new Program(bus)];
    const observed = new Observed(bus, { data: 3 });
    replier.answer('$.Ask').listen('$.*');
    asker.request('$.Ask', { data: 'time?' });
    replier.ksock.take();
    asker.ksock.close();
    replier.ksock.unbind('$.Ask', true);
    observed.take();
    return observed.blocks.at(-1) as Uint8Array;
  };

  it('end with an error where they are cut off, and give what is before.', () => {
    const bytes = block();
    const all = new EventReader().read(bytes);
    for (let length = 0; length < bytes.length; length++) {
      let events: TapEvent[] = [];
      try {
        events = new EventReader().read(bytes.subarray(0, length));
      } catch (error) {
        expect(error).toBeInstanceOf(EventError);
        continue;
      }
      expect(events.map(shown)).toEqual(all.slice(0, events.length).map(shown));
    }
  });

  it('are passed over by a walker, from one to the next, without being read.', () => {
    const bytes = block();
    const events = new EventReader().read(bytes);
    const walker = new EventWalker();
    const reader = new EventReader();
    walker.begin(bytes);
    const walked: TapEvent[] = [];
    while (walker.step()) {
      const { code, from, time, to } = walker;
      walked.push(reader.readOne(code, time, bytes.subarray(0, to), from));
    }
    expect(walked.map(shown)).toEqual(events.map(shown));
    for (let length = 0; length < bytes.length; length++) {
      try {
        walker.begin(bytes.subarray(0, length));
        while (walker.step()) expect(walker.to).toBeLessThanOrEqual(length);
      } catch (error) {
        expect(error).toBeInstanceOf(EventError);
      }
    }
  });

  it('of another version are refused with both versions.', () => {
    const bus = new Bus();
    const observed = new Observed(bus);
    observed.take();
    const bytes = (observed.blocks[0] as Uint8Array).slice();
    bytes[22] = 9;
    expect(() => new EventReader().read(bytes)).toThrow(
      'events of version 9, where this program reads version 1; use the same version of kbus for both',
    );
  });

  it('carry times past 32 bits.', () => {
    const bus = new Bus();
    const observed = new Observed(bus);
    observed.take();
    (observed as unknown as { time: number }).time = 2 ** 45;
    new Program(bus);
    expect(observed.take().map(({ time }) => time)).toEqual([2 ** 45 + 1, 2 ** 45 + 2]);
    expect(stateOfView(observed.view)).toEqual(stateOfBus(bus));
  });
});

it('All calls of a program show: Op has no other that changes the bus.', () => {
  // A new call that changes what others see needs an event, and a line here.
  const silent = ['FIND_REPLIER', 'NUM_MESSAGES', 'NUM_UNREPLIED_TO', 'LAST_MSG_ID', 'BINDINGS'];
  const shownBy = ['BIND', 'UNBIND', 'MAX_MESSAGES', 'WANT_MESSAGES_ONCE', 'REPORT_REPLIER_BINDS'];
  const more = [
    'VERBOSE',
    'MAX_MESSAGE_SIZE',
    'RESEND',
    'DISCARD',
    'POLL',
    'CLOSE',
    'FORGET',
    'KICK',
  ];
  const ofConnection = ['RECALL', 'CANCEL', 'SYNC', 'HEAR_OWN', 'STATS', 'ACCESS', 'NEW_DEVICE'];
  expect([...silent, ...shownBy, ...more, ...ofConnection].sort()).toEqual(Object.keys(Op).sort());
});

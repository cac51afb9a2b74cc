import { beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { knownNames } from '../../src/message/codec/known-names.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Message } from '../../src/message/message.ts';
import { HelloMode } from '../../src/wire/protocol.ts';
import {
  type Frame,
  frame,
  frameText,
  knownRecord,
  messagesFrame,
  record,
  same,
} from '../support/frames.ts';
import { Host, Peer, send } from './peer.ts';

// Names that the daemon tells its clients, and that records may then leave out.

let host: Host;
let bus: Bus;
beforeEach(() => {
  knownNames.clear();
  host = new Host();
  bus = new Bus({ maxMessages: 100_000 });
});

const NAMES_TOO = HelloMode.BOTH | HelloMode.NAMES;

/** A client that reads records without names, and one that does not. */
const openTold = (): Peer => Peer.open(host, bus, NAMES_TOO);
const openPlain = (): Peer => Peer.open(host, bus);

/** The names that a frame tells, by number. */
function namesIn({ kind, words, body }: Frame): Record<number, string> {
  expect(kind).toBe('NAMES');
  const count = words[0] as number;
  const names = frameText({ body } as Frame, 1 + count).split(' ');
  expect(names).toHaveLength(count);
  return Object.fromEntries(names.map((name, at) => [words[1 + at], name]));
}

/** Sends a message twice, so that the daemon tells its name; gives the number. */
function tell(sender: Peer, name: string): number {
  sender.say(send(new Announcement(name), 1), send(new Announcement(name), 2));
  const told = sender.hear().filter(({ kind }) => kind === 'NAMES');
  return Number(Object.keys(namesIn(told.at(-1) as Frame)).at(-1));
}

const known = (name: string, number: number, text = '', token = 9): Buffer =>
  messagesFrame('SEND', [knownRecord(name, number, text)], { token });

/** What a client hears of messages: `#` and a number is a name that it was told before. */
const heardOf = (peer: Peer): string[] =>
  peer
    .hear()
    .map((one) =>
      one.kind === 'NAMES'
        ? JSON.stringify(namesIn(one))
        : `${one.message?.name} ${one.message?.text()}`,
    );

function reading(peer: Peer, name = '$.*'): Peer {
  peer.bind(name);
  peer.say(frame('CREDIT', { words: [10_000] }));
  peer.hear();
  return peer;
}

describe('A name', () => {
  it('is told to a sender that says it for the second time, once.', () => {
    const sender = openTold();
    sender.say(send(new Announcement('$.News'), 1));
    expect(sender.kinds()).toEqual(['SENT']);
    sender.say(send(new Announcement('$.News'), 2));
    const [names, sent] = sender.hear();
    expect(namesIn(names as Frame)).toEqual({ 1: '$.News' });
    expect(sent?.kind).toBe('SENT');
    sender.say(send(new Announcement('$.News'), 3), known('$.News', 1));
    expect(sender.kinds()).toEqual(['SENT', 'SENT']);
  });

  it('is told to a listener before the first message without it.', () => {
    const sender = openTold();
    const listener = reading(openTold());
    const number = tell(sender, '$.News');
    // These came with the name.
    expect(heardOf(listener)).toEqual(['$.News ', '$.News ']);
    sender.say(known('$.News', number, 'a'), known('$.News', number, 'b', 10));
    expect(heardOf(listener)).toEqual(['{"1":"$.News"}', '#1 a', '#1 b']);
    sender.say(known('$.News', number, 'c', 11));
    expect(heardOf(listener)).toEqual(['#1 c']);
  });

  it('is told to nobody who does not get messages with it.', () => {
    const sender = openTold();
    const other = reading(openTold(), '$.Other');
    const number = tell(sender, '$.News');
    sender.say(known('$.News', number));
    expect(heardOf(other)).toEqual([]);
  });

  it('stands in each message of a client that reads no numbers, however the message comes.', () => {
    const sender = openTold();
    const [prefetching, taking] = [reading(openPlain()), openPlain()];
    taking.bind('$.*');
    const number = tell(sender, '$.News');
    prefetching.hear();
    taking.say(...[1, 2, 3].map((token) => frame('TAKE', { token })));
    taking.hear();
    const records = [
      knownRecord('$.News', number, 'a'),
      same('bc'),
      record(new Message('$.b', 'd')),
    ];
    sender.say(
      messagesFrame('SEND', [...records, knownRecord('$.News', number, 'e')], { token: 9 }),
    );
    expect(heardOf(prefetching)).toEqual(['$.News a', '$.News bc', '$.b d', '$.News e']);
    expect(prefetching.batches.at(-1)).toBe(4);
    taking.say(...[4, 5].map((token) => frame('TAKE', { token })));
    expect(heardOf(taking)).toEqual(['$.News a', '$.News bc']);
    // Prefetched from the middle, the first record has the head of one that was taken.
    taking.say(frame('CREDIT', { words: [1] }));
    expect(heardOf(taking)).toEqual(['$.b d']);
  });

  it('comes with long data, which is passed on in pieces.', () => {
    const sender = openTold();
    const [one, other] = [reading(openTold()), reading(openPlain())];
    const number = tell(sender, '$.News');
    for (const peer of [one, other]) peer.hear();
    const text = 'x'.repeat(100_000);
    sender.say(known('$.News', number, text));
    expect(heardOf(other)).toEqual([`$.News ${text}`]);
    expect(heardOf(one)).toEqual(['{"1":"$.News"}', `#1 ${text}`]);
  });

  it('may be left out of Requests; the Replier is the one for it.', () => {
    const asker = openTold();
    const replier = openPlain();
    replier.bind('$.Ask', true);
    replier.say(frame('CREDIT', { words: [9] }));
    replier.hear();
    const number = tell(asker, '$.Ask');
    const request = knownRecord('$.Ask', number, 'time?', Flag.WANT_A_REPLY);
    asker.say(messagesFrame('SEND', [request], { token: 5 }));
    const [heard] = replier.hear().slice(-1);
    expect([heard?.detail, heard?.message?.name]).toEqual([1, '$.Ask']);
  });

  it('has its own number for each name, also when many are told at once.', () => {
    const sender = openTold();
    const listener = reading(openTold());
    const names = Array.from({ length: 1000 }, (_, at) => `$.Many.n${at}`);
    const all = messagesFrame(
      'SEND',
      names.map((name) => record(new Announcement(name, name))),
    );
    // The daemon may forget some that it has seen once, when it makes room for more.
    sender.say(all, all, all);
    const told: Record<number, string> = {};
    const frames = sender.hear().filter(({ kind }) => kind === 'NAMES');
    for (const one of frames) Object.assign(told, namesIn(one));
    expect(Object.values(told).sort()).toEqual(names.toSorted());
    expect(frames.length).toBeLessThan(10);
    listener.hear();
    const records = Object.entries(told).map(([number, name]) =>
      knownRecord(name, Number(number), name),
    );
    sender.say(messagesFrame('SEND', records, { token: 7 }));
    const heard = listener.hear();
    const learned: Record<number, string> = {};
    for (const one of heard.filter(({ kind }) => kind === 'NAMES')) {
      Object.assign(learned, namesIn(one));
    }
    expect(learned).toEqual(told);
    const messages = heard.flatMap(({ message }) => message ?? []);
    expect(messages.map(({ name }) => told[Number(name.slice(1))])).toEqual(Object.values(told));
    expect(messages.map((message) => message.text())).toEqual(Object.values(told));
  });
});

describe('A record without a name', () => {
  it('is refused with a number that its sender was not told, though others were.', () => {
    const number = tell(openTold(), '$.News');
    const sender = openTold();
    sender.say(known('$.News', number));
    const [last] = sender.hear().slice(-1);
    expect([last?.kind, last?.words[0]]).toEqual(['FAREWELL', Errno.EPROTO]);
    expect(frameText(last as Frame, 1)).toBe(
      `the number ${number} in place of a name, which the daemon has not told`,
    );
  });

  it.for([0, 2, 16_385, 0xffff_ffff])('is refused with a number that nobody has: %i.', (number) => {
    const sender = openTold();
    tell(sender, '$.News');
    sender.say(known('$.News', number));
    expect(sender.kinds()).toEqual(['FAREWELL']);
  });

  it('is refused with another length than that of its name.', () => {
    const sender = openTold();
    const number = tell(sender, '$.News');
    sender.say(known('$.New', number));
    const [last] = sender.hear().slice(-1);
    expect(frameText(last as Frame, 1)).toBe(
      `a name of 5 bytes with number ${number}, which is that of $.News`,
    );
  });

  it('is refused from a client that reads no numbers.', () => {
    const number = tell(openTold(), '$.News');
    const sender = openPlain();
    sender.say(known('$.News', number));
    const [last] = sender.hear().slice(-1);
    expect(frameText(last as Frame, 1)).toBe('unknown fields in a message');
  });
});

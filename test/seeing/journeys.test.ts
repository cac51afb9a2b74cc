import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { isMoreSpecific } from '../../src/message/name.ts';
import { type Journey, Journeys } from '../../src/seeing/journeys.ts';
import { recipientsOf } from '../../src/seeing/recipients.ts';
import { treeOf } from '../../src/seeing/tree.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { Watched } from './watched.ts';

/** A bus whose messages are followed; `trees` gives those that are finished, `open` those that are not. */
function followed(wants: (message: { name: string }) => boolean = () => true, size?: number) {
  const finished: Journey[] = [];
  const journeys = new Journeys(wants, (journey) => finished.push(journey));
  const watch = new Watched(journeys, {}, () => {}, size);
  const tree = (journey: Journey): string =>
    treeOf(journey, { timeOf: () => 'T', now: watch.time }).join('\n');
  const trees = (): string[] => {
    watch.settle();
    return finished.splice(0).map(tree);
  };
  const open = (): string[] => {
    watch.settle();
    return journeys.unfinished.map(tree);
  };
  return { watch, trees, open };
}

describe('The tree of a message', () => {
  it('has who read an Announcement, at which place and after how long, and who missed it', () => {
    const { watch, trees, open } = followed();
    const sender = watch.program('sender');
    const first = watch.program('first').listen('$.A', '$.*');
    watch.program('full', { limit: 1 }).listen('$.A');
    sender.announce('$.A', { data: '12345' });
    watch.pass(1500);
    sender.announce('$.A');
    watch.pass(500);
    for (let at = 0; at < 3; at++) first.next();
    expect(trees()).toEqual([]);
    expect(open()).toEqual([
      `T [0:1] Announcement $.A from Ksock 1 (sender), 5 B
├─ queued for Ksock 3 (full), which listens to $.A: place 1
│  └─ not read yet, after 2.0 ms
├─ queued for Ksock 2 (first), which listens to $.*: place 1
│  └─ read after 2.0 ms
└─ queued for Ksock 2 (first), which listens to $.A: place 2
   └─ read after 2.0 ms`,
      `T [0:2] Announcement $.A from Ksock 1 (sender)
├─ queued for Ksock 2 (first), which listens to $.*: place 3
│  └─ read after 500 µs
├─ queued for Ksock 2 (first), which listens to $.A: place 4
│  └─ not read yet, after 500 µs
└─ missed by Ksock 3 (full): its queue was full`,
    ]);
    first.next();
    expect(trees()[0]).toContain('$.A: place 4\n│  └─ read after 500 µs');
  });

  it('has the answer to a Request, and who heard that', () => {
    const { watch, trees } = followed();
    const asker = watch.program('asker');
    const replier = watch.program('replier').answer('$.Ask');
    const listener = watch.program('listener').listen('$.Ask');
    asker.request('$.Ask', { token: 1 });
    watch.pass(100);
    const request = replier.next();
    listener.next();
    watch.pass(20_000);
    replier.reply(request, { data: 'yes' });
    watch.pass(1000);
    expect(trees()).toEqual([]);
    listener.next();
    expect(trees()).toEqual([
      `T [0:1] Request $.Ask from Ksock 1 (asker)
├─ queued for Ksock 2 (replier), which replies to $.Ask: place 1
│  └─ read after 100 µs
├─ queued for Ksock 3 (listener), which listens to $.Ask: place 1
│  └─ read after 100 µs
└─ answered by Ksock 2 (replier) after 20 ms: Reply [0:2], 3 B
   └─ queued for Ksock 3 (listener), which listens to $.Ask: place 1
      └─ read after 1.0 ms`,
    ]);
  });

  it('has the Reply that the requester reads from its queue', () => {
    const { watch, trees } = followed();
    const asker = watch.program('asker');
    const replier = watch.program('replier').answer('$.Ask');
    asker.request('$.Ask');
    replier.reply(replier.next());
    watch.pass(1000);
    asker.next();
    expect(trees()[0]).toContain(`
   └─ queued for Ksock 1 (asker), as the answer to its Request: place 1
      └─ read after 1.0 ms`);
  });

  it.each([
    [
      'GoneAway',
      false,
      'close',
      'the Replier left before it had read the Request, as far as KBUS knows',
    ],
    ['Ignored', true, 'close', 'the Replier left without an answer'],
    ['Unbound', false, 'unbind', 'the Replier unbound the name before it had read the Request'],
  ])('has the Status %s', (status, isRead, how, means) => {
    const { watch, trees } = followed();
    const asker = watch.program('asker');
    const replier = watch.program('replier').answer('$.Ask');
    asker.request('$.Ask', { token: 1 });
    if (isRead) replier.next();
    watch.pass(3000);
    if (how === 'close') replier.close();
    else replier.ksock.unbind('$.Ask', true);
    const [tree = ''] = trees();
    expect(tree).toContain(`ended by KBUS after 3.0 ms: $.KBUS.Replier.${status}, ${means}`);
    if (!isRead)
      expect(tree).toMatch(/(lost|removed) after 3\.0 ms: the Ksock has (left|unbound the name)/);
  });

  it.each([
    [
      true,
      'taken back after 4.0 ms, unread: the requester has given up',
      'the requester waits no longer; nobody carries it out',
    ],
    [false, 'read after 0 µs', 'the requester waits no longer; a Reply will be refused'],
  ])('has a Request that was given up (unread: %s)', (isUnread, copy, end) => {
    const { watch, trees } = followed();
    const asker = watch.program('asker');
    const replier = watch.program('replier').answer('$.Ask');
    asker.request('$.Ask', { token: 1 });
    if (!isUnread) replier.next();
    watch.pass(4000);
    asker.ksock.forget(1);
    const [tree] = trees();
    expect(tree).toContain(`│  └─ ${copy}\n└─ given up after 4.0 ms: ${end}`);
  });

  it('has a refusal, with the reason', () => {
    const { watch, trees } = followed();
    watch.program('sender').request('$.Nobody');
    expect(trees()).toEqual([
      expect.stringMatching(
        /^T \[0:1\] Request \$\.Nobody from Ksock 1 \(sender\)\n└─ refused with EADDRNOTAVAIL: .+$/,
      ),
    ]);
  });

  it('has how long a message waited for room, and whether it was discarded', () => {
    const { watch, trees, open } = followed();
    const sender = watch.program('sender');
    const listener = watch.program('listener', { limit: 1 }).listen('$.A');
    sender.announce('$.A', { flags: Flag.ALL_OR_WAIT });
    sender.announce('$.A', { flags: Flag.ALL_OR_WAIT });
    watch.pass(7000);
    expect(open()[1]).toContain('waits for room in a queue, for 7.0 ms so far');
    listener.next();
    sender.ksock.resend();
    listener.next();
    expect(trees()[1]).toContain(
      'waited 7.0 ms for room in a queue\n└─ queued for Ksock 2 (listener)',
    );
    sender.announce('$.A', { flags: Flag.ALL_OR_WAIT });
    sender.announce('$.A', { flags: Flag.ALL_OR_WAIT });
    sender.ksock.discard();
    expect(trees()[0]).toContain('discarded by its sender after 0 µs: nobody got it');
  });

  it('says that nobody listens', () => {
    const { watch, trees } = followed();
    watch.program('sender').announce('$.A');
    expect(trees()).toEqual([
      'T [0:1] Announcement $.A from Ksock 1 (sender)\n└─ nobody listens to it',
    ]);
  });

  it('follows only those that are wanted, and cuts those of which events were lost', () => {
    const { watch, trees } = followed(({ name }) => name === '$.A', 20_000);
    const sender = watch.program('sender');
    watch.program('listener').listen('$.*');
    sender.announce('$.A');
    watch.settle();
    for (let at = 0; at < 2000; at++) sender.announce('$.B');
    expect(trees()).toEqual([
      expect.stringMatching(/\$\.A from[\s\S]*└─ what became of it then was not seen/),
    ]);
  });

  it('escapes what programs say', () => {
    const { watch, trees } = followed();
    watch.program('evil\x1b[2J\n').announce('$.A');
    expect(trees()[0]).toContain('from Ksock 1 (evil\\x1b[2J\\n)');
  });
});

describe('Who would get a message', () => {
  const viewOf = (setUp: (watch: Watched) => void): BusView => {
    const view = new BusView();
    const watch = new Watched(view);
    setUp(watch);
    watch.settle();
    return view;
  };
  const told = ({
    binding,
    ksock,
    why,
  }: {
    binding: { name: string };
    ksock: { program: string };
    why: string;
  }) => [ksock.program, binding.name, why].filter((part) => part !== '').join(' | ');

  it('is the most specific Replier, and each Listener with room', () => {
    const view = viewOf((watch) => {
      watch.program('any').answer('$.*');
      watch.program('one').answer('$.%.Set');
      watch.program('exact').answer('$.Heater.Set');
      watch.program('hears').listen('$.Heater.*');
      watch.program('full', { limit: 1 }).listen('$.*');
      const once = watch.program('once').listen('$.Heater.Set', '$.Heater.%');
      once.ksock.wantMessagesOnce(1);
      watch.program('sender').announce('$.Other');
    });
    const { listeners, near, others, replier } = recipientsOf(view, '$.Heater.Set');
    expect(replier && told(replier)).toBe('exact | $.Heater.Set');
    expect(others.map(told)).toEqual([
      "one | $.%.Set | '$.Heater.Set' is more specific than '$.%.Set'",
      "any | $.* | '$.Heater.Set' is more specific than '$.*'",
    ]);
    expect(listeners.map(told)).toEqual([
      'hears | $.Heater.*',
      'full | $.* | its queue is full: it would miss the message',
      'once | $.Heater.Set | it wants each message once, and gets it by another name',
      'once | $.Heater.%',
    ]);
    expect(near).toEqual([]);
  });

  it('is nobody whose name only looks alike', () => {
    const view = viewOf((watch) => {
      watch.program('case').answer('$.heater.set');
      watch.program('below').listen('$.Heater.Set.*', '$.Other');
    });
    const { listeners, near, replier } = recipientsOf(view, '$.Heater.Set');
    expect([replier, listeners]).toEqual([null, []]);
    expect(near.map(told)).toEqual([
      "case | $.heater.set | '$.heater.set' does not match '$.Heater.Set'",
      "below | $.Heater.Set.* | '$.Heater.Set.*' does not match '$.Heater.Set'",
    ]);
  });

  it('is what the bus does', () => {
    const names = ['$.A', '$.A.B', '$.*', '$.A.*', '$.%', '$.A.%', '$.%.B', '$.%.*'];
    expect(isMoreSpecific('$.A', '$.*')).toBe(true);
    const view = new BusView();
    const watch = new Watched(view);
    const programs = names.map((name) => watch.program(name).answer(name));
    const asker = watch.program('asker');
    for (const name of ['$.A', '$.A.B', '$.C.B', '$.A.C', '$.A.B.C', '$.C', '$.C.D.E']) {
      watch.settle();
      const { replier } = recipientsOf(view, name);
      asker.request(name);
      const got = programs.find((program) => program.rest().length > 0);
      expect([name, replier?.ksock.ksock]).toEqual([name, got?.id]);
    }
  });
});

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { BUS_GONE_AWAY } from '../../src/client/ports/port.ts';
import type { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request } from '../../src/message/message.ts';
import type { StatusError } from '../../src/message/request-error.ts';
import { fill, next, readNames } from '../conformance/reading.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { Program, translatePrograms } from '../support/program.ts';
import { failed, refused } from '../support/refused.ts';

let programs: string;
beforeAll(async () => {
  programs = await translatePrograms();
});

let running: Program[] = [];
afterEach(async () => {
  await Promise.all(running.map((program) => program.kill()));
  running = [];
});

function run(program: string, ...words: string[]): Program {
  const started = new Program(`${programs}/${program}.js`, words);
  running.push(started);
  return started;
}

describe('A program that only waits for Requests', () => {
  let local: LocalDaemon;
  let requester: Ksock;
  beforeEach(async () => {
    local = await LocalDaemon.start();
    requester = await local.open();
  });
  afterEach(() => local.stop());

  async function start(how: string): Promise<Program> {
    const program = run('keeper', local.directory, how);
    expect(await program.line()).toBe('ready');
    return program;
  }

  it.for(['kept', 'ref'])('runs as long as its Ksock is open (%s).', async (how) => {
    const program = await start(how);
    expect((await requester.request('$.Keeper', 'once')).text()).toBe('here');
    await failed(requester.request('$.Keeper', 'close'));
    expect(await program.rest()).toEqual(['asked once', 'asked close', 'ends']);
    expect(program.complaints).toBe('');
  });

  it('exits by itself if its Ksock is unref’ed, and leaves the bus.', async () => {
    const program = await start('unref');
    expect(await program.rest()).toEqual(['ends']);
    await refused(requester.request('$.Keeper'), 'EADDRNOTAVAIL');
  });

  it('exits by itself if its reconnecting Ksock is unref’ed while no daemon runs.', async () => {
    const program = await start('lost');
    await local.stop();
    expect(await program.rest()).toEqual(['ends']);
    expect(program.complaints).toBe('');
  });
});

describe('When a program is killed in any state,', () => {
  let local: LocalDaemon;
  let requester: Ksock;
  beforeEach(async () => {
    local = await LocalDaemon.start();
    requester = await local.open();
  });
  afterEach(() => local.stop());

  async function start(): Promise<Program> {
    const program = run('client', local.directory);
    expect(await program.line()).toMatch(/^open \d+$/);
    return program;
  }

  const namesOf = async (count: number): Promise<string[]> => {
    const names: string[] = [];
    while (names.length < count) names.push(((await requester.waitForMsg()) as Message).name);
    expect(await requester.numMessages()).toBe(0);
    return names;
  };

  it('the Requests that it has not read get GoneAway, and its bindings go.', async () => {
    const program = await start();
    await program.ask('["bind", "$.a", true]');
    await requester.sendMsg(new Request('$.a'));
    await requester.sendMsg(new Request('$.a'));
    await program.kill();
    expect(await namesOf(2)).toEqual(Array(2).fill('$.KBUS.Replier.GoneAway'));
    expect(await requester.findReplier('$.a')).toBeNull();
  });

  it('the Requests that it has read get Ignored, last read first, after the others.', async () => {
    const program = await start();
    await program.ask('["bind", "$.a", true]');
    const ids: string[] = [];
    for (let at = 0; at < 3; at++) ids.push(String(await requester.sendMsg(new Request('$.a'))));
    expect(await program.ask('["read"]')).toContain(`id=${ids[0]}`);
    expect(await program.ask('["read"]')).toContain(`id=${ids[1]}`);
    await program.kill();
    const statuses: string[][] = [];
    for (let at = 0; at < 3; at++) {
      const { name, inReplyTo } = (await requester.waitForMsg()) as Message;
      statuses.push([name, String(inReplyTo)]);
    }
    expect(statuses).toEqual([
      ['$.KBUS.Replier.GoneAway', ids[2]],
      ['$.KBUS.Replier.Ignored', ids[1]],
      ['$.KBUS.Replier.Ignored', ids[0]],
    ]);
  });

  it('prefetched Requests that it has not consumed get GoneAway; consumed ones get Ignored.', async () => {
    const program = await start();
    await program.ask('["bind", "$.a", true]');
    for (let at = 0; at < 4; at++) await requester.sendMsg(new Request('$.a'));
    await program.ask('["readOne"]');
    await program.ask('["readOne"]');
    // A consumed message counts as unread until the client has reported it.
    while ((await unread()) > 2);
    await program.kill();
    expect(await namesOf(4)).toEqual([
      ...Array(2).fill('$.KBUS.Replier.GoneAway'),
      ...Array(2).fill('$.KBUS.Replier.Ignored'),
    ]);
  });

  it('a request that waits for it rejects with the Status.', async () => {
    const program = await start();
    await program.ask('["bind", "$.a", true]');
    const asked = [failed(requester.request('$.a')), failed(requester.request('$.a'))];
    await program.ask('["read"]');
    await program.kill();
    const statuses = ((await Promise.all(asked)) as StatusError[]).map(({ status }) => status.name);
    expect(statuses).toEqual(['$.KBUS.Replier.Ignored', '$.KBUS.Replier.GoneAway']);
  });

  it('the daemon drops the incomplete frame.', async () => {
    const program = await start();
    await program.ask('["half", "$.a"]');
    expect(await requester.findReplier('$.a')).not.toBeNull();
    const listener = await local.open();
    await listener.bind('$.*');
    await requester.sendMsg(new Request('$.a'));
    await program.kill();
    expect(await namesOf(1)).toEqual(['$.KBUS.Replier.GoneAway']);
    expect(await readNames(listener)).toEqual(['$.a']);
    expect(local.said.join('')).not.toContain('warn');
  });

  it.for(['wait', 'waitHere'])(
    'the bus drops its message that waits to be sent: %s.',
    async (how) => {
      const listener = await local.open();
      await listener.bind('$.News');
      await listener.bind('$.KBUS.*');
      await fill(listener, requester);
      const program = await start();
      await program.ask('["bind", "$.a", true]');
      await requester.sendMsg(new Request('$.a'));
      await program.ask(`["${how}", "$.News"]`);
      await program.kill();
      expect(await namesOf(1)).toEqual(['$.KBUS.Replier.GoneAway']);
      expect(await readNames(listener)).toEqual(['$.Filler']);
      await listener.setMaxMessages(100);
      expect(await listener.numMessages()).toBe(0);
    },
  );

  it('the message of another program that waits for its queue is sent.', async () => {
    const program = await start();
    await program.ask('["bind", "$.News", false]');
    const { ksock } = (await requester.readBindings())[0] as { ksock: number };
    const news = (): Announcement => new Announcement('$.News', '', { flags: Flag.ALL_OR_WAIT });
    await Promise.all(Array.from({ length: 10_000 }, () => requester.sendMsg(news())));
    await refused(requester.sendMsg(news()), 'EAGAIN');
    const other = await local.open();
    const waits = other.sendMsg(news(), { wait: true });
    await program.kill();
    expect(await requester.waitWritable()).toBe(true);
    await waits;
    const { ksocks } = await requester.stats();
    expect(ksocks.map((report) => report.ksock)).not.toContain(ksock);
  });

  it('the bus forgets its own Requests: their Replies get EADDRNOTAVAIL.', async () => {
    const program = await start();
    await requester.bind('$.a', true);
    await program.ask('["send", "$.a"]');
    const request = await next(requester);
    await program.kill();
    while ((await requester.stats()).ksocks.length > 1);
    await refused(
      requester.sendMsg(new Announcement('$.a', '', { inReplyTo: request.id, to: request.from })),
      'EADDRNOTAVAIL',
    );
  });

  it('it makes no difference whether it was stopped or busy before.', async () => {
    for (const how of ['SIGSTOP', 'busy']) {
      const program = await start();
      await program.ask('["bind", "$.a", true]');
      if (how === 'busy') await program.ask('["sleep"]');
      else program.child.kill('SIGSTOP');
      await requester.sendMsg(new Request('$.a'));
      await program.kill();
      expect(await namesOf(1)).toEqual(['$.KBUS.Replier.GoneAway']);
    }
  });

  async function unread(): Promise<number> {
    const { ksocks } = await requester.stats();
    return Math.max(...ksocks.map(({ queue }) => queue));
  }
});

describe('When the daemon is killed', () => {
  let directory: string;
  let daemon: Program;
  let ksocks: Ksock[] = [];

  async function startDaemon(): Promise<void> {
    daemon = run('daemon', directory);
    expect(await daemon.line()).toBe('serving');
  }

  async function open(options: KsockOptions = {}): Promise<Ksock> {
    const ksock = await Ksock.open(0, { directory, ...options });
    ksocks.push(ksock);
    return ksock;
  }

  beforeEach(async () => {
    directory = await newFolder();
    await startDaemon();
  });
  afterEach(async () => {
    daemon.child.kill('SIGCONT');
    await Promise.all(ksocks.map((ksock) => ksock.close()));
    ksocks = [];
  });

  it('every outstanding Request gets the Status `$.KBUS.Bus.GoneAway`, and waiting calls reject.', async () => {
    const requester = await open();
    const replier = await open();
    const waiter = await open();
    await replier.bind('$.a', true);
    await waiter.bind('$.News');
    await fill(waiter, requester);
    const id = await requester.sendMsg(new Request('$.a'));
    const asked = failed(requester.request('$.a'));
    const waits = [
      waiter.waitForMsg().then(() => waiter.waitForMsg()),
      replier.waitForMsg().then(() => replier.waitForMsg().then(() => replier.waitForMsg())),
      requester
        .sendMsg(new Announcement('$.a'), { wait: true })
        .then(() => requester.waitWritable()),
    ];
    expect((await waiter.waitForMsg({ timeout: 1 }))?.name ?? '$.Filler').toBe('$.Filler');
    const refusals = waits.slice(0, 2).map((wait) => refused(wait, 'ECONNRESET'));
    await waits[2];
    await daemon.kill();
    expect(((await asked) as StatusError).status.name).toBe(BUS_GONE_AWAY);
    const status = (await requester.waitForMsg()) as Message;
    expect([status.name, status.inReplyTo]).toEqual([BUS_GONE_AWAY, id]);
    await Promise.all(refusals);
    await refused(requester.waitForMsg(), 'ECONNRESET');
    await refused(requester.sendMsg(new Announcement('$.a')), 'ECONNRESET');
    const error = await refused(Ksock.open(0, { directory }), 'ENOENT');
    expect(error.message).toContain(
      `open bus 0 (no daemon answers at ${directory}/kbus0.sock, which a dead daemon has left)`,
    );
  });

  it('a reconnecting Ksock reconnects to the next daemon in the same directory.', async () => {
    let back = (): void => {};
    const isBack = new Promise<void>((resolve) => {
      back = resolve;
    });
    const errors: KbusError[] = [];
    const ksock = await open({
      reconnect: { minDelay: 5, maxDelay: 20 },
      onConnected: back,
      onDisconnected: (error) => errors.push(error),
    });
    await ksock.replier('$.a', () => 'still here');
    await daemon.kill();
    await startDaemon();
    await isBack;
    expect(errors[0]?.code).toBe('ECONNRESET');
    const other = await open();
    expect((await other.request('$.a')).text()).toBe('still here');
  });

  it('a daemon that gets a signal to stop sends a farewell to all clients.', async () => {
    const ksock = await open();
    const waiting = refused(ksock.waitForMsg(), 'ECONNRESET');
    // A client that writes after that gets no other error.
    await ksock.numMessages();
    await daemon.kill('SIGTERM');
    expect((await waiting).message).toContain('(it was told to)');
  });

  it('a suspended daemon does not hold up aborts and timeouts of open, request and waitForMsg.', async () => {
    const ksock = await open();
    daemon.child.kill('SIGSTOP');
    const opening = Ksock.open(0, { directory, signal: AbortSignal.timeout(5) });
    expect(await failed(opening)).toMatchObject({ name: 'TimeoutError' });
    expect(await failed(ksock.request('$.a', '', { timeout: 1 }))).toMatchObject({
      code: 'ETIMEDOUT',
    });
    expect(await ksock.waitForMsg({ timeout: 1 })).toBeNull();
    const reason = await failed(ksock.waitForMsg({ signal: AbortSignal.timeout(5) }));
    expect(reason).toMatchObject({ name: 'TimeoutError' });
    daemon.child.kill('SIGCONT');
    expect(await ksock.numMessages()).toBe(0);
  });
});

describe('A daemon whose socket was removed', () => {
  it('does not remove the socket of its successor when it stops.', async () => {
    const directory = await newFolder();
    const old = run('daemon', directory);
    expect(await old.line()).toBe('serving');
    const kept = await Ksock.open(0, { directory });
    const told = refused(kept.waitForMsg(), 'ECONNRESET');
    rmSync(join(directory, 'kbus0.sock'));
    const daemon = run('daemon', directory);
    expect(await daemon.line()).toBe('serving');
    await old.kill('SIGTERM');
    expect((await told).message).toContain('(it was told to)');
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.id).toBe(1);
  });
});

describe('Of two daemons that start at once in one directory', () => {
  it('one serves, and the other reports which: also if a dead daemon has left its sockets.', async () => {
    const directory = await newFolder();
    for (let round = 0; round < 3; round++) {
      const daemons = [run('daemon', directory), run('daemon', directory)] as const;
      const said = await Promise.all(daemons.map((daemon) => daemon.line()));
      const winner = said.indexOf('serving');
      expect(said.filter((line) => line === 'serving')).toHaveLength(1);
      expect(said[1 - winner]).toBe(
        `${directory}/kbus0.sock is in use by the KBUS daemon with process id ${daemons[winner]?.child.pid}. Stop it, or choose another folder with --directory or $KBUS_DIR.`,
      );
      const ksock = await Ksock.open(0, { directory });
      expect(ksock.id).toBe(1);
      await ksock.close();
      // Its sockets stay for the next round.
      await Promise.all(daemons.map((daemon) => daemon.kill()));
    }
  });
});

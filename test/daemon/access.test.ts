import { readdirSync, statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { RIGHTS } from '../../src/bus/access.ts';
import { Bus } from '../../src/bus/bus.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { type AccessPoint, folderRightsFor } from '../../src/daemon/access-points.ts';
import { Daemon, type DaemonOptions } from '../../src/daemon/daemon.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { framesOf, frameText, hello } from '../support/frames.ts';
import { refused } from '../support/refused.ts';

const socket = { mode: 0o600, group: undefined };
const guest: AccessPoint = {
  name: 'guest',
  socket: { mode: 0o666, group: undefined },
  rights: ['read'],
  listen: ['$.Public.*'],
};
const worker: AccessPoint = {
  name: 'worker',
  socket,
  rights: ['write', 'reply'],
  send: ['$.Jobs.*'],
  reply: ['$.Worker.*'],
};

let local: LocalDaemon;
afterEach(() => local?.stop());

const start = async (
  access: readonly AccessPoint[],
  options: Partial<DaemonOptions> = {},
): Promise<LocalDaemon> => {
  local = await LocalDaemon.start({}, { access, ...options });
  return local;
};

describe('spec 1 §13.1: Access points', () => {
  it('are sockets of their own, with modes of their own, beside that of the owner.', async () => {
    await start([guest, worker], { directory: join(await newFolder(), 'sockets') });
    const names = ['kbus0.guest.sock', 'kbus0.sock', 'kbus0.worker.sock'];
    expect(readdirSync(local.directory)).toEqual(names);
    const modeOf = (name: string): number => statSync(join(local.directory, name)).mode & 0o777;
    expect(names.map(modeOf)).toEqual([0o666, 0o600, 0o600]);
    // Whoever may use a socket may enter the folder.
    expect(modeOf('.')).toBe(0o755);
    await local.stop();
    expect(() => readdirSync(local.directory)).toThrow('ENOENT');
  });

  it('lead to the same bus.', async () => {
    await start([guest, worker]);
    const [owner, listener] = [await local.open(), await local.open({ access: 'guest' })];
    const replier = await local.open({ access: 'worker' });
    await listener.bind('$.Public.*');
    await replier.bind('$.Worker.A', true);
    await owner.sendMsg(new Announcement('$.Public.Door', 'open'));
    expect((await next(listener)).text()).toBe('open');
    const answer = owner.request('$.Worker.A', 'hello');
    await replier.sendMsg(replyTo(await next(replier), 'done'));
    expect((await answer).text()).toBe('done');
    await replier.sendMsg(new Announcement('$.Jobs.Done'));
    expect([owner.id, listener.id, replier.id]).toEqual([1, 2, 3]);
  });

  it('may be of some buses only; a new bus gets those that are of all.', async () => {
    await start([guest, { ...worker, buses: [1] }], { buses: 2 });
    const owner = await local.open();
    await owner.newDevice();
    const sockets = readdirSync(local.directory).sort();
    expect(sockets).toEqual([
      'kbus0.guest.sock',
      'kbus0.sock',
      'kbus1.guest.sock',
      'kbus1.sock',
      'kbus1.worker.sock',
      'kbus2.guest.sock',
      'kbus2.sock',
    ]);
    await refused(local.open({ access: 'worker' }), 'ENOENT');
    expect((await local.open({ access: 'worker' }, 1)).number).toBe(1);
  });

  it('refuse what their rights do not cover, whichever call asks for it.', async () => {
    await start([guest, worker]);
    const [listener, replier] = [
      await local.open({ access: 'guest' }),
      await local.open({ access: 'worker' }),
    ];
    const message = new Announcement('$.Public.Door');
    const request = new Request('$.Public.Door');
    const calls: Record<string, () => Promise<unknown>> = {
      bind: () => listener.bind('$.*'),
      listener: () => listener.listener('$.Secret', () => {}),
      replier: () => listener.replier('$.Public.Door', () => {}),
      sendMsg: () => listener.sendMsg(message),
      'sendMsg that waits': () => listener.sendMsg(message, { wait: true }),
      post: async () => {
        await listener.post(message);
        await listener.flush();
      },
      sendAll: () => listener.sendAll([message, message]),
      request: () => listener.request('$.Public.Door'),
      'request that waits for nothing': () =>
        listener.request('$.Public.Door', '', { wait: false }),
      'a Request': () => listener.sendMsg(request),
      'writeMsg and send': async () => {
        await listener.writeMsg(message);
        await listener.send();
      },
      setMaxMessageSize: () => listener.setMaxMessageSize(1000),
      verbose: () => listener.verbose(true),
      reportReplierBinds: () => listener.reportReplierBinds(true),
      newDevice: () => listener.newDevice(),
      stats: () => listener.stats(),
      readBindings: () => listener.readBindings(),
      findReplier: () => listener.findReplier('$.Secret'),
      kick: () => listener.kick(replier.id),
      'bind of a worker': () => replier.bind('$.Jobs.A', true),
      'send of a worker': () => replier.sendMsg(new Announcement('$.Worker.A')),
    };
    for (const [what, call] of Object.entries(calls)) {
      const error = await refused(call(), 'EACCES');
      expect([what, error.message]).toEqual([
        what,
        expect.stringMatching(/: access point '(guest|worker)' (does not give|gives) the right /),
      ]);
    }
    expect(await listener.maxMessageSize()).toBe(16 * 1024 * 1024);
    expect(await listener.verbose()).toBe(false);
    expect(local.daemon.buses.count).toBe(1);
  });

  it('refuse each message of many by its own name, and deliver the others in order.', async () => {
    await start([{ ...worker, send: ['$.Jobs.*'] }]);
    const [sender, listener] = [await local.open({ access: 'worker' }), await local.open()];
    await listener.bind('$.*');
    const names = Array.from({ length: 300 }, (_, at) => (at % 3 === 1 ? '$.Secret' : '$.Jobs.A'));
    const sent = names.map((name, at) => sender.sendMsg(new Announcement(name, String(at))));
    const outcomes = await Promise.allSettled(sent);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(
      names.map((name) => name === '$.Jobs.A'),
    );
    const heard: number[] = [];
    for await (const message of listener.drain()) {
      expect(message.name).toBe('$.Jobs.A');
      heard.push(Number(message.text()));
    }
    expect(heard).toEqual(names.flatMap((name, at) => (name === '$.Jobs.A' ? [at] : [])));
  });

  it('hold memory together, at most twice as much as is still free (spec 1 §14.1).', async () => {
    local = await LocalDaemon.start({ maxMemory: 3_000_000 }, { access: [guest] });
    const owner = await local.open();
    const greedy = await Promise.all(
      Array.from({ length: 8 }, () => local.open({ access: 'guest', onMissed: () => {} })),
    );
    for (const [at, ksock] of greedy.entries()) await ksock.bind(`$.Public.n${at}`);
    // Nobody reads: so all of them miss messages in the end.
    for (let count = 0; count < 800; count++) {
      await owner.sendMsg(new Announcement(`$.Public.n${count % 8}`, new Uint8Array(10_000)));
    }
    const { memory } = local.daemon.buses.get(0) as Bus;
    const held = ['', 'guest'].map((name) => memory.share(name).held);
    expect(Math.max(...held)).toBeGreaterThan(memory.limit / 2);
    expect(Math.max(...held)).toBeLessThanOrEqual(2 * memory.free + 40_000);
    // The owner has another access point, and so finds room.
    const reader = await local.open();
    await reader.bind('$.Own');
    for (let count = 0; count < 40; count++) {
      await owner.sendMsg(new Announcement('$.Own', new Uint8Array(10_000)));
    }
    expect(await reader.numMessages()).toBe(40);
  });

  it('with all rights and no wildcards are as good as that of the owner.', async () => {
    await start([{ name: 'all', socket, rights: RIGHTS }]);
    const ksock = await local.open({ access: 'all' });
    await ksock.bind('$.*');
    await ksock.sendMsg(new Announcement('$.a'));
    await ksock.setMaxMessageSize(1000);
    expect((await ksock.stats()).ksocks).toHaveLength(1);
  });

  it('are checked before a daemon of a program starts.', () => {
    const make = (access: unknown): (() => Daemon) => {
      const options = { buses: 1, directory: '/nowhere', socket, bus: {}, log: null };
      return () => new Daemon({ ...options, access } as never);
    };
    expect(make([{ ...guest, rights: ['raed'] }])).toThrow(
      `access[0].rights has "raed", which is not a right; did you mean "read"?`,
    );
    expect(make([guest, guest])).toThrow('access[1].name must differ');
    expect(make([{ ...guest, modes: 1 }])).toThrow('access[0].modes is not a setting');
    expect(
      () =>
        new Daemon({
          ...{ buses: 1, directory: '/nowhere', socket, bus: {}, log: null as never },
          device: { directory: '/nowhere', access: 'guest' },
        }),
    ).toThrow("device.access names no access point: 'guest'");
  });

  it('that a bus does not have, or that can’t be, are named by the error of an open.', async () => {
    await start([guest]);
    const error = await refused(local.open({ access: 'gest' }), 'ENOENT');
    expect(error.meaning).toBe(
      `bus 0 in ${local.directory} has no access point 'gest'; it has 'guest'; add a table [[access]] to the configuration file of its daemon`,
    );
    await refused(local.open({ access: '../kbus1' }), 'EINVAL');
    await refused(local.open({ access: '' }), 'EINVAL');
    await expect(local.open({ access: 1 as never })).rejects.toThrow(TypeError);
    const inProcess = Ksock.open(new Bus(), { access: 'guest' });
    await expect(inProcess).rejects.toThrow('only a bus of a daemon has access points');
  });

  it('keep a Ksock that reconnects to its own.', async () => {
    await start([guest]);
    const { directory } = local;
    let connected = (): void => {};
    const ksock = await local.open({
      access: 'guest',
      reconnect: { minDelay: 1, maxDelay: 5 },
      onConnected: () => connected(),
      onDisconnected: () => {},
    });
    await ksock.bind('$.Public.Door');
    const again = new Promise<void>((resolve) => {
      connected = resolve;
    });
    await local.daemon.stop('again');
    local = await LocalDaemon.start({}, { access: [guest], directory });
    await again;
    await refused(ksock.bind('$.*'), 'EACCES');
    await ksock.close();
  });
});

describe('the folder of the sockets', () => {
  const owner = { mode: 0o600, group: undefined };
  it.each([
    [[owner], 0o700, undefined],
    [[{ mode: 0o660, group: 50 }], 0o750, 50],
    [[owner, { mode: 0o660, group: 50 }], 0o750, 50],
    [
      [
        { mode: 0o660, group: 50 },
        { mode: 0o660, group: 60 },
      ],
      0o755,
      50,
    ],
    [
      [
        { mode: 0o660, group: undefined },
        { mode: 0o660, group: 60 },
      ],
      0o755,
      undefined,
    ],
    [[owner, { mode: 0o666, group: undefined }], 0o755, undefined],
  ] as const)('can be entered by whoever may use one of them: %j', (sockets, mode, group) => {
    expect(folderRightsFor(sockets)).toEqual({ mode, group });
  });
});

describe('reports of access points', () => {
  it('tell who may use each, and what its users may do.', async () => {
    await start([guest, worker]);
    const uid = process.getuid?.();
    const gid = process.getgid?.();
    const common = { device: 0, owner: uid, group: gid };
    const own = {
      ...common,
      name: 'guest',
      path: local.daemon.path(0, 'guest'),
      mode: '0666',
      rights: ['read'],
      send: null,
      listen: ['$.Public.*'],
      reply: null,
      web: '',
    };
    expect(await (await local.open()).accessPoints()).toEqual([
      {
        ...common,
        name: '',
        path: local.daemon.path(0),
        mode: '0600',
        rights: RIGHTS,
        send: null,
        listen: null,
        reply: null,
        web: '',
      },
      own,
      {
        ...common,
        name: 'worker',
        path: local.daemon.path(0, 'worker'),
        mode: '0600',
        rights: ['write', 'reply'],
        send: ['$.Jobs.*'],
        listen: null,
        reply: ['$.Worker.*'],
        web: '',
      },
    ]);
    expect(await (await local.open({ access: 'guest' })).accessPoints()).toEqual([own]);
  });

  it('show long lists of names whole.', async () => {
    const names = Array.from(
      { length: 29 },
      (_, at) => `$.${String(at).padEnd(1000, 'x').slice(2)}`,
    );
    const all = ['a', 'b', 'c'].map(
      (name): AccessPoint => ({
        name,
        socket,
        rights: ['read', 'write'],
        send: names,
        listen: names,
      }),
    );
    await start(all);
    const points = await (await local.open()).accessPoints();
    expect(points.map(({ name, send }) => [name, send])).toEqual([
      ['', null],
      ...['a', 'b', 'c'].map((name) => [name, names]),
    ]);
  });
});

describe('a Ksock that was opened to manage only', () => {
  it('has no rights but to observe and to manage, and no more than its access point.', async () => {
    await start([{ ...guest, rights: ['read', 'observe'] }]);
    const [boss, observer] = [
      await local.open({ manage: true }),
      await local.open({ manage: true, access: 'guest' }),
    ];
    for (const ksock of [boss, observer]) {
      const { message } = await refused(ksock.bind('$.Public.Door'), 'EACCES');
      expect(message).toContain('a Ksock that was opened with { manage: true } does not give');
      expect((await ksock.stats()).ksocks).toHaveLength(2);
    }
    await refused(boss.sendMsg(new Announcement('$.a')), 'EACCES');
    await boss.setMaxMessageSize(1000);
    const { message } = await refused(observer.setMaxMessageSize(2000), 'EACCES');
    expect(message).toContain("access point 'guest' does not give the right 'manage'");
  });
});

describe('spec 1 §13.6: a daemon that has as many connections as it may', () => {
  const RESERVED = 16;
  const silent: Socket[] = [];
  afterEach(() => {
    for (const one of silent.splice(0)) one.destroy();
  });

  /** Connects and says nothing; resolves when the daemon has ended it, with what it said. */
  function connect(path: string): Promise<string> {
    const connection = createConnection(path);
    silent.push(connection);
    const heard: Buffer[] = [];
    connection.on('data', (chunk) => heard.push(chunk));
    connection.on('error', () => {});
    return new Promise((resolve) => {
      connection.on('close', () => {
        const [frame] = framesOf(Buffer.concat(heard)).frames;
        resolve(frame === undefined ? '' : frameText(frame, 1));
      });
    });
  }

  it('takes a few more that only manage: they can look, and end others.', async () => {
    await start([], { maxConnections: 3 });
    const greedy = [await local.open(), await local.open(), await local.open()];
    await refused(local.open(), 'ENOMEM');
    const boss = await local.open({ manage: true });
    expect((await boss.stats()).ksocks.map(({ ksock }) => ksock)).toEqual([4, 3, 2, 1]);
    await boss.kick((greedy[0] as Ksock).id);
    await refused((greedy[0] as Ksock).numMessages(), 'ECONNABORTED');
    // Now there is room for one; the one that manages takes none of it.
    let opened: Ksock | null = null;
    while (opened === null) {
      opened = await local.open().catch((error) => {
        expect(error.code).toBe('ENOMEM');
        return null;
      });
    }
    await refused(local.open(), 'ENOMEM');
    expect((await boss.stats()).ksocks).toHaveLength(4);
  });

  it('ends those that say nothing in favour of those that manage.', async () => {
    await start([], { maxConnections: 1 });
    await local.open();
    const path = local.daemon.path(0);
    const ended = Array.from({ length: RESERVED + 1 }, () => connect(path));
    expect(await ended[0]).toBe('max-connections of the daemon is 1');
    const boss = await local.open({ manage: true });
    expect(await ended[1]).toBe('max-connections of the daemon is 1');
    expect((await boss.stats()).ksocks).toHaveLength(2);
  });

  it('refuses even those when all are in use.', async () => {
    await start([], { maxConnections: 1 });
    await local.open();
    for (let count = 0; count < RESERVED; count++) await local.open({ manage: true });
    await refused(local.open({ manage: true }), 'ENOMEM');
  });

  it('refuses one that does not say that it only manages, with the limit.', async () => {
    await start([], { maxConnections: 1 });
    await local.open();
    const ended = connect(local.daemon.path(0));
    silent[0]?.write(hello());
    expect(await ended).toBe('max-connections of the daemon is 1');
  });

  it('keeps an eighth for access points that may manage.', async () => {
    await start([guest], { maxConnections: 16 });
    for (let count = 0; count < 14; count++) await local.open({ access: 'guest' });
    const full = 'max-connections of the daemon is 16, of which this access point may use 14';
    expect((await refused(local.open({ access: 'guest' }), 'ENOMEM')).message).toContain(full);
    await refused(local.open({ access: 'guest', manage: true }), 'ENOMEM');
    const owners = [await local.open(), await local.open()];
    await refused(local.open(), 'ENOMEM');
    await (owners[0] as Ksock).kick(1);
    expect((await (owners[1] as Ksock).stats()).ksocks).toHaveLength(15);
  });
});

describe('spec 1 §13.7: Who is who', () => {
  it('errors say who the other Ksock is, as it says.', async () => {
    await start([]);
    const [one, other] = [await local.open({ name: 'thermostat' }), await local.open()];
    await one.bind('$.a', true);
    const { meaning } = await refused(other.bind('$.a', true), 'EADDRINUSE');
    const who = `'thermostat', process ${process.pid} of user ${process.getuid?.()}, as it says`;
    expect(meaning).toBe(
      `Ksock 1 (${who}) replies to '$.a' on bus 0 already, and a name can have only one Replier`,
    );
  });

  it('a name cannot pretend to be more than a name, nor reach a terminal.', async () => {
    await start([]);
    const [one, other] = [await local.open({ name: "x') \x1b]0;owned\x07\n" }), await local.open()];
    await one.bind('$.a', true);
    const { meaning } = await refused(other.bind('$.a', true), 'EADDRINUSE');
    expect(meaning).toContain(`Ksock 1 ('x") \\x1b]0;owned\\x07\\n', process`);
  });

  it('reports have program, process and user, and that the program says so.', async () => {
    await start([]);
    const ksock = await local.open({ name: 'thermostat' });
    expect((await ksock.stats()).ksocks).toMatchObject([
      { program: 'thermostat', pid: process.pid, uid: process.getuid?.(), claimed: true },
    ]);
  });
});

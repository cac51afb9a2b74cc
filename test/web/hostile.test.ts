import { createConnection, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import type { Ksock } from '../../src/client/ksock.ts';
import { BUS_GONE_AWAY } from '../../src/client/ports/port.ts';
import type { DaemonOptions } from '../../src/daemon/daemon.ts';
import { Op } from '../../src/message/calls.ts';
import { Errno } from '../../src/message/errno.ts';
import type { KbusError } from '../../src/message/error.ts';
import { Announcement } from '../../src/message/message.ts';
import type { StatusError } from '../../src/message/request-error.ts';
import type { WebOptions } from '../../src/web/web-server.ts';
import { LOCAL_WEB, LocalDaemon } from '../support/daemon.ts';
import { frame, messagesFrame, welcome } from '../support/frames.ts';
import { failed, refused } from '../support/refused.ts';
import { heard, RawClient, talk, webFrame } from './raw.ts';

const FIN_BINARY = 0x82;
const FIN_TEXT = 0x81;
const BINARY = 0x02;
const CONTINUED = 0x00;
const FIN_CONTINUED = 0x80;
const PING = 0x89;

let local: LocalDaemon;
/** A program that does nothing wrong: it must not notice the others. */
let honest: Ksock;

async function restart(
  web: Partial<WebOptions> = {},
  options: Partial<DaemonOptions> = {},
): Promise<void> {
  await local.stop();
  await begin(web, options);
}

async function begin(
  web: Partial<WebOptions> = {},
  options: Partial<DaemonOptions> = {},
): Promise<void> {
  local = await LocalDaemon.start({}, { ...options, web: { ...LOCAL_WEB, ...web } });
  honest = await local.openWeb();
  await honest.replier('$.Honest', () => 'as ever');
}

beforeEach(() => begin());
afterEach(() => local.stop());

const isWell = async (): Promise<void> => {
  expect((await honest.request('$.Honest')).text()).toBe('as ever');
};

const page = (): string => local.page().origin;
const enters = (): Promise<RawClient> => RawClient.enter(page(), local.token());

describe('HTTP', () => {
  const port = (): number => Number(local.page().port);

  it.for([
    ['garbage', Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 151 + 7) & 255))],
    ['TLS', Buffer.from('160301020001000100', 'hex')],
    ['a frame of KBUS', frame('HELLO', { words: [1, 2, 3, 4] })],
    ['no version', 'GET /\r\n\r\n'],
    ['a header without a colon', 'GET / HTTP/1.1\r\nHost\r\n\r\n'],
    ['two lengths', 'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    [
      'smuggling',
      'POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a header of 9,000 bytes', `GET / HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n\r\n`],
    ['5,000 headers', `GET / HTTP/1.1\r\n${'X: \r\n'.repeat(5000)}\r\n`],
    ['a proxy’s CONNECT', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n'],
  ] as const)('of %s ends the connection with an error, or without a word.', async ([, bytes]) => {
    expect(await talk(port(), bytes)).toMatch(/^(HTTP\/1\.1 4\d\d|$)/);
    await isWell();
  });

  it('whose header comes too slowly, or never, ends.', async () => {
    const half = createConnection(port(), '127.0.0.1');
    half.write('GET / HTTP/1.1\r\nHost: ');
    const mute = createConnection(port(), '127.0.0.1');
    const [first, second] = await Promise.all([heard(half), heard(mute)]);
    expect([first, second].join()).not.toContain('200');
    await isWell();
  });

  it('of 300 connections that say nothing makes room for one that does.', async () => {
    const sockets: Socket[] = [];
    for (let at = 0; at < 300; at++) {
      const socket = createConnection(port(), '127.0.0.1').on('error', () => {});
      await new Promise((resolve) => socket.once('connect', resolve));
      sockets.push(socket);
    }
    const late = await local.openWeb();
    expect(late.isConnected).toBe(true);
    await isWell();
    for (const socket of sockets) socket.destroy();
  });
});

describe('A client over WebSocket', () => {
  it.for([
    ['announces a message of 1 TiB', 1009, webFrame(FIN_BINARY, new Uint8Array(0), 2 ** 40)],
    ['announces one of 64 KiB and a byte', 1009, webFrame(FIN_BINARY, new Uint8Array(0), 65_537)],
    [
      'announces one that is longer than any number',
      1009,
      Buffer.from('82ffffffffffffffffff00000000', 'hex'),
    ],
    [
      'sends a message whose fragments are too long together',
      1009,
      Buffer.concat([
        webFrame(BINARY, new Uint8Array(40_000)),
        webFrame(CONTINUED, new Uint8Array(40_000)),
      ]),
    ],
    [
      'sends a message in 2,000 fragments',
      1008,
      Buffer.concat([
        webFrame(BINARY, new Uint8Array(1)),
        ...Array.from({ length: 2000 }, () => webFrame(CONTINUED, new Uint8Array(1))),
      ]),
    ],
    ['sends text', 1003, webFrame(FIN_TEXT, Buffer.from('{}'))],
    ['sends text that is not UTF-8', 1007, webFrame(FIN_TEXT, Uint8Array.of(0xff))],
    ['sends a frame without a mask', 1002, Uint8Array.of(FIN_BINARY, 1, 0)],
    ['sends a compressed frame', 1002, webFrame(FIN_BINARY | 0x40, new Uint8Array(1))],
    ['continues what it has not begun', 1002, webFrame(FIN_CONTINUED, new Uint8Array(1))],
    ['sends a ping of 126 bytes', 1002, webFrame(PING, new Uint8Array(126))],
    ['sends an unknown opcode', 1002, webFrame(0x83, new Uint8Array(1))],
  ] as const)('that %s is told so (%i), and leaves the bus.', async ([, code, bytes]) => {
    const client = await enters();
    const { id } = honest;
    client.raw(bytes);
    expect((await client.closed()).code).toBe(code);
    await leftAlone(id);
    await isWell();
  });

  /** Resolves when only one Ksock is on the bus. */
  async function leftAlone(id: number): Promise<void> {
    for (;;) {
      const { ksocks } = await honest.stats();
      if (ksocks.length === 1 && ksocks[0]?.ksock === id) return;
    }
  }

  it('may send a message in some fragments, and pings between them.', async () => {
    const client = await enters();
    const bytes = frame('CALL', { detail: Op.NUM_MESSAGES, token: 1, words: [0] });
    client.raw(webFrame(BINARY, bytes.subarray(0, 5)));
    client.raw(webFrame(PING, Buffer.from('still here')));
    client.raw(webFrame(CONTINUED, new Uint8Array(0)));
    client.raw(webFrame(FIN_CONTINUED, bytes.subarray(5)));
    await client.hears('RESULT');
    client.socket.terminate();
  });

  it('that sends 100,000 pings, and does not read, is ended.', async () => {
    const client = await enters();
    client.socket.pause();
    const pings = Buffer.concat(
      Array.from({ length: 1000 }, () => webFrame(PING, new Uint8Array(100))),
    );
    for (let at = 0; at < 100; at++) client.raw(pings);
    await leftAlone(honest.id);
    client.socket.terminate();
    await isWell();
  });

  it('that sends 10,000 messages of a byte each is one of many to the daemon.', async () => {
    const client = await enters();
    const bytes = frame('CALL', { detail: Op.NUM_MESSAGES, token: 1, words: [0] });
    const each = [...bytes].map((byte) => webFrame(FIN_BINARY, Uint8Array.of(byte)));
    client.raw(Buffer.concat(Array.from({ length: 600 }, () => each).flat()));
    while (client.kinds.filter((kind) => kind === 'RESULT').length < 600) {
      await new Promise((resolve) => client.socket.once('message', resolve));
    }
    await isWell();
    client.socket.terminate();
  });

  it('is charged for half a message, and half a frame, until it is whole or gone.', async () => {
    const client = await enters();
    const held = async (): Promise<number> => {
      const { ksocks } = await honest.stats();
      return ksocks.find(({ ksock }) => ksock !== honest.id)?.held ?? -1;
    };
    const before = await held();
    const half = new Uint8Array(60_000);
    client.raw(webFrame(FIN_BINARY, half, 60_004));
    while ((await held()) < before + 60_000);
    // The rest: a frame of 60,004 bytes that itself is incomplete.
    new DataView(half.buffer).setUint32(0, 1_000_000);
    client.socket.terminate();
    while ((await held()) !== -1);
    const next = await enters();
    const bytes = new Uint8Array(50_000);
    new DataView(bytes.buffer).setUint32(0, 1_000_000);
    next.socket.send(bytes);
    while ((await held()) < before + 50_000);
    next.socket.terminate();
    while ((await held()) !== -1);
  });

  it('that does not read misses messages, and costs no more than its queue and its backlog.', async () => {
    const client = await enters();
    client.socket.send(frame('CALL', { detail: Op.BIND, token: 1, words: [0], text: '$.Flood' }));
    await client.hears('RESULT');
    client.socket.send(frame('CALL', { detail: Op.MAX_MESSAGES, token: 2, words: [100] }));
    client.socket.send(frame('CREDIT', { words: [8192] }));
    client.socket.send(frame('CALL', { detail: Op.NUM_MESSAGES, token: 3, words: [0] }));
    while (client.kinds.filter((kind) => kind === 'RESULT').length < 3) {
      await new Promise((resolve) => client.socket.once('message', resolve));
    }
    client.socket.pause();
    const data = new Uint8Array(10_000);
    for (let at = 0; at < 1500; at++) await honest.sendMsg(new Announcement('$.Flood', data));
    const { ksocks } = await honest.stats();
    const reader = ksocks.find(({ ksock }) => ksock !== honest.id);
    expect(reader?.missed).toBeGreaterThan(0);
    // At most 100 messages in its queue and 1 MiB on the way, besides a little.
    expect(reader?.held).toBeLessThan(100 * 10_200 + 2 * 1024 * 1024);
    await isWell();
    client.socket.resume();
    await client.hears('MISSED');
    client.socket.terminate();
  });

  it('counts among the connections of the daemon, and in its reserve.', async () => {
    await restart({}, { maxConnections: 2 });
    const second = await local.openWeb();
    const error = await refused(local.openWeb(), 'ENOMEM');
    expect(error.message).toContain('max-connections');
    const manager = await local.openWeb({ manage: true });
    expect(await manager.kick(second.id)).toBeUndefined();
  });
});

describe('Heartbeats', () => {
  it('find a client that gives no sign of life: whoever waits for it gets a Status.', async () => {
    await restart({ timeout: 1 });
    // A page that is frozen: its browser keeps the connection, and nobody reads.
    const frozen = await RawClient.enter(page(), local.token());
    frozen.socket.send(frame('CALL', { detail: Op.BIND, token: 1, words: [1], text: '$.Frozen' }));
    frozen.socket.send(frame('CREDIT', { words: [10] }));
    await frozen.hears('RESULT');
    const answer = honest.request('$.Frozen').catch((error: StatusError) => error);
    await frozen.hears('PREFETCH');
    const { status } = (await answer) as StatusError;
    expect(status.name).toMatch(/^\$\.KBUS\.Replier\.(GoneAway|Ignored)$/);
    const { errno, why } = await frozen.closed();
    expect(errno).toBe(Errno.ETIMEDOUT);
    expect(why).toContain('no sign of life for 1 s (web-timeout)');
    expect(frozen.texts).toContain('1000');
    // One that answers stays.
    await isWell();
  });

  it('find a client that has stopped to read with a full connection.', async () => {
    await restart({ timeout: 1 });
    const stuck = await RawClient.enter(page(), local.token());
    stuck.socket.send(frame('CALL', { detail: Op.BIND, token: 1, words: [0], text: '$.Flood' }));
    stuck.socket.send(frame('CREDIT', { words: [8192] }));
    await stuck.hears('RESULT');
    stuck.socket.pause();
    const data = new Uint8Array(100_000);
    for (let at = 0; at < 200; at++) await honest.sendMsg(new Announcement('$.Flood', data));
    while ((await honest.stats()).ksocks.length > 1);
    stuck.socket.terminate();
  });

  it('find a daemon that gives no sign of life: Requests get a Status, and the Ksock is lost.', async () => {
    const server = new WebSocketServer({ port: 0, handleProtocols: () => 'kbus' });
    server.on('connection', (socket) => {
      let isWelcomed = false;
      socket.on('message', (_, isBinary) => {
        if (!isBinary || isWelcomed) return;
        isWelcomed = true;
        socket.send(welcome());
        socket.send('100');
      });
    });
    const { port } = server.address() as { port: number };
    let lost: (error: KbusError) => void = () => {};
    const loss = new Promise<KbusError>((resolve) => {
      lost = resolve;
    });
    const ksock = await local.openWeb({ url: `http://127.0.0.1:${port}`, onDisconnected: lost });
    const answer = await failed(ksock.request('$.Nobody.Knows'));
    expect((answer as StatusError).status.name).toBe(BUS_GONE_AWAY);
    expect((await loss).message).toContain('the daemon gave no sign of life for 0.15 s');
    server.close();
    for (const client of server.clients) client.terminate();
  });
});

it('A message of a client that breaks the protocol is refused as over a socket.', async () => {
  const client = await enters();
  const broken = messagesFrame('SEND', [new Announcement('$.a')], { count: 2 });
  client.socket.send(broken);
  expect((await client.closed()).errno).toBe(Errno.EPROTO);
  await isWell();
});

import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { DaemonOptions } from '../../src/daemon/daemon.ts';
import { Errno } from '../../src/message/errno.ts';
import { Announcement } from '../../src/message/message.ts';
import { addressFile } from '../../src/system/web-address-file.ts';
import { WebError } from '../../src/web/web-error.ts';
import type { WebOptions } from '../../src/web/web-server.ts';
import { next } from '../conformance/reading.ts';
import { LOCAL_WEB, LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { refused } from '../support/refused.ts';
import { enter, greeting, RawClient, talk } from './raw.ts';

let local: LocalDaemon | null = null;
afterEach(async () => {
  await local?.stop();
  local = null;
});

async function start(
  web: Partial<WebOptions> = {},
  options: Partial<DaemonOptions> = {},
): Promise<LocalDaemon> {
  local = await LocalDaemon.start({}, { ...options, web: { ...LOCAL_WEB, ...web } });
  return local;
}

const portOf = ({ daemon }: LocalDaemon): number => Number(new URL(daemon.page ?? '').port);

/** The status, the headers and the text of an answer. */
function get(port: number, path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>(
    (resolve, reject) => {
      const sent = request({ port, path, method, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (some) => {
          text += some;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      sent.on('error', reject).end();
    },
  );
}

describe('The Host of a request', () => {
  const wrong = (port: number): string[] => [
    'evil.example',
    `evil.example:${port}`,
    `localhost6:${port}`,
    `localhost.localdomain:${port}`,
    `localhost.:${port}`,
    `localhost.evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    `127.0.0.1.:${port}`,
    `127.1:${port}`,
    `127.0.1:${port}`,
    `0177.0.0.1:${port}`,
    `0x7f.0.0.1:${port}`,
    `0x7f000001:${port}`,
    `2130706433:${port}`,
    `127.000.000.001:${port}`,
    `127.0.0.2:${port}`,
    `0.0.0.0:${port}`,
    `[::]:${port}`,
    `[::1]:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `10.0.2.555:${port}`,
    `1.09.0.0:${port}`,
    '127.0.0.1',
    '127.0.0.1:80',
    `127.0.0.1:0${port}`,
    `127.0.0.1:${port}0`,
    `user@127.0.0.1:${port}`,
    `127.0.0.1:${port}, evil.example`,
    `127.0.0.1:${port}/`,
  ];

  it('is in an exact list, for pages and for WebSockets: no other spelling gets in.', async () => {
    const local = await start();
    const port = portOf(local);
    for (const host of wrong(port)) {
      const { status, text } = await get(port, '/', { host });
      expect([host, status]).toEqual([host, 421]);
      expect(text).toContain(`known as 127.0.0.1:${port}, localhost:${port} only`);
      const client = RawClient.open(local.page().origin, { headers: { host } });
      await expect(client, host).rejects.toThrow('421');
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      expect((await get(port, '/', { host })).status).toBe(200);
      const client = await RawClient.open(local.page().origin, { headers: { host } });
      client.socket.terminate();
    }
  });

  it('must be there, once.', async () => {
    const port = portOf(await start());
    const host = `Host: 127.0.0.1:${port}\r\n`;
    const close = 'Connection: close\r\n\r\n';
    expect(await talk(port, `GET / HTTP/1.1\r\n${close}`)).toMatch(/^HTTP\/1.1 400/);
    expect(await talk(port, `GET / HTTP/1.0\r\n${close}`)).toMatch(/^HTTP\/1.1 421/);
    const twice = await talk(port, `GET / HTTP/1.1\r\n${host}Host: evil.example\r\n${close}`);
    expect(twice).toMatch(/^HTTP\/1.1 421/);
    expect(await talk(port, `GET / HTTP/1.1\r\n${host}${close}`)).toMatch(/^HTTP\/1.1 200/);
  });
});

describe('The Origin of a WebSocket', () => {
  it('must be the daemon’s own: a page of another is refused, even with the right token.', async () => {
    const local = await start();
    const port = portOf(local);
    for (const origin of [
      'http://evil.example',
      'https://evil.example',
      'null',
      'file://',
      'http://127.0.0.1',
      `https://127.0.0.1:${port}`,
      `http://127.0.0.1:${port}.evil.example`,
      `http://127.0.0.1:${port}/`,
      `http://localhost.:${port}`,
      'http://127.0.0.1:5173',
      '',
    ]) {
      const client = RawClient.open(local.page().origin, { headers: { origin } });
      await expect(client, origin).rejects.toThrow('403');
    }
    expect(local.said.join('\n')).toMatch(
      /web: refused a WebSocket: pages of 'http:\/\/evil.example' are not admitted; .* add their origin to web-origins/,
    );
    for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
      const client = await RawClient.open(local.page().origin, { origin });
      client.socket.send(greeting(local.token()));
      await client.hears('WELCOME');
      client.socket.terminate();
    }
  });

  it('may be one of web-origins, which may also load kbus.js.', async () => {
    const origin = 'http://localhost:5173';
    const local = await start({ origins: [origin] });
    const client = await RawClient.open(local.page().origin, { origin });
    client.socket.terminate();
    const allowed = await get(portOf(local), '/kbus.js', { origin });
    expect(allowed.headers['access-control-allow-origin']).toBe(origin);
    const other = await get(portOf(local), '/kbus.js', { origin: 'http://evil.example' });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    expect(other.headers['cross-origin-resource-policy']).toBe('same-origin');
  });
});

describe('The token', () => {
  it('is made at each start, in a file that only its owner reads, and goes with the daemon.', async () => {
    const local = await start();
    const path = addressFile(local.directory, '');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toMatch(/^http:\/\/127.0.0.1:\d+\/#token=[\w-]{43}\n$/);
    const before = local.token();
    await local.stop();
    expect(readdirSync(local.directory)).toEqual([]);
    const again = await start({}, { directory: local.directory });
    expect(again.token()).not.toBe(before);
  });

  it('stays with web-keep-tokens, unless somebody else could have read it.', async () => {
    const local = await start({ keepTokens: true });
    const before = local.token();
    await local.stop();
    const again = await start({ keepTokens: true }, { directory: local.directory });
    expect(again.token()).toBe(before);
    await again.stop();
    const path = addressFile(local.directory, '');
    writeFileSync(path, readFileSync(path), { mode: 0o644 });
    spawnSync('chmod', ['644', path]);
    const anew = await start({ keepTokens: true }, { directory: local.directory });
    expect(anew.token()).not.toBe(before);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is written to a new file, whatever was at its path.', async () => {
    const directory = await newFolder();
    const victim = join(await newFolder(), 'victim');
    writeFileSync(victim, 'theirs');
    symlinkSync(victim, addressFile(directory, ''));
    await start({}, { directory });
    expect(readFileSync(victim, 'utf8')).toBe('theirs');
  });

  it('must be right, all of it: EACCES says what to do.', async () => {
    const local = await start();
    const right = local.token();
    const wrong = [
      '',
      right.slice(0, -1),
      `${right}x`,
      `${right} `,
      right.toLowerCase() === right ? right.toUpperCase() : right.toLowerCase(),
      `${right.slice(0, -2)}~~`,
      'x'.repeat(3000),
    ];
    for (const token of wrong) {
      const error = await refused(local.openWeb({ token }), 'EACCES');
      expect(error.message).toContain('`kbus web` prints the current one');
    }
    // The log does not have them.
    expect(local.said.join('\n')).not.toContain(right.slice(0, 8));
  });

  it('can be given by a function, at each attempt to connect.', async () => {
    const local = await start();
    const ksock = await local.openWeb({ token: async () => local.token() });
    expect(ksock.isConnected).toBe(true);
  });

  it('is never taken from a query, a header or a cookie.', async () => {
    const local = await start();
    const { origin } = local.page();
    const port = portOf(local);
    const token = local.token();
    const { status, text } = await get(port, `/?token=${token}`);
    expect([status, text]).toEqual([400, expect.stringContaining('behind #')]);
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/ws?token=${token}`, 'kbus');
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    expect(error.message).toContain('404');
    const client = await RawClient.open(origin, {
      headers: { authorization: `Bearer ${token}`, cookie: `token=${token}` },
    });
    client.socket.send(greeting(''));
    expect((await client.closed()).errno).toBe(Errno.EACCES);
  });
});

describe('What a client over WebSocket must say first', () => {
  it('comes within 2 s, or the connection ends.', async () => {
    const local = await start();
    const { origin } = local.page();
    const mute = await RawClient.open(origin);
    const slow = await RawClient.open(origin);
    slow.socket.send(enter(local.token()));
    for (const client of [mute, slow]) {
      const { code, errno, why } = await client.closed();
      expect([code, errno]).toEqual([1000, Errno.ETIMEDOUT]);
      expect(why).toContain('within 2 s');
    }
  });

  it('may come in any pieces.', async () => {
    const local = await start();
    const client = await RawClient.open(local.page().origin);
    for (const byte of greeting(local.token())) client.socket.send(Uint8Array.of(byte));
    await client.hears('WELCOME');
    client.socket.terminate();
  });

  it.for([
    ['another frame', Uint8Array.of(0, 0, 0, 12, 2, 0, 0, 0, 0, 0, 0, 0)],
    ['a length of 0', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a length of 4 GiB', Uint8Array.of(255, 255, 255, 252, 4, 0, 0, 0, 0, 0, 0, 0)],
    [
      'a text that is longer than its frame',
      (() => {
        const bytes = Buffer.from(enter('token'));
        bytes.writeUInt32BE(1000, 20);
        return bytes;
      })(),
    ],
    ['text of HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ] as const)('is refused with EPROTO: %s.', async ([, bytes]) => {
    const local = await start();
    const client = await RawClient.open(local.page().origin);
    client.socket.send(bytes);
    expect((await client.closed()).errno).toBe(Errno.EPROTO);
  });

  it('asks for the subprotocol.', async () => {
    const local = await start();
    const socket = new WebSocket(`${local.page().origin.replace('http', 'ws')}/ws`);
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    expect(error.message).toContain('400');
  });
});

describe('The rights of a token', () => {
  const access = [
    {
      name: 'guest',
      socket: { mode: 0o600, group: undefined },
      rights: ['read'],
      listen: ['$.Public.*'],
      buses: [0],
      web: true,
    },
    { name: 'inside', socket: { mode: 0o600, group: undefined }, rights: ['read'] },
  ] as const;

  it('are those of its access point: names, reading only, buses.', async () => {
    const local = await start({}, { access, buses: 2 });
    const token = local.token('guest');
    const guest = await local.openWeb({ token });
    const owner = await local.open();
    await guest.bind('$.Public.Door');
    await owner.sendMsg(new Announcement('$.Public.Door', 'open'));
    expect((await next(guest)).text()).toBe('open');
    const error = await refused(guest.bind('$.Private'), 'EACCES');
    expect(error.message).toContain("access point 'guest'");
    await refused(guest.sendMsg(new Announcement('$.Public.Door')), 'EACCES');
    await refused(guest.bind('$.Public.Door', true), 'EACCES');
    await refused(guest.stats(), 'EACCES');
    await refused(local.openWeb({ token }, 1), 'EACCES');
    await refused(local.openWeb({}, 2), 'ENOENT');
    expect((await local.openWeb({}, 1)).number).toBe(1);
  });

  it('are given by access points with web = true only.', async () => {
    const local = await start({}, { access });
    expect(readdirSync(local.directory).sort()).toEqual([
      'kbus.guest.web',
      'kbus.web',
      'kbus0.guest.sock',
      'kbus0.inside.sock',
      'kbus0.sock',
    ]);
  });
});

describe('Pages', () => {
  it('say that nobody may keep, frame or misread them, and where they may connect to.', async () => {
    const port = portOf(await start());
    const { headers, status } = await get(port, '/');
    expect(status).toBe(200);
    expect(headers['content-security-policy']).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws://localhost:${port}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    });
    expect(headers['set-cookie']).toBeUndefined();
  });

  it('behind a proxy with TLS may connect to that, by wss.', async () => {
    const port = portOf(await start({ origins: ['https://bus.example.org'] }));
    const { headers } = await get(port, '/', { host: 'bus.example.org' });
    expect(headers['content-security-policy']).toContain(
      "connect-src 'self' wss://bus.example.org;",
    );
  });

  it('are files of one folder, and nothing else.', async () => {
    const port = portOf(await start());
    for (const path of [
      '/../web/tokens.js',
      '/..%2fweb%2ftokens.js',
      '/%2e%2e/package.json',
      '//etc/passwd',
      '/./index.html',
      '/INDEX.HTML',
      '/kbus.web',
      '/page',
      '/__proto__',
      '/constructor',
      '/\\..\\package.json',
    ]) {
      expect([path, (await get(port, path)).status]).toEqual([path, 404]);
    }
    expect((await get(port, '/kbus.js')).headers['content-type']).toContain('text/javascript');
    expect((await get(port, '/', {}, 'POST')).status).toBe(405);
    expect((await get(port, '/', {}, 'HEAD')).text).toBe('');
  });
});

describe('Without TLS', () => {
  it('nothing is served at another address than this machine’s, unless it is told insecure.', async () => {
    await expect(start({ listen: '0.0.0.0:0' })).rejects.toThrow(WebError);
    await expect(start({ listen: '[::]:0' })).rejects.toThrow(/web-cert and web-key/);
    await start({ listen: '0.0.0.0:0', insecure: true });
  });
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
describe.skipIf(!hasOpenssl)(hasOpenssl ? 'With TLS' : 'With TLS (SKIPPED: no openssl)', () => {
  it('the page and the WebSocket are served by https and wss alone.', async () => {
    const folder = await newFolder();
    mkdirSync(folder, { recursive: true });
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'],
      ...['-keyout', key, '-out', cert],
    ]);
    const tls = { cert: readFileSync(cert), key: readFileSync(key) };
    const local = await start({ tls, listen: '0.0.0.0:0', origins: ['https://127.0.0.1:1'] });
    const { origin } = local.page();
    expect(origin).toMatch(/^https:/);
    const WithCertificate = class extends WebSocket {
      constructor(url: string, protocols: string) {
        super(url, protocols, { ca: tls.cert });
      }
    };
    const ksock = await local.openWeb({ WebSocket: WithCertificate });
    await ksock.bind('$.a');
    await ksock.sendMsg(new Announcement('$.a', 'x'.repeat(300_000)));
    expect((await next(ksock)).data.length).toBe(300_000);
    expect(await talk(Number(new URL(origin).port), 'GET / HTTP/1.1\r\n\r\n')).not.toContain(
      'KBUS',
    );
    await expect(start({ tls: { cert: tls.key, key: tls.cert } })).rejects.toThrow(WebError);
  });
});

describe('A Unix socket for a proxy', () => {
  it('is served with the permissions of the sockets; pages come by the name of the proxy.', async () => {
    const listen = join(await newFolder(), 'web.sock');
    const origin = 'https://bus.example.org';
    const local = await start({ listen, origins: [origin] });
    expect(statSync(listen).mode & 0o777).toBe(0o600);
    expect(local.page().origin).toBe(origin);
    const ByPath = class extends WebSocket {
      constructor(_: string, protocols: string) {
        super(`ws+unix:${listen}:/ws`, protocols, { origin });
      }
    };
    const ksock = await local.openWeb({ WebSocket: ByPath });
    expect(String(ksock)).toContain('device 0');
    await local.stop();
    expect(() => statSync(listen)).toThrow('ENOENT');
  });
});

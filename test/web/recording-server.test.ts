import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordingServer } from '../../src/web/recording-server.ts';
import { LOCAL_WEB } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { talk } from './raw.ts';

const PATH = '/recording.mcap';
const CONTENT = 'a recording, as far as the server knows';

let server: RecordingServer;
beforeEach(async () => {
  const path = join(await newFolder(), 'run.mcap');
  writeFileSync(path, CONTENT);
  server = await RecordingServer.start(path, 0, LOCAL_WEB.folder);
});
afterEach(() => server.stop());

/** Asks for the file, with other headers than a page would send. */
async function get(headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  const all = { authorization: `Bearer ${server.token}`, range: 'bytes=0-99', ...headers };
  return fetch(`http://127.0.0.1:${server.port}${PATH}`, { method, headers: all });
}

describe('The server of a recording', () => {
  it('gives ranges of the file, and its length', async () => {
    const part = await get({ range: 'bytes=2-10' });
    expect([part.status, await part.text()]).toEqual([206, 'recording']);
    expect(part.headers.get('content-range')).toBe(`bytes 2-10/${CONTENT.length}`);
    expect(await (await get()).text()).toBe(CONTENT);
    const head = await get({}, 'HEAD');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, `${CONTENT.length}`]);
  });

  it.each(['bytes=99-100', 'bytes=5-2', 'bytes=-5', 'bytes=0-1,3-4', 'all of it'])(
    'refuses the range %s',
    async (range) => {
      const { headers, status } = await get({ range });
      expect([status, headers.get('content-range')]).toEqual([416, `bytes */${CONTENT.length}`]);
    },
  );

  it.each([
    ['no token', ''],
    ['a wrong one', `Bearer ${'x'.repeat(43)}`],
    ['one of a daemon before', 'Bearer '],
  ])('refuses %s', async (_, authorization) => {
    const answer = await get({ authorization });
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toContain('recording,');
    expect((await get({ authorization }, 'HEAD')).headers.get('content-length')).not.toBe(
      `${CONTENT.length}`,
    );
  });

  it('refuses pages of other origins, other names of the host, other methods, and a token in the query', async () => {
    expect((await get({ origin: 'http://evil.example' })).status).toBe(403);
    expect((await get({}, 'POST')).status).toBe(405);
    const own = `http://127.0.0.1:${server.port}`;
    expect((await get({ origin: own })).status).toBe(206);
    expect((await fetch(`${own}${PATH}?token=${server.token}`)).status).toBe(400);
    const asked = `GET ${PATH} HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${server.token}\r\n\r\n`;
    expect(await talk(server.port, asked)).toMatch(/^HTTP\/1.1 421 /);
  });

  it('serves the page, and no other file', async () => {
    const own = `http://127.0.0.1:${server.port}`;
    expect(await (await fetch(`${own}/`)).text()).toContain('<title>KBUS</title>');
    for (const path of ['/run.mcap', '/../run.mcap', '/%2e%2e/run.mcap']) {
      expect((await fetch(`${own}${path}`)).status).toBe(404);
    }
  });
});

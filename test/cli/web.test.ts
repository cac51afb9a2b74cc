import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { Program as BusProgram } from '../bus/program.ts';
import { record } from '../recording/recorded.ts';
import { newFolder } from '../support/folder.ts';
import { kbus, type Outcome, start } from './kbus.ts';

let directory: string;
beforeEach(async () => {
  directory = join(await newFolder(), 'sockets');
});

const run = (...args: string[]): Promise<Outcome> => kbus(args, { env: { KBUS_DIR: directory } });

async function serve(...args: string[]): Promise<string> {
  const daemon = start(['serve', '--directory', directory, ...args]);
  await daemon.says(/serving/);
  return daemon.stderr;
}

describe('kbus web', () => {
  test('prints the address of the page, with the token, which leads to it', async () => {
    const said = await serve('--web', '127.0.0.1:0');
    const { stdout, stderr, code } = await run('web');
    expect([stderr, code]).toEqual(['', 0]);
    const [, origin, token] =
      /^(http:\/\/127\.0\.0\.1:\d+)\/#token=([\w-]{43})\n$/.exec(stdout) ?? [];
    expect(said).toContain(`with a page at ${origin} (see kbus web)`);
    // The log is read by others.
    expect(said).not.toContain(token);
    expect(await (await fetch(`${origin}/`)).text()).toContain('<title>KBUS</title>');
    const json = JSON.parse((await run('web', '--bus', '0', '--json')).stdout);
    expect(`${json.address}\n`).toBe(stdout);
  });

  test('prints that of an access point with web = true, and of another bus', async () => {
    const config = join(await newFolder(), 'kbus.toml');
    writeFileSync(
      config,
      'web = "127.0.0.1:0"\nbuses = 2\n[[access]]\nname = "guest"\nrights = ["read"]\nweb = true\n',
    );
    await serve('--config', config);
    const own = (await run('web')).stdout;
    const guest = (await run('web', '--access', 'guest', '--bus', '1')).stdout;
    expect(guest).toMatch(/#token=[\w-]{43}&bus=1\n$/);
    expect(guest).not.toContain(own.trim());
    const { stderr, code } = await run('web', '--access', 'nobody');
    expect(code).toBe(1);
    expect(stderr).toContain("give access point 'nobody' web = true");
  });

  describe('--open', () => {
    /** A folder with an opener of pages, which notes what it was given. */
    const opener = async (script: string): Promise<string> => {
      const folder = await newFolder();
      for (const name of ['xdg-open', 'open']) {
        writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      }
      return folder;
    };
    const openWith = (folder: string, ...args: string[]): Promise<Outcome> =>
      kbus(['web', '--open', ...args], { env: { KBUS_DIR: directory, PATH: folder } });

    test('gives the browser a private file that leads to the page: a command line can be read by others', async () => {
      const daemon = start(['serve', '--directory', directory, '--web', '127.0.0.1:0']);
      await daemon.says(/serving/);
      const folder = await opener('echo "$@" > "$KBUS_DIR/../given"');
      const { code, stderr, stdout } = await openWith(folder, '--bus', '0', '--allow-send');
      expect([code, stderr, stdout]).toEqual([0, '', 'opened in the browser\n']);
      const file = readFileSync(join(directory, '../given'), 'utf8').trim();
      expect(file).toBe(join(directory, 'kbus.web.html'));
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const address = (await run('web', '--allow-send')).stdout.trim();
      expect(address).toMatch(/#token=[\w-]{43}&send=$/);
      expect(readFileSync(file, 'utf8')).toContain(`url=${address.replace('&', '&#38;')}"`);
      daemon.child.kill('SIGTERM');
      await daemon.ended;
      expect(existsSync(file)).toBe(false);
    });

    test.each([
      ['there is no program that opens pages', null, /this system has no (xdg-)?open/],
      ['the program fails', 'exit 3', /open ended with 3/],
    ])('says the address if %s', async (_, script, why) => {
      await serve('--web', '127.0.0.1:0');
      const folder = script === null ? await newFolder() : await opener(script);
      const { code, stderr } = await openWith(folder);
      expect(code).toBe(1);
      expect(stderr).toMatch(why);
      expect(stderr).toContain((await run('web')).stdout.trim());
    });
  });

  test('serves a recording, without a daemon, until a signal', async () => {
    const folder = await newFolder();
    const file = join(folder, 'run.mcap');
    await record(file, (bus) => void new BusProgram(bus).announce('$.Done'));
    const web = start(['web', file], { env: { KBUS_DIR: directory } });
    await web.says(/serving .*run\.mcap; end with Ctrl-C/);
    const [, origin, token] =
      /^(http:\/\/127\.0\.0\.1:\d+)\/#token=([\w-]{43})&file=run\.mcap\n$/.exec(web.stdout) ?? [];
    expect(await (await fetch(`${origin}/`)).text()).toContain('<title>KBUS</title>');
    const headers = { authorization: `Bearer ${token}`, range: 'bytes=0-999999' };
    const answer = await fetch(`${origin}/recording.mcap`, { headers });
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(new Uint8Array(readFileSync(file)));
    expect((await web.kill('SIGINT')).code).toBe(0);
  });

  test.each([
    [['nowhere.mcap'], 74, 'nowhere.mcap: no such file or directory'],
    [['package.json'], 74, 'package.json: this is no recording'],
    [['package.json', '--access', 'guest'], 2, 'a recording has no bus'],
    [['package.json', '--allow-send'], 2, 'a recording has no bus'],
  ])('says what is wrong with %j', async (args, status, why) => {
    const { code, stderr } = await run('web', ...args);
    expect(stderr).toContain(why);
    expect(code).toBe(status);
  });

  test('says how to start a daemon with a page', async () => {
    await serve();
    const { stderr, code } = await run('web');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /serves no page there: stop it, and start it with: {2}.* serve --web 127.0.0.1:8080/,
    );
  });
});

describe('kbus serve says what is wrong with', () => {
  const refusal = async (...args: string[]): Promise<string> => {
    const { stderr, code } = await run('serve', ...args);
    expect(code).toBe(2);
    return stderr;
  };

  test.each([
    [
      ['--web', '8080'],
      'neither an address with a port nor an absolute path, as in 127.0.0.1:8080',
    ],
    [['--web', '0.0.0.0:8080'], 'without TLS others on the network can read the token'],
    [['--web', 'example.org:80'], "'example.org' is not an IP address"],
    [['--web', '127.0.0.1:0', '--web-origins', 'example.org'], 'web-origins'],
    [['--web', '127.0.0.1:0', '--web-cert', '/nowhere'], 'web-cert: TLS needs web-key, too'],
    [['--web', '127.0.0.1:0', '--web-cert', '/no', '--web-key', '/no'], "web-cert: can't read it"],
    [['--web-origins', 'http://a'], 'web-origins: it sets nothing, but the daemon serves no web'],
    [['--insecure'], 'insecure: it sets nothing'],
  ])('%j', async (args, why) => {
    expect(await refusal(...args)).toContain(why);
  });

  test('a port that another program has', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { stderr, code } = await run('serve', '--web', `127.0.0.1:${port}`);
    expect(stderr).toContain('another program listens there');
    expect(code).toBe(1);
    server.close();
  });

  test('a certificate that is none', async () => {
    const file = join(await newFolder(), 'cert.pem');
    writeFileSync(file, 'no certificate');
    chmodSync(file, 0o600);
    expect(readFileSync(file, 'utf8')).toBe('no certificate');
    const said = await refusal('--web', '127.0.0.1:0', '--web-cert', file, '--web-key', file);
    expect(said).toContain('Give PEM files, and the key of that certificate');
  });
});

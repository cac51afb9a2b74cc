import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeEach, describe, expect, test } from 'vitest';
import { newFolder } from '../support/folder.ts';
import { kbus, MAIN, type Outcome, Program, start } from './kbus.ts';

/** A user and two groups that have nothing: no program of this machine runs as them. */
const USER = 64_111;
const GROUP = 64_112;
const OTHER_GROUP = 64_113;

const isRoot = process.getuid?.() === 0;
const canBeOthers = isRoot && spawnSync('setpriv', ['--version']).status === 0;

let folder: string;
let directory: string;

const CONFIG = `
[[access]]
name = "guest"
mode = "0660"
group = "${GROUP}"
rights = ["read"]
listen = ["$.Public.*"]

[[access]]
name = "worker"
mode = "0666"
rights = ["write", "reply"]
send = ["$.Jobs.%"]
reply = ["$.Worker.*", "$.Tool"]
`;

async function serve(config: string, ...more: string[]): Promise<Program> {
  const file = join(folder, 'kbus.toml');
  writeFileSync(file, config);
  const daemon = start(['serve', '--directory', directory, '--config', file, ...more]);
  await daemon.says(/serving/);
  const names = [...config.matchAll(/^name = "(.*)"/gm)].map(([, name]) => `'${name}'`);
  const points = names.length === 0 ? '' : `, with access points ${names.join(', ')}`;
  expect(daemon.stderr.trimEnd().endsWith(`kbus0.sock${points}`)).toBe(true);
  return daemon;
}

const env = (): NodeJS.ProcessEnv => ({ KBUS_DIR: directory });
const run = (...args: string[]): Promise<Outcome> => kbus(args, { env: env() });

/** Runs `kbus` as another user, in these groups only. */
function startAs(group: number, ...args: string[]): Program {
  const words = ['--reuid', `${USER}`, '--regid', `${group}`, '--clear-groups'];
  return new Program('setpriv', [...words, process.execPath, MAIN, ...args], { env: env() });
}
const runAs = (group: number, ...args: string[]): Promise<Outcome> => startAs(group, ...args).ended;

beforeEach(async () => {
  folder = await newFolder();
  chmodSync(folder, 0o755);
  directory = join(folder, 'sockets');
});

describe('kbus access', () => {
  test('shows who may do what on each access point', async () => {
    await serve(isRoot ? CONFIG : CONFIG.replace(/group = .*/, ''));
    const path = (name: string): string => join(directory, name);
    const me = spawnSync('id', ['-un'], { encoding: 'utf8' }).stdout.trim();
    const mine = spawnSync('id', ['-gn'], { encoding: 'utf8' }).stdout.trim();
    const { code, stdout } = await run('access');
    expect(code).toBe(0);
    expect(stdout.replaceAll(/ +/g, ' ')).toBe(`access bus mode owner group rights file
- 0 0600 ${me} ${mine} read write reply observe manage ${path('kbus0.sock')}
guest 0 0660 ${me} ${isRoot ? GROUP : mine} read ${path('kbus0.guest.sock')}
 listen only $.Public.*
worker 0 0666 ${me} ${mine} write reply ${path('kbus0.worker.sock')}
 send only $.Jobs.%
 reply only $.Worker.* $.Tool
`);
    const json = (await run('access', '--access', 'worker', '--json')).stdout;
    expect(JSON.parse(json)).toEqual({
      device: 0,
      name: 'worker',
      path: path('kbus0.worker.sock'),
      mode: '0666',
      owner: process.getuid?.(),
      group: process.getgid?.(),
      rights: ['write', 'reply'],
      send: ['$.Jobs.%'],
      listen: null,
      reply: ['$.Worker.*', '$.Tool'],
      web: '',
    });
  });

  test('says which of them pages may use, and how to get their tokens', async () => {
    const guest = '[[access]]\nname = "guest"\nrights = ["read"]\nweb = true\n';
    const worker = '[[access]]\nname = "worker"\nrights = ["write"]\n';
    const file = join(folder, 'kbus.toml');
    writeFileSync(file, `web = "127.0.0.1:0"\n${guest}${worker}`);
    const daemon = start(['serve', '--directory', directory, '--config', file]);
    await daemon.says(/serving/);
    const { stdout } = await run('access');
    expect(stdout.split('\n').filter((line) => line.includes('pages'))).toEqual([
      '    pages: kbus web',
      '    pages: kbus web --access guest',
    ]);
    const lines = (await run('access', '--json')).stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).web)).toEqual([
      join(directory, 'kbus.web'),
      join(directory, 'kbus.guest.web'),
      '',
    ]);
    // None tells a token.
    expect(stdout + lines.join()).not.toContain('#token');
  });

  test('shows what docs/security.md shows, for the configuration there', async () => {
    const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
    const blockOf = (language: string): string =>
      new RegExp(`\`\`\`${language}\\n(.*?)\`\`\`\\n`, 's').exec(page)?.[1] as string;
    await serve(
      blockOf('toml')
        .replaceAll(/^group = .*/gm, 'mode = "0660"')
        .replace(/mode = "0660"\nmode = "0660"/, 'mode = "0660"'),
    );
    const { stdout } = await run('access');
    // All but who owns the files.
    const told = (text: string): string =>
      text
        .replaceAll(/ +/g, ' ')
        .replaceAll(/(06\d0) \S+ \S+/g, '$1')
        .replaceAll(/\S*\/kbus0/g, 'kbus0');
    expect(told(stdout)).toBe(told(blockOf('text')));
  });

  test('an access point that is not there is named, with those that are', async () => {
    await serve(CONFIG.replace(/group = .*/, ''));
    const { code, stderr } = await run('listen', '$.Public.*', '--access', 'gest');
    expect(code).toBe(3);
    expect(stderr).toBe(
      `kbus: bus 0 in ${directory} has no access point 'gest'; it has 'guest' or 'worker'.\nTo add one, add a table [[access]] to the configuration file of its daemon.\n`,
    );
  });
});

describe.skipIf(!canBeOthers)('access points of another user (needs root)', () => {
  test('admit only whom their mode and group admit, and say which admit this user', async () => {
    await serve(CONFIG);
    const who = { uid: statSync(join(directory, 'kbus0.guest.sock')).gid };
    expect(who.uid).toBe(GROUP);
    const outsider = await runAs(OTHER_GROUP, 'listen', '$.Public.*');
    expect(outsider.code).toBe(1);
    expect(outsider.stderr).toContain(
      `this user may not use ${directory}/kbus0.sock, but may use access point 'worker' there`,
    );
    const refusedGuest = await runAs(OTHER_GROUP, 'listen', '$.Public.*', '--access', 'guest');
    expect(refusedGuest.stderr).toContain(
      `this user may not use ${directory}/kbus0.guest.sock, but may use access point 'worker' there`,
    );
    const listener = startAs(GROUP, 'listen', '$.Public.*', '--access', 'guest', '--count', '1');
    await listener.says(/listening/);
    expect((await run('send', '$.Public.Door', 'open')).code).toBe(0);
    expect(await listener.ended).toMatchObject({
      code: 0,
      stdout: "Announcement $.Public.Door 'open'\n",
    });
  });

  test('refuse what a right lacks for, and say which', async () => {
    await serve(CONFIG);
    const at = (access: string, ...args: string[]): Promise<Outcome> =>
      runAs(GROUP, ...args, '--access', access);
    const refusals = await Promise.all([
      at('guest', 'listen', '$.*'),
      at('guest', 'send', '$.Public.Door'),
      at('guest', 'stats'),
      at('guest', 'bindings'),
      at('worker', 'kick', '1'),
      at('worker', 'listen', '$.Jobs.A'),
      at('worker', 'reply', '$.Jobs.A', 'x'),
      at('worker', 'request', '$.Worker.A'),
    ]);
    expect(refusals.map(({ code }) => code)).toEqual(refusals.map(() => 1));
    expect(refusals.map(({ stderr }) => stderr.replace(/; `kbus access` .*\n/, ''))).toEqual([
      "kbus: EACCES (13): bind '$.*' as Listener: access point 'guest' gives the right to listen to only '$.Public.*', which does not cover '$.*'",
      "kbus: EACCES (13): send Announcement '$.Public.Door': access point 'guest' does not give the right 'write'",
      "kbus: EACCES (13): read the statistics: access point 'guest' does not give the right 'observe'",
      "kbus: EACCES (13): read the bindings: access point 'guest' does not give the right 'observe'",
      "kbus: EACCES (13): end Ksock 1: access point 'worker' does not give the right 'manage'",
      "kbus: EACCES (13): bind '$.Jobs.A' as Listener: access point 'worker' does not give the right 'read', which listening needs",
      "kbus: EACCES (13): bind '$.Jobs.A' as Replier: access point 'worker' gives the right to reply for only '$.Worker.*', '$.Tool', which does not cover '$.Jobs.A'",
      "kbus: EACCES (13): send Request '$.Worker.A': access point 'worker' gives the right to send only '$.Jobs.%', which does not cover '$.Worker.A'",
    ]);
  });

  test('a Replier of another user answers, and errors say who it is', async () => {
    await serve(CONFIG);
    const replier = startAs(GROUP, 'reply', '$.Worker.A', 'done', '--access', 'worker');
    await replier.says(/replying/);
    expect((await run('request', '$.Worker.A')).stdout).toBe('done');
    const { stderr } = await run('reply', '$.Worker.A', 'mine');
    expect(stderr).toContain(
      `Ksock 1 ('kbus reply', process ${replier.child.pid} of user ${USER}, as it says) replies to '$.Worker.A'`,
    );
  });
});

test('kbus bench measures by an access point', { timeout: 60_000 }, async () => {
  await serve(`[[access]]
name = "bench"
rights = ["read", "write", "reply"]
`);
  const { code, stdout, stderr } = await run(
    ...['bench', '--access', 'bench', '--seconds', '0.1', '--size', '64'],
  );
  expect([code, stderr.includes('EACCES')]).toEqual([0, false]);
  expect(stdout).toContain('Announcements of 64 bytes');
});

describe('kbus kick', () => {
  test('ends a program’s Ksock, which says who did it', async () => {
    await serve('');
    const listener = start(['listen', '$.*'], { env: env() });
    await listener.says(/listening/);
    expect(await run('kick', '1')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'kbus: ended Ksock 1 of bus 0\n',
    });
    const { code, stderr } = await listener.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /ECONNABORTED \(103\): wait for messages: Ksock 2 \('kbus kick', process \d+ of user \d+, as it says\) ended Ksock 1 of bus 0\n$/,
    );
  });

  test('says which Ksocks there are none of, and what an id is', async () => {
    await serve('');
    expect((await run('kick', '9')).stderr).toBe(
      'kbus: EADDRNOTAVAIL (99): end Ksock 9: Ksock 9 is not open on bus 0; `kbus stats` shows those that are\n',
    );
    expect(await run('kick', 'thermostat')).toMatchObject({ code: 2 });
    expect(await run('kick')).toMatchObject({ code: 2 });
    expect(JSON.parse((await run('access', '--json')).stdout)).toMatchObject({ device: 0 });
  });

  test('and the other commands that look work while one program has all connections', async () => {
    await serve('max-connections = 2\n');
    await start(['listen', '$.*'], { env: env() }).says(/listening/);
    const second = start(['listen', '$.*'], { env: env() });
    await second.says(/listening/);
    expect((await run('send', '$.a')).stderr).toContain('max-connections of the daemon is 2');
    const stats = JSON.parse((await run('stats', '--json')).stdout);
    expect(stats.ksocks.map(({ ksock, program }: never) => [ksock, program])).toEqual([
      [1, 'kbus listen'],
      [2, 'kbus listen'],
    ]);
    expect((await run('bindings')).stdout).toContain('listens to  $.*');
    expect((await run('access')).code).toBe(0);
    expect((await run('kick', '2')).code).toBe(0);
    await second.ended;
    expect((await run('send', '$.a')).code).toBe(0);
  });
});

describe('access points of the configuration file', () => {
  const refusalOf = async (config: string, ...more: string[]): Promise<string> => {
    const file = join(folder, 'kbus.toml');
    writeFileSync(file, config);
    const { code, stderr } = await kbus(['serve', '--config', file, ...more], { env: env() });
    expect(code).toBe(2);
    return stderr.replaceAll(file, 'kbus.toml');
  };

  test('with a group that this machine does not have', async () => {
    expect(await refusalOf('[[access]]\nname = "a"\ngroup = "no-such"\nrights = ["read"]')).toBe(
      "kbus: access point 'a': group: this machine has no group 'no-such'; create it (groupadd), or name another\n",
    );
  });

  test('that device files name, and that are not there', async () => {
    const device = ['--device', join(folder, 'dev'), '--device-access'];
    expect(await refusalOf('', ...device, 'guest')).toBe(
      "kbus: device-access: there is no access point 'guest'; add a table [[access]] to the configuration file (--config)\n",
    );
    expect(await refusalOf(CONFIG, ...device, 'gest')).toBe(
      "kbus: device-access: there is no access point 'gest'; the configuration file has 'guest', 'worker'\n",
    );
    expect(await refusalOf('', '--device-mode', '0600')).toBe(
      'kbus: device-mode: without device files it sets nothing; set their folder with --device\n',
    );
  });
});

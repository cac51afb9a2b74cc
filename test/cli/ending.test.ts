import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { newFolder } from '../support/folder.ts';
import { kbus, MAIN, Program, serve, start } from './kbus.ts';
import { mute } from './mute.ts';

const COMMANDS = [
  'send $.A x',
  'send $.A x --wait',
  'request $.A x',
  'listen $.A',
  'reply $.A x',
  'bindings',
  'stats',
  'bench',
];

describe('the first Ctrl-C', () => {
  test.each([...COMMANDS, 'play --bus 0', 'play --stay --once', 'doctor'])(
    'ends %s while it connects to a suspended daemon',
    async (line) => {
      const { directory, asked } = await mute();
      const program = start(line.split(' '), { env: { KBUS_DIR: directory } });
      await asked;
      expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stdout: '', stderr: '' });
    },
  );

  test.each(COMMANDS)('ends %s while it waits for the bus', async (line) => {
    const served = await serve();
    const { directory, asked } = await mute(join(served.directory, 'kbus0.sock'));
    const program = start(line.split(' '), { env: { KBUS_DIR: directory } });
    await asked;
    expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stdout: '', stderr: '' });
  });

  test.each(['listen', 'reply'])('ends %s after the daemon was suspended', async (command) => {
    const { daemon, start } = await serve();
    const program = start([command, '$.A']);
    await program.says(/to '\$\.A'/);
    daemon.child.kill('SIGSTOP');
    expect(await program.kill('SIGINT')).toMatchObject({ code: 0, stdout: '' });
    daemon.child.kill('SIGCONT');
  });

  test('ends a command whose output is not read', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.replier('$.Large', () => 'x'.repeat(500_000));
    const program = served.start(['request', '$.Large'], { isRead: false });
    // It writes; more than the pipe can hold is left.
    await once(program.child.stdout as NodeJS.ReadableStream, 'readable');
    program.child.kill('SIGINT');
    expect(await once(program.child, 'exit')).toEqual([130, null]);
    program.child.stdout?.resume();
  });

  test('ends a command that reads stdin', async () => {
    const program = start(['send', '$.A', '-', '--hex'], { input: null });
    // There is no word of it, but it takes what there is.
    const { stdin } = program.child;
    await new Promise((resolve) => stdin?.write('00'.repeat(500_000), resolve));
    expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stderr: '' });
  });

  test('ends reply, and a command of --exec that ignores signals', async () => {
    const served = await serve();
    const deaf = "trap '' TERM INT; echo $$ >&2; while :; do read a </dev/zero; done";
    const program = served.start(['reply', '$.Ask', '--exec', deaf]);
    await program.says(/replying to/);
    const asking = served.start(['request', '$.Ask']);
    await program.says(/^\d+$/m);
    const pid = Number(/^(\d+)$/m.exec(program.stderr)?.[1]);
    expect((await program.kill('SIGINT')).code).toBe(0);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect((await asking.ended).code).toBe(1);
  });
});

test('SIGTERM ends a command as Ctrl-C does', async () => {
  const { directory, asked } = await mute();
  const program = start(['stats'], { env: { KBUS_DIR: directory } });
  await asked;
  expect(await program.kill('SIGTERM')).toMatchObject({ code: 143, stdout: '', stderr: '' });
});

describe('a command without a terminal', () => {
  // As `nohup` leaves it: what Node forgets is that the signal was ignored.
  test.each(['listen', 'reply'])('goes on after SIGHUP: %s', async (command) => {
    const served = await serve();
    const program = served.start([command, '$.A', 'x'].slice(0, command === 'listen' ? 2 : 3));
    await program.says(/to '\$\.A'/);
    program.child.kill('SIGHUP');
    await using ksock = await Ksock.open(0, { directory: served.directory });
    if (command === 'reply') await ksock.request('$.A');
    else await ksock.sendMsg(new Announcement('$.A'));
    await program.says(/\$\.A\n/);
    expect(await program.kill('SIGINT')).toMatchObject({ code: 0 });
  });
});

const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

test.skipIf(!hasScript).each(['listen', 'serve'])(
  'kbus %s ends by SIGHUP when its terminal is closed',
  async (command) => {
    const { directory } = await serve();
    const folder = await newFolder();
    const pipe = join(folder, 'outcome');
    execFileSync('mkfifo', [pipe]);
    // The terminal's shell ends, and with it all programs; but this one goes on, to tell how the command ended.
    const run = `(trap '' HUP; "$NODE" "$MAIN" $ARGS; echo $? >'${pipe}'); true`;
    const terminal = new Program('script', ['-qec', run, '/dev/null'], {
      input: null,
      env: {
        SHELL: '/bin/sh',
        NODE: process.execPath,
        MAIN,
        KBUS_DIR: command === 'listen' ? directory : folder,
        ARGS: command === 'listen' ? 'listen $.*' : 'serve',
      },
    });
    await terminal.says(/listening to|serving bus/);
    const outcome = readFile(pipe, 'utf8');
    terminal.child.kill('SIGKILL');
    expect(await outcome).toBe('129\n');
  },
);

describe('kbus request --timeout', () => {
  test('covers the connection to a suspended daemon', async () => {
    const { directory } = await mute();
    const args = ['request', '$.A', '--timeout', '0.1', '--directory', directory];
    const { code, stderr } = await kbus(args);
    expect(stderr).toBe(
      'kbus: ETIMEDOUT (110): open bus 0 within 100 ms: its daemon does not answer: it is suspended, or very busy\n',
    );
    expect(code).toBe(1);
  });

  test('covers the reading of stdin', async () => {
    const args = ['request', '$.A', '-', '--timeout', '0.1', '--directory', await newFolder()];
    const { code, stderr } = await start(args, { input: null }).ended;
    expect(stderr).toMatch(/^kbus: ETIMEDOUT \(110\): read the data from stdin within 100 ms: /);
    expect(code).toBe(1);
  });
});

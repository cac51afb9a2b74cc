import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { MAIN, Program, serve } from './kbus.ts';

/** Runs `kbus` with these arguments, and with what the shell says behind them. */
function inShell(directory: string, args: string[], more: string): Program {
  const command = `exec "$0" "$@" ${more}`;
  const env = { KBUS_DIR: directory };
  return new Program('/bin/sh', ['-c', command, process.execPath, MAIN, ...args], { env });
}

const hasFull = existsSync('/dev/full');

describe('a full disk', () => {
  test
    .skipIf(!hasFull)
    .each([
      'send $.A',
      'request $.Echo x',
      'request $.Echo x --json',
      'bindings',
      'stats --json',
      'errno',
      'doctor',
      'bench --seconds 0.01',
      'play',
      'play --json',
      'play --transcript',
      '--help',
      'send --help',
      '--version',
    ])('makes %s end with one line that says so', async (line) => {
    const { directory } = await serve();
    await using ksock = await Ksock.open(0, { directory });
    await ksock.replier('$.Echo', (request) => request.data);
    const { code, stderr } = await inShell(directory, line.split(' '), '>/dev/full').ended;
    const lines = stderr.split('\n').filter((line) => !line.startsWith('kbus: measuring'));
    expect(lines).toEqual([
      "kbus: can't write to stdout: ENOSPC, no space left on device. The output is incomplete.",
      '',
    ]);
    expect(code).toBe(74);
  });

  test.skipIf(!hasFull).each(['listen', 'reply'])('ends %s likewise', async (command) => {
    const { directory } = await serve();
    const program = inShell(directory, [command, '$.A'], '>/dev/full');
    await program.says(/to '\$\.A'/);
    await using ksock = await Ksock.open(0, { directory });
    const answer = command === 'reply' ? ksock.request('$.A').catch(() => {}) : undefined;
    if (command === 'listen') await ksock.sendMsg(new Announcement('$.A'));
    const { code, stderr } = await program.ended;
    expect(stderr).toMatch(/^kbus: .* to '\$\.A' on bus 0\nkbus: can't write to stdout: [^\n]*\n$/);
    expect(code).toBe(74);
    await answer;
  });

  test.skipIf(!hasFull)('makes what is printed of a recording end with 74, too', async () => {
    const served = await serve();
    const path = join(served.directory, 'run.mcap');
    const recorder = served.start(['record', '-o', path]);
    await recorder.says(/recording bus 0/);
    await served.kbus(['send', '$.A', 'x']);
    await recorder.kill('SIGINT');
    for (const more of [[], ['--json'], ['--events']]) {
      const args = ['recording', 'show', path, ...more];
      const { code, stderr } = await inShell(served.directory, args, '>/dev/full').ended;
      expect(stderr).toMatch(/^kbus: can't write to stdout: ENOSPC/);
      expect(code).toBe(74);
    }
  });

  test.skipIf(!hasFull).each([
    ['a second daemon', 1, ['serve']],
    ['a wrong option', 2, ['serve', '--buses', '0']],
    ['a bus that is not there', 3, ['stats', '--bus', '7']],
    ['a Request that nobody replies to', 1, ['request', '$.A']],
  ])('for stderr leaves %s its exit code', async (_, expected, args) => {
    const { directory } = await serve();
    const { code } = await inShell(directory, args, '2>/dev/full').ended;
    expect(code).toBe(expected);
  });

  test.skipIf(!hasFull)('for stderr ends no command, but the exit code reports it', async () => {
    const { directory } = await serve();
    const args = ['bench', '--seconds', '0.01', '--size', '8'];
    const { code, stdout } = await inShell(directory, args, '2>/dev/full').ended;
    expect(stdout).toMatch(/^Requests(.*\n)*Announcements/);
    expect(code).toBe(74);
  });
});

describe('a closed pipe', () => {
  test.each(['send $.A', 'stats', 'errno', 'doctor', 'bench --seconds 0.01'])(
    'ends %s quietly',
    async (line) => {
      const { start } = await serve();
      const program = start(line.split(' '));
      program.child.stdout?.destroy();
      const { code, stderr } = await program.ended;
      expect(stderr.replace(/^kbus: measuring .*\n/, '')).toBe('');
      expect(code).toBe(0);
    },
  );
});

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { kbus, MAIN, Program, serve, start } from '../cli/kbus.ts';
import { newFolder } from '../support/folder.ts';

/**
 * What the terminals of the introduction to KBUS (July 2010) print, copied from it by hand. Of Python's
 * words, `1L` is 1, `None` null and `True` true; of a traceback the last line is left, and the errors
 * are told in the words of this KBUS.
 */
const TRANSCRIPT = readFileSync(new URL('transcript.txt', import.meta.url), 'utf8');

/** Without the processes of the actors, which errors tell: they are others each time. */
const withoutProcesses = (text: string): string =>
  text.replaceAll(/ \('actor\.cjs', process \d+(?: of user \d+)?, as it says\)/g, '');

const hasPython = spawnSync('python3', ['--version']).status === 0;

/** The processes that have opened Ksocks, in their order, as the daemon's log tells. */
const pidsIn = (log: string): number[] =>
  [...log.matchAll(/, process (\d+)[^\n]*\) opened \(rw?\)/g)].map(([, pid]) => Number(pid));

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Runs a program at a terminal of 140 columns, and ends as it does. */
const TERMINAL = `
import fcntl, os, pty, select, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 140, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
watched = [fd, 0]
while fd in watched:
    for ready in select.select(watched, [], [])[0]:
        try:
            data = os.read(ready, 65536)
        except OSError:
            data = b''
        if data:
            os.write(1 if ready == fd else fd, data)
        else:
            watched.remove(ready)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

describe('the playlet', () => {
  test('prints on a new bus the lines of the introduction to KBUS', async () => {
    const { code, stdout, stderr } = await kbus(['play', '--transcript']);
    expect(stderr).toBe('');
    expect(withoutProcesses(stdout).split('\n')).toEqual(TRANSCRIPT.split('\n'));
    expect(code).toBe(0);
  });

  test('is played by four processes, on the bus of another daemon', async () => {
    const { daemon, kbus } = await serve('--verbose');
    expect(await kbus(['play', '--bus', '0'])).toMatchObject({ code: 0 });
    // The first Ksock is the director's, who looks whether there is such a bus.
    const pids = pidsIn(daemon.stderr);
    expect(pids).toHaveLength(5);
    expect(new Set(pids).size).toBe(5);
    expect(pids).not.toContain(daemon.child.pid);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('is the same on a used bus, except for the ids', async () => {
    const { directory, kbus } = await serve('--buses', '2');
    await using ksock = await Ksock.open(1, { directory });
    for (let count = 0; count < 4; count++) await ksock.sendMsg(new Announcement('$.Before'));
    const file = join(await newFolder(), 'transcript.txt');
    const { code, stdout } = await kbus(['play', '--bus', '1', '--transcript', file]);
    expect(code).toBe(0);
    expect(stdout).toContain('<Announcement');
    // Two Ksocks were before them: this one, and the director's.
    const shifted = TRANSCRIPT.replaceAll('device 0', 'device 1')
      .replaceAll(/(MessageId\(0, |\[0:)(\d+)/g, (_, before, serial) => `${before}${+serial + 4}`)
      .replaceAll('bus 0', 'bus 1')
      .replaceAll(/((?:from|from_|to|id|Ksock)[ =])(\d)/g, (_, before, id) => `${before}${+id + 2}`)
      .replaceAll(/^([13])$/gm, (id) => String(+id + 2));
    const written = withoutProcesses(readFileSync(file, 'utf8'));
    expect(written.split('\n')).toEqual(shifted.split('\n'));
  });

  test('shows typed and printed lines, as plain text without a terminal', async () => {
    const { code, stdout } = await kbus(['play'], { env: { FORCE_COLOR: '1' } });
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/\p{Cc}(?<!\n)/u);
    for (const part of ['Senders and Listeners', 'Requests and Repliers', 'Stateful Requests']) {
      expect(stdout).toContain(`=== ${part} ===\n`);
    }
    expect(stdout).toMatch(
      /^Rosencrantz {2}> await rosencrantz\.sendMsg\(ahem\)\nRosencrantz {2}MessageId\(0, 1\)$/m,
    );
    expect(stdout).toMatch(/^Guildenstern > const guildenstern = await Ksock\.open\(0\)$/m);
    const printed = stdout.split('\n').filter((line) => line.startsWith('Falstaff     '));
    expect(printed).toHaveLength(5);
  });

  test('is written as JSON, an object per line', async () => {
    const { stdout } = await kbus(['play', '--json']);
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(told[0]).toEqual({ act: 'Senders and Listeners' });
    expect(told).toContainEqual({ who: 'Audience', typed: '<Ctrl-C>' });
    const terminals = TRANSCRIPT.trimEnd()
      .split('\n\n')
      .map((one) => one.split('\n').slice(1));
    for (const [index, who] of ['Rosencrantz', 'Audience', 'Guildenstern'].entries()) {
      const printed = told.filter((one) => one.who === who && 'printed' in one);
      expect(printed.map((one) => withoutProcesses(one.printed))).toEqual(terminals[index]);
    }
  });

  test('fails before the play if the transcript can’t be written', async () => {
    const { code, stdout, stderr } = await kbus(['play', '--transcript', '/nowhere/transcript']);
    expect(stderr).toMatch(
      /^kbus: can't write the transcript to \/nowhere\/transcript: ENOENT[^\n]*\n$/,
    );
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('leaves nothing behind', async () => {
    const TMPDIR = await newFolder();
    expect(await kbus(['play', '--transcript'], { env: { TMPDIR } })).toMatchObject({ code: 0 });
    expect(readdirSync(TMPDIR)).toEqual([]);
  });

  test('ends at Ctrl-C, and leaves nothing behind', async () => {
    const TMPDIR = await newFolder();
    // It rests after the first step for longer than this test takes.
    const program = start(['play', '--pace', '60000'], { env: { TMPDIR } });
    await program.says(/Senders and Listeners/);
    expect(readdirSync(TMPDIR)).toHaveLength(1);
    expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stderr: '' });
    expect(readdirSync(TMPDIR)).toEqual([]);
  });

  test('exits with 0 if the reader of its output has gone', async () => {
    const TMPDIR = await newFolder();
    const program = start(['play'], { env: { TMPDIR } });
    await program.says(/Senders and Listeners/);
    program.child.stdout?.destroy();
    expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(TMPDIR)).toEqual([]);
  });

  test('stops if another program replies to its names', async () => {
    const { directory, daemon, kbus } = await serve('--verbose');
    await using ksock = await Ksock.open(0, { directory });
    await ksock.bind('$.Actor.CoinToss', true);
    const { code, stderr } = await kbus(['play', '--bus', '0']);
    expect(stderr).toMatch(
      /^kbus: Guildenstern typed: await guildenstern\.bind\('\$\.Actor\.CoinToss', true\)\nand that failed: KbusError: EADDRINUSE/,
    );
    expect(code).toBe(1);
    expect(pidsIn(daemon.stderr).slice(1).filter(isAlive)).toEqual([]);
  });

  test('stops when an actor is killed', async () => {
    const { daemon, start } = await serve('--verbose');
    const program = start(['play', '--bus', '0', '--pace', '50']);
    // The director's Ksock is the first, then Rosencrantz's, then the Audience's.
    await daemon.says(/Ksock 3 .*opened/);
    process.kill(pidsIn(daemon.stderr)[2] as number);
    const { code, stderr } = await program.ended;
    expect(stderr).toBe("kbus: Audience's program ended with SIGTERM before its part was over\n");
    expect(code).toBe(1);
    expect(pidsIn(daemon.stderr).filter(isAlive)).toEqual([]);
  });

  test('stops when the bus goes away', async () => {
    const { daemon, start } = await serve('--verbose');
    const program = start(['play', '--bus', '0', '--pace', '50']);
    await daemon.says(/Ksock 3 .*opened/);
    await daemon.kill();
    const { code, stderr } = await program.ended;
    expect(stderr).toMatch(/^kbus: .*(typed|started)(.*\n)*.*KbusError: (ECONNRESET|ENOENT)/);
    expect(code).toBe(1);
  });
});

describe('the playlet with --stay', () => {
  test('is played on bus 0 of the machine, and then prints what to type', async () => {
    const KBUS_DIR = join(await newFolder(), 'sockets');
    const { code, stdout } = await kbus(['play', '--stay'], { env: { KBUS_DIR } });
    expect(stdout).toContain(`On bus 0 at ${KBUS_DIR}/kbus0.sock.\n`);
    expect(stdout).toContain('MessageId(0, 13)');
    expect(stdout).toContain(`Bus 0 was at ${KBUS_DIR}/kbus0.sock, and stops now.\n`);
    expect(stdout).toMatch(/ serve\n/);
    expect(code).toBe(0);
    // Nobody could press Ctrl-C here: it did not stay.
    expect(existsSync(KBUS_DIR)).toBe(false);
  });

  test('uses a running daemon, and says so', async () => {
    const { daemon, directory, kbus } = await serve();
    const { code, stdout } = await kbus(['play', '--stay']);
    expect(stdout).toContain(
      `On bus 0 at ${directory}/kbus0.sock, served by the KBUS daemon with process id ${daemon.child.pid}.\n`,
    );
    expect(stdout).toContain(`Bus 0 is at ${directory}/kbus0.sock.\n`);
    expect(stdout).toMatch(/ listen '\$\.\*'\n/);
    expect(code).toBe(0);
    await using ksock = await Ksock.open(0, { directory });
    expect(ksock.id).toBe(5);
  });

  test.runIf(hasPython)('at a terminal, serves the bus until Ctrl-C', async () => {
    const KBUS_DIR = join(await newFolder(), 'sockets');
    const command = [process.execPath, MAIN, 'play', '--stay', '--pace', '0'];
    const program = new Program('python3', ['-c', TERMINAL, ...command], {
      env: { KBUS_DIR, TERM: 'xterm' },
      input: null,
    });
    await program.says(/Ctrl-C here stops the bus/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
    expect(program.stdout).toMatch(/\x1b\[36m/);
    expect(program.stdout).toContain(`Bus 0 is at ${KBUS_DIR}/kbus0.sock.`);
    await using ksock = await Ksock.open(0, { directory: KBUS_DIR });
    expect(ksock.id).toBe(5);
    program.child.stdin?.write('\x03');
    expect((await program.ended).code).toBe(0);
    expect(existsSync(KBUS_DIR)).toBe(false);
  });

  test.runIf(hasPython)(
    'ends after the playlet with --once, and has no colours with NO_COLOR',
    async () => {
      const KBUS_DIR = join(await newFolder(), 'sockets');
      const command = [process.execPath, MAIN, 'play', '--stay', '--once', '--pace', '0'];
      const program = new Program('python3', ['-c', TERMINAL, ...command], {
        env: { KBUS_DIR, TERM: 'xterm', NO_COLOR: '1' },
        input: null,
      });
      expect((await program.ended).code).toBe(0);
      expect(program.stdout).not.toContain('\x1b');
      // At 140 columns the terminals stand side by side.
      expect(program.stdout).toMatch(/^Terminal 1: Rosencrantz +\S+ Terminal 2: Audience /m);
      expect(existsSync(KBUS_DIR)).toBe(false);
    },
  );
});

import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { kbus, type Program, type Served, serve } from './kbus.ts';

/** `kbus listen`, once it listens. */
async function listen(served: Served, ...args: string[]): Promise<Program> {
  const program = served.start(['listen', ...args]);
  await program.says(/listening to/);
  return program;
}

const open = ({ directory }: Served): Promise<Ksock> => Ksock.open(0, { directory });

describe('kbus listen', () => {
  test('prints one line per message, and a line on stderr once it listens', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--count', '3');
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.Actor.Speak', 'Hello\nthere'));
    await ksock.sendMsg(new Announcement('$.Empty'));
    await ksock.sendMsg(new Announcement('$.Bytes', Uint8Array.of(0, 0x41, 0xff)));
    expect(await program.ended).toEqual({
      code: 0,
      signal: null,
      stderr: expect.stringMatching(
        /^kbus: listening to '\$\.\*' on bus 0\nkbus: 3 messages, 14 B of/,
      ),
      stdout:
        "Announcement $.Actor.Speak 'Hello\\nthere'\n" +
        'Announcement $.Empty\n' +
        "Announcement $.Bytes '\\x00A\\xff'\n",
    });
  });

  test('cuts long data, but not within a character', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--count', '1');
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.Long', `x${'é'.repeat(500)}`));
    const { stdout } = await program.ended;
    expect(stdout).toBe(`Announcement $.Long 'x${'é'.repeat(99)}'... (1001 bytes)\n`);
  });

  test('with --full, prints all fields of a message', async () => {
    const served = await serve();
    const program = await listen(served, '$.Ask', '--full', '--count', '2');
    await using ksock = await open(served);
    await ksock.bind('$.Ask', true);
    await ksock.sendMsg(new Request('$.Ask', 'x'.repeat(300)));
    await ksock.close();
    await using other = await open(served);
    await other.sendMsg(new Announcement('$.Ask'));
    expect((await program.ended).stdout).toBe(
      `<Request '$.Ask', id=[0:1], from=2, flags=0x1 (REQ), data='${'x'.repeat(300)}'>\n` +
        "<Announcement '$.Ask', id=[0:2], from=3>\n",
    );
  });

  test('with --dump, prints the data as hexdump does', async () => {
    const served = await serve();
    const program = await listen(served, '$.Bytes', '--dump', '--count', '1');
    await using ksock = await open(served);
    await ksock.sendMsg(
      new Announcement(
        '$.Bytes',
        Uint8Array.from({ length: 18 }, (_, i) => i + 47),
      ),
    );
    expect((await program.ended).stdout).toBe(
      "<Announcement '$.Bytes', id=[0:1], from=2> 18 bytes\n" +
        '00000000  2f 30 31 32 33 34 35 36  37 38 39 3a 3b 3c 3d 3e  |/0123456789:;<=>|\n' +
        '00000010  3f 40                                             |?@|\n',
    );
  });

  test('with --json, prints an object per line, with text as data and binary data as hex', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--json', '--count', '3');
    await using ksock = await open(served);
    await ksock.bind('$.Ask', true);
    await ksock.sendMsg(new Announcement('$.Text', 'a "word"\n'));
    await ksock.sendMsg(new Announcement('$.Bytes', Uint8Array.of(0xff, 0)));
    await ksock.sendMsg(new Request('$.Ask', null, { to: ksock.id }));
    const { stdout } = await program.ended;
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        kind: 'Announcement',
        name: '$.Text',
        id: { networkId: 0, serialNum: 1 },
        from: 2,
        data: 'a "word"\n',
      },
      {
        kind: 'Announcement',
        name: '$.Bytes',
        id: { networkId: 0, serialNum: 2 },
        from: 2,
        hex: 'ff00',
      },
      {
        kind: 'Request',
        name: '$.Ask',
        id: { networkId: 0, serialNum: 3 },
        to: 2,
        from: 2,
        flags: 1,
      },
    ]);
  });

  test('listens to several names, and prints a message twice that matches two of them', async () => {
    const served = await serve();
    const program = await listen(served, '$.A.B', '$.A.%', '--count', '3');
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.A.B'));
    await ksock.sendMsg(new Announcement('$.A.B.C'));
    await ksock.sendMsg(new Announcement('$.A.D'));
    expect((await program.ended).stdout).toBe(
      'Announcement $.A.B\nAnnouncement $.A.B\nAnnouncement $.A.D\n',
    );
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('exits with 0 after %s', async (signal) => {
    const served = await serve();
    const program = await listen(served, '$.*');
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.A'));
    await program.says(/\$\.A\n/);
    expect(await program.kill(signal)).toMatchObject({ code: 0, stdout: 'Announcement $.A\n' });
    expect(await ksock.readBindings()).toEqual([]);
  });

  test('exits with an error after a signal if --count messages have not arrived', async () => {
    const program = await listen(await serve(), '$.*', '--count', '1');
    expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stdout: '' });
  });

  test('exits with 0 if the reader of its output has gone', async () => {
    const served = await serve();
    const program = await listen(served, '$.*');
    await using ksock = await open(served);
    program.child.stdout?.destroy();
    let isOver = false;
    const ended = program.ended.finally(() => {
      isOver = true;
    });
    // It notices when it prints; the first line may still fit into the pipe.
    while (!isOver) await ksock.sendMsg(new Announcement('$.A', 'x'.repeat(10_000)));
    expect(await ended).toMatchObject({ code: 0, signal: null });
  });

  test('reports the number of missed messages', async () => {
    const served = await serve('--max-queued-bytes-per-ksock', '300000');
    const program = await listen(served, '$.*');
    // Nobody reads what it prints: it comes to a stop.
    program.child.stdout?.removeAllListeners('data').pause();
    await using ksock = await open(served);
    for (let missed = 0; missed === 0; ) {
      await ksock.sendMsg(new Announcement('$.A', 'x'.repeat(100_000)));
      missed = (await ksock.stats()).ksocks.find(({ ksock }) => ksock === 1)?.missed ?? 0;
    }
    await program.says(/^kbus: missed 1 message: they arrived faster than it could print them/m);
    program.child.kill('SIGINT');
    program.child.stdout?.resume();
    expect((await program.ended).code).toBe(0);
  });

  test('queues many messages while it prints', async () => {
    const served = await serve();
    await listen(served, '$.*');
    await using ksock = await open(served);
    expect((await ksock.stats()).ksocks.map(({ maxMessages }) => maxMessages)).toContain(100_000);
  });

  test('prints the rates at the end, by name', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--count', '30');
    await using ksock = await open(served);
    for (let at = 0; at < 30; at++) {
      await ksock.sendMsg(new Announcement(at % 3 === 0 ? '$.A' : `$.Room${at % 9}.Temp`, '12345'));
    }
    const { stderr } = await program.ended;
    const rate = '[\\d,.]+/s';
    const bytes = '[\\d.]+ [KMG]?i?B/s';
    const lines = stderr.replaceAll('kbus: ', '').trimEnd().split('\n');
    expect(lines[1]).toMatch(
      new RegExp(`^30 messages, 150 B of data in [\\d.]+ m?s: ${rate}, ${bytes}$`),
    );
    expect(lines[2]).toMatch(/^ {2}name +messages +rate +data$/);
    expect(lines[3]).toMatch(new RegExp(`^  \\$\\.A +10 +${rate} +${bytes}$`));
    expect(lines).toHaveLength(3 + 7);
  });

  test('prints nothing of a single message', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '-n1');
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.A'));
    expect((await program.ended).stderr).toBe("kbus: listening to '$.*' on bus 0\n");
  });

  test('--for ends it in time; with --count, too few messages are an error', async () => {
    const served = await serve();
    const [plain, counting] = await Promise.all([
      listen(served, '$.*', '--for', '100ms'),
      listen(served, '$.*', '--for', '0.1s', '--count', '2'),
    ]);
    expect(await plain.ended).toMatchObject({ code: 0, stdout: '' });
    const { code, stderr } = await counting.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kbus: 0 of 2 messages came within the time of --for$/m);
  });

  test('--for does not wait for a reader of its output', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--for', '1s');
    program.child.stdout?.removeAllListeners('data').pause();
    await using ksock = await open(served);
    for (let at = 0; at < 5; at++)
      await ksock.sendMsg(new Announcement('$.A', 'x'.repeat(200_000)));
    const exited = new Promise((resolve) => program.child.once('exit', resolve));
    expect(await exited).toBe(0);
    program.child.stdout?.resume();
  });

  test('--requests, --replies and --announcements print messages of these kinds, --from those of a Ksock', async () => {
    const served = await serve();
    const listeners = await Promise.all([
      listen(served, '$.*', '--requests', '-n1'),
      listen(served, '$.*', '--replies', '-n1'),
      listen(served, '$.*', '--announcements', '--replies', '-n2'),
    ]);
    await using replier = await open(served);
    await using asker = await open(served);
    const from = await listen(served, '$.*', '--from', String(replier.id), '--from', '999', '-n1');
    await replier.replier('$.Ask', () => 'yes');
    await asker.sendMsg(new Announcement('$.News'));
    await asker.request('$.Ask', 'well?');
    const printed = await Promise.all(
      [...listeners, from].map(async (one) => (await one.ended).stdout),
    );
    const [asked, replied] = ["Request $.Ask 'well?'\n", "Reply $.Ask 'yes'\n"];
    expect(printed).toEqual([asked, replied, `Announcement $.News\n${replied}`, replied]);
  });

  const TIME = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z';

  test.each([
    [['--timestamps'], `${TIME} Announcement \\$\\.A 'é\\\\tb'`],
    [['--timestamps', '--json'], `\\{"time":"${TIME}","kind":"Announcement",.*\\}`],
    [['--timestamps', '--full'], `${TIME} <Announcement '\\$\\.A', .*>`],
    [['--format', 'line'], "Announcement \\$\\.A 'é\\\\tb'"],
    [['--format', 'jsonl'], '\\{"kind":"Announcement","name":"\\$\\.A",.*\\}'],
    [['--format', 'hex'], 'Announcement \\$\\.A c3a90962'],
    [
      [
        '--format',
        '{time} {kind} {name} {id} {from} {to} {inReplyTo} {flags} {size} {hex} {{{data}',
      ],
      `${TIME} Announcement \\$\\.A \\[0:1\\] 2 0 \\[0:0\\] 0x8 \\(URG\\) 4 c3a90962 \\{é\\\\tb`,
    ],
  ])('%j prints a message so', async (args, pattern) => {
    const served = await serve();
    const program = await listen(served, '$.*', '-n1', ...args);
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.A', 'é\tb', { flags: Flag.URGENT }));
    const { stdout } = await program.ended;
    expect(stdout).toMatch(new RegExp(`^${pattern}\n$`));
  });

  test.each([
    [['--format', 'jsnl'], 'Did you mean jsonl?'],
    [['--format', '{nme}'], 'There is no field {nme}; the fields are time, kind,'],
    [['--format', '{nme}'], '(Did you mean {name}?)'],
    [['--format', 'a { b'], "It has a '{' without a '}'"],
    [['--format', 'hex', '--json'], "cannot be used with option '--json'"],
    [['--for', '10 days'], 'It must be a time greater than 0, such as 10s'],
    [['--for', '0s'], 'It must be a time greater than 0'],
    [['--from', 'thermostat'], 'It must be the id of a Ksock, as kbus stats shows it.'],
    [['--queue', '0'], 'whole number from 1'],
  ])('%j is a mistake that it explains', async (args, says) => {
    const { code, stderr } = await kbus(['listen', '$.*', ...args]);
    expect(stderr).toContain(says);
    expect(code).toBe(2);
  });

  test('waits for a slow reader without warnings from Node', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--full', '--count', '20');
    await using ksock = await open(served);
    for (let at = 0; at < 20; at++) {
      // More than a pipe holds.
      await ksock.sendMsg(new Announcement('$.A', 'x'.repeat(500_000)));
    }
    expect((await program.ended).stderr).toMatch(
      /^kbus: listening to '\$\.\*' on bus 0\nkbus: 20 messages, 9\.5 MiB of data in .*\n$/,
    );
  });

  test('escapes control characters of other programs', async () => {
    const served = await serve();
    const evil = '\x1b]0;pwned\x07\r\x9b2J\u202e\u2028';
    const programs = await Promise.all(
      [[], ['--full'], ['--dump'], ['--json']].map((more) => listen(served, '$.*', '-n1', ...more)),
    );
    await using ksock = await open(served);
    await ksock.sendMsg(new Announcement('$.A', evil));
    for (const program of programs) {
      const { stdout } = await program.ended;
      expect(stdout).toMatch(/^[\x20-\x7e\n]+$/);
      if (stdout.startsWith('{')) expect(JSON.parse(stdout).data).toBe(evil);
    }
  });

  test('reports that the bus has gone away, and how to start it', async () => {
    const served = await serve();
    const program = await listen(served, '$.*');
    await served.daemon.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    expect(stderr).toMatch(
      /ECONNRESET .*the bus has gone away.*\nStart it again with: .* serve\n$/,
    );
    expect(code).toBe(3);
  });
});

import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { type Program, type Served, serve } from './kbus.ts';

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
      stderr: "kbus: listening to '$.*' on bus 0\n",
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

  test('waits for a slow reader without warnings from Node', async () => {
    const served = await serve();
    const program = await listen(served, '$.*', '--full', '--count', '20');
    await using ksock = await open(served);
    for (let at = 0; at < 20; at++) {
      // More than a pipe holds.
      await ksock.sendMsg(new Announcement('$.A', 'x'.repeat(500_000)));
    }
    expect((await program.ended).stderr).toBe("kbus: listening to '$.*' on bus 0\n");
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

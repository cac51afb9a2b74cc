import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { serve } from './kbus.ts';

describe('kbus bindings', () => {
  test('prints a line for each binding, newest first, with the program', async () => {
    const { directory, kbus } = await serve();
    await using thermostat = await Ksock.open(0, { directory, name: 'thermostat' });
    await using screen = await Ksock.open(0, { directory, name: '画面\x1b[31m' });
    await thermostat.bind('$.Room.Set', true);
    await screen.bind('$.Room.*');
    const { code, stdout } = await kbus(['bindings']);
    expect(code).toBe(0);
    const { pid } = process;
    const space = ' '.repeat(String(pid).length - 3);
    expect(stdout).toBe(
      `bus 0: 2 bindings
Ksock  program       ${space}pid  does        name
    2  画面\\x1b[31m  ${pid}  listens to  $.Room.*
    1  thermostat    ${pid}  replies to  $.Room.Set
`,
    );
  });

  test('--verbose prints the text of the device file, newest first', async () => {
    const { directory, kbus } = await serve('--buses', '2');
    await using ksock = await Ksock.open(1, { directory });
    await ksock.bind('$.Actor.*');
    await ksock.bind('$.Actor.Ask', true);
    const { code, stdout } = await kbus(['bindings', '--verbose', '--bus', '1']);
    expect(code).toBe(0);
    const pid = String(process.pid).padStart(8);
    expect(stdout).toBe(
      '# bus 1: device: Ksock id, process id, Replier or Listener, name\n' +
        `  1:        1 ${pid}  R  $.Actor.Ask\n` +
        `  1:        1 ${pid}  L  $.Actor.*\n`,
    );
    expect((await kbus(['bindings', '--verbose'])).stdout).toMatch(/^# bus 0: .*\n$/);
    expect((await kbus(['bindings'])).stdout).toBe('bus 0: 0 bindings\n');
  });

  test('prints JSON, an object per line', async () => {
    const { directory, kbus } = await serve();
    await using ksock = await Ksock.open(0, { directory, name: 'both' });
    await ksock.bind('$.A');
    await ksock.bind('$.B', true);
    const { stdout } = await kbus(['bindings', '--json']);
    const binding = { device: 0, ksock: 1, program: 'both', pid: process.pid, claimed: true };
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { ...binding, replier: true, name: '$.B' },
      { ...binding, replier: false, name: '$.A' },
    ]);
  });
});

describe('kbus stats', () => {
  test('prints a line for each other Ksock, the slowest first', async () => {
    const { directory, kbus } = await serve('--max-memory', '104857600');
    await using quick = await Ksock.open(0, { directory, name: 'quick' });
    await using slow = await Ksock.open(0, {
      directory,
      name: 'a slow listener with a long name, too long for its column',
    });
    await using asked = await Ksock.open(0, { directory, name: 'asked' });
    await slow.setMaxMessages(2);
    await slow.bind('$.Tick');
    await asked.bind('$.Ask', true);
    await quick.sendMsg(new Request('$.Ask'));
    expect(await asked.readNextMsg()).not.toBeNull();
    for (let at = 0; at < 3; at++) await quick.sendMsg(new Announcement('$.Tick'));
    const { code, stdout } = await kbus(['stats', '--interval', '0.01']);
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^bus 0: 3 Ksocks, rates of \d+ ms$/);
    expect(lines[1]).toMatch(
      /^Ksock {2}program +pid +queue {2,}oldest {2}read\/s {2}sent\/s {2}missed {2,}unanswered$/,
    );
    const { pid } = process;
    const age = '[\\d.]+ (ms|s)';
    expect(lines.slice(2, 5).sort()).toEqual([
      expect.stringMatching(
        new RegExp(`^    1  quick +${pid}  0 of 10,000 +-       0       0       0 +0$`),
      ),
      expect.stringMatching(
        new RegExp(
          `^    2  a slow listener with a …  ${pid} +2 of 2 +${age}       0       0       1 +0$`,
        ),
      ),
      expect.stringMatching(
        new RegExp(`^    3  asked +${pid}  0 of 10,000 +-       0       0       0 +1, ${age}$`),
      ),
    ]);
    // What waits, and what is idle.
    expect(lines[4]).toMatch(/ quick /);
    expect(lines[5]).toBe('memory: programs hold 0.0 MiB of 100.0 MiB (max-memory)');
  });

  test('has the rates of the time between its two looks', async () => {
    const { directory, kbus } = await serve();
    await using ksock = await Ksock.open(0, { directory, name: 'busy' });
    let isOver = false;
    await ksock.listener('$.Tick', () => {});
    const sending = (async () => {
      while (!isOver) await ksock.sendMsg(new Announcement('$.Tick'));
    })();
    const { stdout } = await kbus(['stats', '--json', '--interval', '0.2']);
    isOver = true;
    await sending;
    const { interval, ksocks } = JSON.parse(stdout);
    expect(interval).toBeGreaterThan(0);
    const [{ messagesSent, messagesRead, sentRate, readRate }] = ksocks;
    expect(sentRate).toBeGreaterThan(0);
    expect(sentRate).toBeLessThanOrEqual((messagesSent * 1000) / interval + 1);
    expect(readRate).toBeGreaterThan(0);
    expect(readRate).toBeLessThanOrEqual((messagesRead * 1000) / interval + 1);
  });

  test('--verbose prints the text of the device file', async () => {
    const { directory, kbus } = await serve('--max-messages', '7', '--max-memory', '104857600');
    await using ksock = await Ksock.open(0, { directory });
    await ksock.bind('$.Ask', true);
    await ksock.sendMsg(new Request('$.Ask'));
    const { code, stdout } = await kbus(['stats', '--verbose']);
    expect(code).toBe(0);
    expect(stdout).toBe(
      'dev  0: next ksock 3 next msg 2 unsent unbindings 0\n' +
        '    ksock 1 last msg 0:1 queue 1 of 7\n' +
        '      read byte 0 of 0, wrote byte 0 of HDR (not finished), not sending\n' +
        '      outstanding requests 1 (size 16, max 1), unsent replies 0 (max 0)\n',
    );
  });

  test('names the Ksocks that hold the most memory', async () => {
    const { directory, kbus } = await serve('--max-memory', '104857600');
    await using ksock = await Ksock.open(0, { directory, name: 'hoarder' });
    await ksock.bind('$.Large');
    await ksock.sendMsg(new Announcement('$.Large', new Uint8Array(3 * 1024 * 1024)));
    const { stdout } = await kbus(['stats']);
    expect(stdout).toMatch(/^memory: programs hold 3\.\d MiB of 100\.0 MiB \(max-memory\)$/m);
    expect(stdout).toContain(`    Ksock 1 ('hoarder', process ${process.pid} of user `);
    expect(stdout).toMatch(/, as it says\) holds 3\.\d MiB$/m);
  });

  test('prints JSON', async () => {
    const { directory, kbus } = await serve();
    await using ksock = await Ksock.open(0, { directory, mode: 'r' });
    const { stdout } = await kbus(['stats', '--json']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const { nextKsock, ksocks } = JSON.parse(stdout);
    expect(nextKsock).toBe(3);
    expect(ksocks).toMatchObject([{ ksock: ksock.id, mode: 'r', pid: process.pid, queue: 0 }]);
  });
});

import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { serve } from './kbus.ts';

describe('kbus bindings', () => {
  test('prints a line per binding, newest first', async () => {
    const { directory, kbus } = await serve('--buses', '2');
    await using ksock = await Ksock.open(1, { directory });
    await ksock.bind('$.Actor.*');
    await ksock.bind('$.Actor.Ask', true);
    const { code, stdout } = await kbus(['bindings', '--bus', '1']);
    expect(code).toBe(0);
    const pid = String(process.pid).padStart(8);
    expect(stdout).toBe(
      '# bus 1: device: Ksock id, process id, Replier or Listener, name\n' +
        `  1:        1 ${pid}  R  $.Actor.Ask\n` +
        `  1:        1 ${pid}  L  $.Actor.*\n`,
    );
    expect((await kbus(['bindings'])).stdout).toMatch(/^# bus 0: .*\n$/);
  });

  test('prints JSON, an object per line', async () => {
    const { directory, kbus } = await serve();
    await using ksock = await Ksock.open(0, { directory });
    await ksock.bind('$.A');
    await ksock.bind('$.B', true);
    const { stdout } = await kbus(['bindings', '--json']);
    const binding = { device: 0, ksock: 1, pid: process.pid };
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
  test('prints the state of all other Ksocks', async () => {
    const { directory, kbus } = await serve('--max-messages', '7', '--max-memory', '104857600');
    await using ksock = await Ksock.open(0, { directory });
    await ksock.bind('$.Ask', true);
    await ksock.sendMsg(new Request('$.Ask'));
    const { code, stdout } = await kbus(['stats']);
    expect(code).toBe(0);
    expect(stdout).toBe(
      'dev  0: next ksock 3 next msg 2 unsent unbindings 0\n' +
        '    ksock 1 last msg 0:1 queue 1 of 7\n' +
        '      read byte 0 of 0, wrote byte 0 of HDR (not finished), not sending\n' +
        '      outstanding requests 1 (size 16, max 1), unsent replies 0 (max 0)\n' +
        'memory: programs hold 0.0 MiB of 100.0 MiB (max-memory)\n',
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

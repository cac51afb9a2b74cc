import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { type Program, type Served, serve } from './kbus.ts';

/** `kbus trace`, once it follows. */
async function trace(served: Served, ...args: string[]): Promise<Program> {
  const program = served.start(['trace', ...args]);
  await program.says(/following/);
  return program;
}

const TIME = String.raw`\d\d:\d\d:\d\d\.\d{3}`;
const AGE = String.raw`[\d.]+ (µs|ms|s)`;
const PID = process.pid;

describe('kbus trace', () => {
  test('prints a tree for each message of a name, and ends after --count', async () => {
    const served = await serve();
    const open = (name: string): Promise<Ksock> =>
      Ksock.open(0, { directory: served.directory, name });
    await using panel = await open('panel');
    await using heater = await open('heater');
    await heater.replier('$.Heater.Set', () => 'ok');
    const program = await trace(served, '$.Heater.*', '--count', '2');
    await panel.request('$.Heater.Set', '21');
    await panel.sendMsg(new Announcement('$.Other'));
    await panel.sendMsg(new Announcement('$.Heater.News'));
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'kbus: following $.Heater.* on bus 0\n' });
    expect(stdout).toMatch(
      new RegExp(
        `^${TIME} \\[0:1\\] Request \\$\\.Heater\\.Set from Ksock 1 \\(panel, pid ${PID}\\), 2 B
├─ queued for Ksock 2 \\(heater, pid ${PID}\\), which replies to \\$\\.Heater\\.Set: place 1
│  └─ read after ${AGE}
└─ answered by Ksock 2 \\(heater, pid ${PID}\\) after ${AGE}: Reply \\[0:2\\], 2 B
${TIME} \\[0:4\\] Announcement \\$\\.Heater\\.News from Ksock 1 \\(panel, pid ${PID}\\)
└─ nobody listens to it
$`,
      ),
    );
  });

  test('follows one message by its id', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    const program = await trace(served, '[0:2]', '-n1');
    for (const name of ['$.A', '$.B', '$.C']) await ksock.sendMsg(new Announcement(name));
    const { stdout } = await program.ended;
    expect(stdout).toContain('[0:2] Announcement $.B');
    expect(stdout).not.toMatch(/\$\.[AC]/);
  });

  test('prints what is not done as it stands, after --patience, and again at the end', async () => {
    const served = await serve();
    await using asker = await Ksock.open(0, { directory: served.directory, name: 'asker' });
    await using slow = await Ksock.open(0, { directory: served.directory, name: 'slow' });
    await slow.bind('$.Ask', true);
    const program = await trace(served, '$.Ask', '--patience', '50ms');
    await asker.sendMsg(new Request('$.Ask'));
    await program.says(/not read yet, after/);
    expect(await slow.readNextMsg()).not.toBeNull();
    await slow.close();
    await program.says(
      /ended by KBUS after .*: \$\.KBUS\.Replier\.Ignored, the Replier left without an answer/,
    );
    expect((await program.kill('SIGINT')).code).toBe(0);
  });

  test('with --for, ends in time and prints what is not done', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.bind('$.A');
    const program = await trace(served, '$.A', '--for', '1s', '--count', '2');
    await ksock.sendMsg(new Announcement('$.A'));
    const { code, stdout, stderr } = await program.ended;
    expect(stdout).toMatch(/└─ not read yet, after/);
    expect(stderr).toContain('0 of 2 messages came within the time of --for');
    expect(code).toBe(1);
  });

  test('with --json, prints an object per message', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory, name: 'both' });
    await ksock.bind('$.A');
    const program = await trace(served, '$.A', '--json', '-n2');
    await ksock.sendMsg(new Announcement('$.A', 'x'));
    expect(await ksock.readNextMsg()).not.toBeNull();
    await ksock.sendMsg(new Request('$.A')).catch(() => {});
    const [first, second] = (await program.ended).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({
      ...{ bus: 0, id: '[0:1]', kind: 'Announcement', name: '$.A', from: 1, size: 1, missed: [] },
      who: `Ksock 1 (both, pid ${PID})`,
      sent: { how: 'sent', after: expect.any(Number) },
      copies: [
        { ksock: 1, binding: '$.A', place: 1, end: { how: 'read', after: expect.any(Number) } },
      ],
    });
    expect(Date.parse(first.time)).toBeGreaterThan(0);
    expect(second).toMatchObject({
      kind: 'Request',
      sent: { how: 'refused', errno: 'EADDRNOTAVAIL' },
    });
  });

  test('follows a Request through Limpets to another bus', async () => {
    const served = await serve('--buses', '2');
    const path = join(served.directory, 'link.sock');
    const one = served.start(['limpet', '--server', '--id', '1', path]);
    await one.says(/listening/);
    const two = served.start(['limpet', '--client', '--id', '2', '--bus', '1', path]);
    await Promise.all([one.says(/joined with Limpet 2/), two.says(/joined with Limpet 1/)]);
    const { directory } = served;
    await using far = await Ksock.open(1, { directory, name: 'far' });
    await far.replier('$.Far.Ask', () => 'yes');
    await using asker = await Ksock.open(0, { directory, name: 'asker' });
    // The Limpet is the Replier for it, once it has heard of it.
    while ((await asker.findReplier('$.Far.Ask')) === null)
      await new Promise((resolve) => setTimeout(resolve, 10));
    const program = await trace(served, '$.Far.*', '--also', '1', '-n1');
    await asker.request('$.Far.Ask', '21');
    const { stdout } = await program.ended;
    expect(stdout).toMatch(
      new RegExp(
        `^${TIME} bus 0 \\[0:\\d+\\] Request \\$\\.Far\\.Ask from Ksock \\d+ \\(asker, pid ${PID}\\), 2 B
├─ queued for Ksock \\d+ \\(Limpet \\d, pid \\d+\\), which replies to \\$\\.Far\\.Ask: place \\d+
[\\s\\S]*answered by Ksock \\d+ \\(Limpet \\d, pid \\d+\\) after ${AGE}: Reply [\\s\\S]*
└─ carried by Limpet 1 to bus 1, in about ${AGE}
   └─ \\[1:\\d+\\] Request \\$\\.Far\\.Ask from Ksock \\d+ \\(Limpet \\d, pid \\d+\\), 2 B
      ├─ queued for Ksock \\d+ \\(far, pid ${PID}\\), which replies to \\$\\.Far\\.Ask: place 1
      │  └─ read after ${AGE}
[\\s\\S]*      └─ answered by Ksock \\d+ \\(far, pid ${PID}\\) after ${AGE}: Reply `,
      ),
    );
  });

  test('explains mistakes', async () => {
    const served = await serve();
    const cases: [args: string[], code: number, says: string][] = [
      [['Heater'], 2, "'Heater' is not the name of a message"],
      [['$.A..B'], 2, "'$.A..B' can't be followed: character 5, '.', follows a '.'"],
      [['$.A.*', '--dry-run'], 2, "'$.A.*' can't be sent: character 5, '*', is a wildcard"],
      [['$.A', '--also', '7'], 3, 'there is no bus 7'],
      [['$.A', '--patience', 'soon'], 2, 'It must be a time greater than 0'],
    ];
    for (const [args, wanted, says] of cases) {
      const { code, stderr } = await served.kbus(['trace', ...args]);
      expect(stderr).toContain(says);
      expect([args, code]).toEqual([args, wanted]);
    }
  });
});

describe('kbus trace --dry-run', () => {
  test('prints who would get a message, and who would not, and sends nothing', async () => {
    const served = await serve();
    const open = (name: string): Promise<Ksock> =>
      Ksock.open(0, { directory: served.directory, name });
    await using heater = await open('heater');
    await using backup = await open('backup');
    await using logger = await open('logger');
    await using full = await open('full');
    await heater.bind('$.Heater.Set', true);
    await backup.bind('$.Heater.*', true);
    await logger.bind('$.*');
    await full.setMaxMessages(1);
    await full.bind('$.Heater.Set');
    await logger.sendMsg(new Announcement('$.Heater.Set'));
    const { code, stdout } = await served.kbus(['trace', '$.Heater.Set', '--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toBe(`a Request $.Heater.Set would be answered by
  Ksock 1 (heater, pid ${PID}), which replies to $.Heater.Set: 0 of 10,000 in its queue
a message $.Heater.Set would be heard by
  Ksock 3 (logger, pid ${PID}), which listens to $.*: 1 of 10,000 in its queue
it would not go to
  Ksock 2 (backup, pid ${PID}), which replies to $.Heater.*: '$.Heater.Set' is more specific than '$.Heater.*'
  Ksock 4 (full, pid ${PID}), which listens to $.Heater.Set: its queue is full: it would miss the message
`);
    expect((await logger.stats()).nextMessage).toBe(2);
    const nobody = await served.kbus(['trace', '$.heater.set', '--dry-run']);
    expect(
      nobody.stdout,
    ).toBe(`a Request $.heater.set would be answered by nobody: KBUS would refuse it with EADDRNOTAVAIL
a message $.heater.set would be heard by
  Ksock 3 (logger, pid ${PID}), which listens to $.*: 1 of 10,000 in its queue
it would not go to
  Ksock 1 (heater, pid ${PID}), which replies to $.Heater.Set: '$.Heater.Set' does not match '$.heater.set'
  Ksock 2 (backup, pid ${PID}), which replies to $.Heater.*: '$.Heater.*' does not match '$.heater.set'
  Ksock 4 (full, pid ${PID}), which listens to $.Heater.Set: '$.Heater.Set' does not match '$.heater.set'
`);
  });

  test('--past follows what the daemon has kept, and says how to keep it', async () => {
    const served = await serve('--history', '1MiB');
    const open = (name: string): Promise<Ksock> =>
      Ksock.open(0, { directory: served.directory, name });
    await using panel = await open('panel');
    await using heater = await open('heater');
    await heater.replier('$.Heater.Set', () => 'ok');
    await panel.request('$.Heater.Set', '21');
    await panel.sendMsg(new Announcement('$.Other'));
    const past = await served.kbus(['trace', '$.Heater.*', '--past', '1h']);
    expect(past.stdout).toMatch(/Request \$\.Heater\.Set from Ksock \d+ \(panel, pid \d+\)/);
    expect(past.stdout).toMatch(/answered by Ksock \d+ \(heater, pid \d+\)/);
    expect(past.stdout).not.toContain('$.Other');
    expect(past.code).toBe(0);
    const file = join(served.directory, '..', 'past.mcap');
    const recorded = await served.kbus(['record', '-o', file, '--past']);
    expect(recorded.stderr).toMatch(/3 messages/);
    const { stdout } = await served.kbus(['recording', 'show', file]);
    expect(stdout).toMatch(/Request \$\.Heater\.Set '21'\n.*Reply.*\n.*Announcement \$\.Other/);
    const without = await serve();
    const refused = await without.kbus(['trace', '$.Heater.*', '--past', '10s']);
    expect(refused.stderr).toMatch(/keeps no history: start it with --history 4MiB/);
    expect(refused.code).not.toBe(0);
  });
});

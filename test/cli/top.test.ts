import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { type Served, serve } from './kbus.ts';
import { HAS_TMUX, Screen } from './tmux.ts';

/** A bus with a Listener that does not read and has missed messages, a Replier that has not answered, and a sender. */
async function scene({ directory }: Served): Promise<{ sender: Ksock; all: Ksock[] }> {
  const open = (name: string): Promise<Ksock> => Ksock.open(0, { directory, name });
  const [sender, slow, heater] = [await open('sender'), await open('slow'), await open('heater')];
  await slow.setMaxMessages(2);
  await slow.bind('$.Room.*');
  await heater.bind('$.Heater.Set', true);
  for (let at = 0; at < 2; at++) await sender.sendMsg(new Announcement(`$.Room.${at}`, '21'));
  await sender.sendMsg(new Request('$.Heater.Set'));
  expect(await heater.readNextMsg()).not.toBeNull();
  return { sender, all: [sender, slow, heater] };
}

describe('kbus top, into a pipe', () => {
  test('prints one snapshot', async () => {
    const served = await serve();
    await scene(served);
    const { code, stdout, stderr } = await served.kbus(['top', '--interval', '0.05']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('kbus top: bus 0   3 Ksocks   0 names   0 messages/s   0 B/s');
    expect(lines[1]).toMatch(/^rates of \d+ ms$/);
    expect(lines[4]).toMatch(
      /^ {2}Ksock program +pid +queue +oldest\* +read\/s +sent\/s +missed\/s .*reply p99$/,
    );
    expect(lines[5]).toMatch(/^ +2 slow .* 2 100% +>[\d.]+ (ms|s) +0 +0 +0 /);
    expect(stdout).not.toContain('\x1b');
  });

  test('with --json, prints it as an object', async () => {
    const served = await serve();
    await scene(served);
    const { stdout } = await served.kbus(['top', '--json', '--interval', '0.05']);
    const { bus, ksocks, isComplete, bottleneck } = JSON.parse(stdout);
    expect({ bus, isComplete, ksock: bottleneck.ksock }).toEqual({
      bus: 0,
      isComplete: true,
      ksock: 2,
    });
    expect(ksocks).toContainEqual(
      expect.objectContaining({
        info: expect.objectContaining({ program: 'slow', unread: 2 }),
        readAgo: null,
      }),
    );
  });

  test('says that there is no bus', async () => {
    const served = await serve();
    const { code, stderr } = await served.kbus(['top', '--bus', '7']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^kbus: /);
  });
});

describe.skipIf(!HAS_TMUX)('kbus top, in a terminal (needs tmux)', () => {
  const LINES = (lines: readonly string[]): string => lines.join('\n');

  test('draws 24 lines of 80 columns, and goes back to the screen before', async () => {
    const served = await serve();
    const { sender } = await scene(served);
    const screen = await Screen.start(['top', '--interval', '0.1'], { KBUS_DIR: served.directory });
    let lines = await screen.shows(/\d slow /);
    expect(lines).toHaveLength(24);
    expect(lines.every((line) => line.length <= 80)).toBe(true);
    expect(lines[3]).toMatch(
      /^ {2}Ksock program +queue oldest\* +read\/s +sent\/s +missed\/s +owes$/,
    );
    expect(lines[4]).toMatch(/^ +2 slow +2 100% /);
    expect(lines[23]).toBe(
      'Tab names  s sort  / filter  Space pause  ↑↓ Enter look into  h help  q quit',
    );
    let isOver = false;
    const sending = (async () => {
      while (!isOver) await sender.sendMsg(new Announcement('$.Room.1'));
    })();
    lines = await screen.shows(
      /the queue of Ksock 2 \(slow, pid \d+\) is full, 2 of 2: it has read nothing/,
    );
    isOver = true;
    await sending;
    screen.press('q');
    lines = await screen.shows(/ended with 0/);
    expect(LINES(lines)).not.toContain('Ksock');
  });

  test('looks into a Ksock and a name, sorts, filters, pauses and explains', async () => {
    const served = await serve();
    const { sender } = await scene(served);
    const screen = await Screen.start(['top', '--interval', '0.1'], { KBUS_DIR: served.directory });
    await screen.shows(/\d slow /);
    screen.press('/', 'h', 'e', 'a', 'Enter');
    const filtered = await screen.shows(/^only 'hea'/m);
    expect(LINES(filtered)).not.toMatch(/\d slow/);
    screen.press('Down', 'Enter');
    const inside = LINES(await screen.shows(/replies to {2}\$\.Heater\.Set/));
    expect(inside).toMatch(/^Ksock 3 \(heater, pid \d+\)$/m);
    expect(inside).toMatch(/^owes +1$/m);
    screen.press('Escape');
    await screen.shows(/^only 'hea'/m);
    screen.press('Escape');
    await screen.shows(/\d slow /);
    screen.press('s');
    await screen.shows(/read\/s\*/);
    await sender.sendMsg(new Announcement('$.Room.7'));
    screen.press('Tab');
    await screen.shows(/^ {2}\$\.Room\.7 /m);
    screen.press('Down', 'Enter');
    expect(LINES(await screen.shows(/^Bound to it:$/m))).toMatch(
      /^ {2}Ksock 2 \(slow, pid \d+\) listens by \$\.Room\.\*$/m,
    );
    screen.press('h');
    await screen.shows(/^oldest +how long the oldest unread message has waited$/m);
    screen.press('h', 'Space');
    await screen.shows(/PAUSED/);
    screen.press('Space', 'C-c');
    await screen.shows(/ended with 0/);
  });

  test('shows both tables at 200 × 50, and follows a change of size', async () => {
    const served = await serve();
    const { sender } = await scene(served);
    const env = { KBUS_DIR: served.directory };
    const screen = await Screen.start(['top', '--interval', '0.1'], env, [200, 50]);
    await screen.shows(/\d slow /);
    await sender.sendMsg(new Announcement('$.Room.7'));
    const lines = await screen.shows(/^ {2}\$\.Room\.7 /m);
    expect(lines).toHaveLength(50);
    expect(LINES(lines)).toMatch(/^ {2}Ksock program .* reply p99$/m);
    screen.resize(80, 24);
    const small = await screen.shows(/missed\/s +owes$/m);
    expect(small).toHaveLength(24);
    expect(LINES(small)).not.toContain('$.Room.7');
  });

  test.each([
    ['colours', {}, /\[[\d;]*3[12]m/],
    ['NO_COLOR', { NO_COLOR: '1' }, null],
  ])('with %s', async (_what, env, pattern) => {
    const served = await serve();
    await scene(served);
    const screen = await Screen.start(['top'], { KBUS_DIR: served.directory, ...env });
    await screen.shows(/\d slow /);
    screen.press('Down');
    await screen.shows(/^> +2 slow/m);
    const text = LINES(screen.lines(true));
    if (pattern === null) expect(text).not.toContain('\x1b');
    else expect(text).toMatch(pattern);
  });

  test('ends when the bus has gone, and says so on the screen before', async () => {
    const served = await serve();
    await scene(served);
    const screen = await Screen.start(['top'], { KBUS_DIR: served.directory });
    await screen.shows(/\d slow /);
    await served.daemon.kill('SIGTERM');
    const lines = await screen.shows(/ended with 3/);
    expect(LINES(lines)).toMatch(/^kbus: ECONNRESET \(104\): observe bus 0 /m);
  });

  test('gives the terminal back', async () => {
    const served = await serve();
    await scene(served);
    const screen = await Screen.start(['top'], { KBUS_DIR: served.directory });
    await screen.shows(/\d slow /);
    screen.press('q');
    await screen.shows(/ended with 0/);
    screen.press('t', 'y', 'p', 'e', 'd', 'Enter');
    // The terminal echoes again, and `cat` gets a line.
    const lines = await screen.shows(/typed\ntyped/);
    expect(LINES(lines)).not.toContain('\x1b');
  });
});

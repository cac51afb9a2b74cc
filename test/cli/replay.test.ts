import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ReplyData } from '../../src/client/handler.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement, type Message } from '../../src/message/message.ts';
import { ReplierError } from '../../src/message/request-error.ts';
import { failed } from '../support/refused.ts';
import { type Program, type Served, serve } from './kbus.ts';

const open = ({ directory }: Served): Promise<Ksock> => Ksock.open(0, { directory });

/** Answers with what `answer` gives, until the Ksock is closed. */
async function replier(
  served: Served,
  answer: (request: Message) => ReplyData | Promise<never>,
): Promise<Ksock> {
  const ksock = await open(served);
  await ksock.replier('$.Clock.Ask', answer);
  return ksock;
}

/** A recording: two Announcements, and a Request between them whose answer counts the Requests. */
async function recorded(served: Served, ...args: string[]): Promise<string> {
  const path = join(dirname(served.directory), 'run.mcap');
  const program = served.start(['record', '-o', path, ...args]);
  await program.says(/recording bus 0 to /);
  let asked = 0;
  const clock = await replier(served, () => `noon ${++asked}`);
  await using ksock = await open(served);
  await ksock.sendMsg(new Announcement('$.Clock.Tick', 'first'));
  await ksock.request('$.Clock.Ask', 'time?');
  await ksock.request('$.Clock.Ask', 'time?');
  await ksock.sendMsg(new Announcement('$.Clock.Tick', 'last'));
  await failed(ksock.request('$.Clock.Nobody'));
  await clock.close();
  program.child.kill('SIGINT');
  expect((await program.ended).code).toBe(0);
  return path;
}

/** What a program hears while a command runs to its end. */
async function heard(served: Served, run: () => Promise<unknown>, name = '$.*'): Promise<string[]> {
  await using ksock = await open(served);
  await ksock.bind(name);
  await run();
  const all: string[] = [];
  for (let count = await ksock.numMessages(); count > 0; count--) {
    const message = await ksock.readNextMsg();
    all.push(`${message?.kind} ${message?.name} ${message?.text()}`);
  }
  return all;
}

describe('kbus replay', () => {
  test('sends the Announcements again, and asks no Requests', async () => {
    const served = await serve();
    const path = await recorded(served);
    let stderr = '';
    const all = await heard(served, async () => {
      const outcome = await served.kbus(['replay', path, '--speed', 'max']);
      expect(outcome.code).toBe(0);
      stderr = outcome.stderr;
    });
    expect(all).toEqual(['Announcement $.Clock.Tick first', 'Announcement $.Clock.Tick last']);
    expect(stderr).toBe('kbus: sent 2 Announcements\n');
  });

  test('sends some of the names, under other names, some times over', async () => {
    const served = await serve();
    const path = await recorded(served);
    const args = [
      'replay',
      path,
      '$.Clock.Tick',
      '--loop',
      '3',
      '--rename',
      '$.Clock=$.Test.Watch',
    ];
    const all = await heard(served, () => served.kbus([...args, '--speed', '100']));
    expect(all).toHaveLength(6);
    expect(all[0]).toBe('Announcement $.Test.Watch.Tick first');
    expect(new Set(all).size).toBe(2);
  });

  test('sends a message at each Enter with --step, and ends with its input', async () => {
    const served = await serve();
    const path = await recorded(served);
    const all = await heard(served, async () => {
      const { stderr } = await served.kbus(['replay', path, '--step'], { input: '\n' });
      expect(stderr).toBe(
        "kbus: Enter sends: Announcement $.Clock.Tick 'first'\nkbus: Enter sends: Announcement $.Clock.Tick 'last'\n",
      );
    });
    expect(all).toEqual(['Announcement $.Clock.Tick first']);
  });

  test('explains wrong options', async () => {
    const served = await serve();
    for (const [args, text] of [
      [['--speed', '0'], 'It must be a number greater than 0, such as 10 or 0.5; or max.'],
      [['--rename', 'Plant'], 'It must be two beginnings of names'],
      [['--mock', '--drive'], "cannot be used with option '--drive'"],
      [['--from', 'yesterday'], 'It must be a time since the beginning'],
    ] as const) {
      const { code, stderr } = await served.kbus(['replay', 'run.mcap', ...args]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
    }
    const none = await served.kbus(['replay', '/nowhere/run.mcap']);
    expect([none.code, none.stderr]).toEqual([
      74,
      'kbus: /nowhere/run.mcap: no such file or directory (ENOENT)\n',
    ]);
  });
});

describe('kbus replay --drive', () => {
  test('asks the Requests, and is content with the same answers', async () => {
    const served = await serve();
    const path = await recorded(served);
    let asked = 0;
    await using _clock = await replier(served, () => `noon ${++asked}`);
    const { code, stderr, stdout } = await served.kbus([
      'replay',
      path,
      '--drive',
      '--speed',
      'max',
    ]);
    expect([code, stdout, stderr]).toEqual([
      0,
      '',
      'kbus: sent 2 Announcements; asked 2 Requests: 2 answered as in the recording, 0 not\n',
    ]);
  });

  test('shows each answer that differs, and ends with 1', async () => {
    const served = await serve();
    const path = await recorded(served);
    await using _clock = await replier(served, () => 'noon 1');
    const { code, stdout } = await served.kbus(['replay', path, '--drive', '--speed', 'max']);
    expect([code, stdout]).toEqual([
      1,
      "Request $.Clock.Ask 'time?'\n  then: $.Clock.Ask 'noon 2'\n  now:  $.Clock.Ask 'noon 1'\n",
    ]);
  });

  test('takes a Replier that is not there, is too slow, or fails for a difference', async () => {
    const served = await serve();
    const path = await recorded(served);
    const drive = (...args: string[]) =>
      served.kbus(['replay', path, '--drive', '--json', '--speed', 'max', ...args]);
    const none = await drive();
    expect(none.stdout).toContain('  now:  EADDRNOTAVAIL\n');
    expect(JSON.parse(none.stdout.trim().split('\n').at(-1) as string)).toMatchObject({
      asked: 2,
      different: 2,
    });
    const slow = await replier(served, () => new Promise<never>(() => {}));
    expect((await drive('--timeout', '0.05')).stdout).toContain('  now:  ETIMEDOUT\n');
    await slow.close();
    await using ksock = await Ksock.open(0, {
      directory: served.directory,
      onHandlerError: () => {},
    });
    await ksock.replier('$.Clock.Ask', () => {
      throw new Error('broken');
    });
    const broken = await drive();
    expect([broken.code, broken.stdout]).toEqual([
      1,
      expect.stringContaining("  now:  $.KBUS.Replier.Error 'broken'\n"),
    ]);
  });
});

describe('kbus replay --mock', () => {
  /** The Replier of a recording, once it answers. */
  async function mock(served: Served, ...args: string[]): Promise<Program> {
    const program = served.start(['replay', ...args, '--mock']);
    await program.says(/answering Requests of/);
    return program;
  }

  test('answers as in the recording, in its order, and then as the last time', async () => {
    const served = await serve();
    const path = await recorded(served);
    const program = await mock(served, path);
    await using ksock = await open(served);
    const ask = async (): Promise<string> => (await ksock.request('$.Clock.Ask', 'time?')).text();
    expect([await ask(), await ask(), await ask()]).toEqual(['noon 1', 'noon 2', 'noon 2']);
    const { stderr } = await program.kill('SIGINT');
    expect(stderr).toContain('kbus: 3 Requests answered, 0 not in the recording\n');
  });

  test('tells the requester that the recording does not have its Request', async () => {
    const served = await serve();
    const path = await recorded(served);
    const program = await mock(served, path, '--rename', '$=$.Test');
    await using ksock = await open(served);
    const error = await failed(ksock.request('$.Test.Clock.Ask', 'what?'));
    expect(error).toBeInstanceOf(ReplierError);
    expect((error as Error).message).toContain(
      `${path} has no answer to a Request '$.Test.Clock.Ask' with these 5 bytes of data`,
    );
    await program.kill('SIGINT');
  });

  test('and --drive on a recording agree', async () => {
    const served = await serve();
    const path = await recorded(served);
    const program = await mock(served, path);
    const { code, stderr } = await served.kbus(['replay', path, '--drive', '--speed', 'max']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('2 answered as in the recording')]);
    await program.kill('SIGINT');
  });
});

test('A recording with only the beginning of its data is not replayed as if that were all.', async () => {
  const served = await serve();
  const path = await recorded(served, '--data', '2');
  const { code, stderr } = await served.kbus(['replay', path, '--drive', '--speed', 'max']);
  expect([code, stderr]).toEqual([
    0,
    'kbus: sent 0 Announcements; asked 0 Requests: 0 answered as in the recording, 0 not; 4 messages not sent: the recording has the beginning of the data only\n',
  ]);
});

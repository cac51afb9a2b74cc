import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { Program } from '../cli/kbus.ts';
import { LocalDaemon } from '../support/daemon.ts';

const CLIENT = fileURLToPath(new URL('../../examples/client.py', import.meta.url));

const hasPython = spawnSync('python3', ['--version']).status === 0;

let local: LocalDaemon;
let ksock: Ksock;
beforeEach(async () => {
  local = await LocalDaemon.start();
  ksock = await local.open();
});
afterEach(() => local.stop());

/** A client in Python, which is told what to do. */
const python = (...words: string[]): Program =>
  new Program('python3', [CLIENT, local.daemon.path(0), ...words], { input: null });

/** One that goes on: its Ksock id, once it has bound its name. */
async function bound(what: string, name: string): Promise<[Program, number]> {
  const program = python(what, name);
  await program.says(/bound as Ksock \d+\n/);
  return [program, Number(/Ksock (\d+)/.exec(program.stdout)?.[1])];
}

/** Skips a test by its name, and says so, where it can't run. */
const withPython: typeof it.skip = hasPython ? it : it.skip;
const why = hasPython ? '' : ' (SKIPPED: there is no python3 here)';

describe(`examples/client.py, by the first section of docs/protocol.md,${why}`, () => {
  withPython('binds a name and takes its messages, whatever they carry.', async () => {
    const [listener] = await bound('listen', '$.News.*');
    await ksock.sendMsg(new Announcement('$.News.Short', 'hello'));
    await ksock.sendMsg(new Announcement('$.News.Of.A.Longer.Name', 'x'.repeat(100_000)));
    const limpets = {
      id: new MessageId(7, 8),
      origFrom: new OrigFrom(1, 2),
      finalTo: new OrigFrom(3, 4),
      flags: Flag.URGENT,
    };
    await ksock.sendMsg(new Announcement('$.News.Far', 'from another bus', limpets));
    await ksock.sendMsg(new Announcement('$.News.Last'));
    await listener.says(/\$\.News\.Last \n/);
    const lines = listener.stdout.split('\n').slice(1, -1);
    expect(lines.sort()).toEqual([
      '$.News.Far from another bus',
      '$.News.Last ',
      `$.News.Of.A.Longer.Name ${'x'.repeat(100_000)}`,
      '$.News.Short hello',
    ]);
  });

  withPython('sends, and is told the id.', async () => {
    await ksock.bind('$.Python');
    const { stdout, code } = await python('send', '$.Python', 'bonjour').ended;
    const got = await ksock.readNextMsg();
    expect([got?.name, got?.text(), stdout, code]).toEqual([
      '$.Python',
      'bonjour',
      `sent ${got?.id}\n`,
      0,
    ]);
    // It has left the bus.
    expect((await ksock.stats()).ksocks).toHaveLength(1);
  });

  withPython('asks, and is given the Reply, or the Status that KBUS sends instead.', async () => {
    const handling = await ksock.replier('$.Upper', (request) => request.text().toUpperCase());
    expect((await python('ask', '$.Upper', 'abc').ended).stdout).toBe('ABC\n');
    await handling.stop();
    const leaving = await local.open();
    await leaving.bind('$.Upper.Leaves', true);
    const asking = python('ask', '$.Upper.Leaves', 'abc');
    await leaving.waitForMsg();
    await leaving.close();
    expect((await asking.ended).stdout).toBe('$.KBUS.Replier.Ignored\n');
  });

  withPython('answers Requests, and no copies of them that are for another.', async () => {
    const [replier, id] = await bound('answer', '$.Shout');
    const replies = ['one', 'two', 'three'].map((text) => ksock.request('$.Shout', text));
    expect((await Promise.all(replies)).map((reply) => `${reply.from} ${reply.text()}`)).toEqual([
      `${id} ONE`,
      `${id} TWO`,
      `${id} THREE`,
    ]);
    expect((await python('ask', '$.Shout', 'py').ended).stdout).toBe('PY\n');

    const [listener] = await bound('listen', '$.Heard');
    await ksock.bind('$.Heard', true);
    await ksock.sendMsg(new Request('$.Heard', 'for us'));
    await listener.says(/\$\.Heard for us\n/);
    const ours = await ksock.readNextMsg();
    await ksock.sendMsg(replyTo(ours as Request, 'done'));
    expect((await ksock.readNextMsg())?.text()).toBe('done');
    for (const program of [replier, listener]) expect(program.stderr).toBe('');
  });

  withPython('raises what the daemon refuses, as the error of its number.', async () => {
    const nobody = await python('ask', '$.Nobody', '?').ended;
    expect(nobody.code).toBe(1);
    expect(nobody.stderr).toContain('OSError: [Errno 99] ');
    await ksock.bind('$.Taken', true);
    expect((await python('answer', '$.Taken').ended).stderr).toContain('OSError: [Errno 98] ');
  });
});

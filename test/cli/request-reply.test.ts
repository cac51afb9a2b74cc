import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Request } from '../../src/message/message.ts';
import { newFolder } from '../support/folder.ts';
import { type Program, type Served, serve } from './kbus.ts';

/** `kbus reply`, once it replies. */
async function reply(served: Served, ...args: string[]): Promise<Program> {
  const program = served.start(['reply', ...args]);
  await program.says(/replying to/);
  return program;
}

describe('kbus request', () => {
  test('prints the data of the Reply, byte for byte', async () => {
    const served = await serve();
    const input = Uint8Array.from({ length: 1000 }, (_, at) => at % 251);
    await reply(served, '$.Echo', '--echo');
    const program = served.start(['request', '$.Echo', '-'], { input });
    const { code, stderr } = await program.ended;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(Buffer.compare(Buffer.from(program.stdout, 'latin1'), input)).toBe(0);
  });

  test('prints the whole Reply with --full, --dump or --json', async () => {
    const served = await serve();
    await reply(served, '$.Ask', 'Yes');
    const ask = async (option: string): Promise<string> =>
      (await served.kbus(['request', '$.Ask', option])).stdout;
    expect(await ask('--full')).toBe(
      "<Reply '$.Ask', id=[0:2], to=2, from=1, in_reply_to=[0:1], data='Yes'>\n",
    );
    expect(await ask('--dump')).toMatch(/^<Reply .*> 3 bytes\n00000000 {2}59 65 73 .*\|Yes\|\n$/);
    expect(JSON.parse(await ask('--json'))).toEqual({
      kind: 'Reply',
      name: '$.Ask',
      id: { networkId: 0, serialNum: 6 },
      to: 4,
      from: 1,
      inReplyTo: { networkId: 0, serialNum: 5 },
      data: 'Yes',
    });
  });

  test('reports that there is no Replier, and how to start one', async () => {
    const { kbus } = await serve();
    const { code, stdout, stderr } = await kbus(['request', '$.Nobody']);
    expect(stderr).toMatch(
      /^kbus: EADDRNOTAVAIL \(99\): send Request '\$\.Nobody': nobody replies to '\$\.Nobody' on bus 0$/m,
    );
    expect(stderr).toMatch(/ reply '\$\.Nobody' 'an answer'\n$/);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('with --to, asks only that Ksock', async () => {
    const served = await serve();
    await reply(served, '$.Ask', 'Yes');
    expect(await served.kbus(['request', '$.Ask', '--to', '1'])).toMatchObject({ stdout: 'Yes' });
    const { code, stderr } = await served.kbus(['request', '$.Ask', '--to', '7']);
    expect(stderr).toMatch(
      /^kbus: EPIPE \(32\): send Request '\$\.Ask' to 7: Ksock 7, which the Request is for, is not the Replier of '\$\.Ask' on bus 0: Ksock 1 \('kbus reply', process \d+ of user \d+, as it says\) is$/m,
    );
    expect(code).toBe(1);
  });

  test('with --timeout, stops waiting', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.bind('$.Silence', true);
    const { code, stderr } = await served.kbus(['request', '$.Silence', '--timeout', '0.5']);
    expect(stderr).toMatch(/^kbus: ETIMEDOUT \(110\): send Request '\$\.Silence' within 500 ms: /);
    expect(code).toBe(1);
  });

  test.each([
    ['there is no Replier', ['$.Nobody'], /EADDRNOTAVAIL/, 1],
    ['the Replier fails', ['$.Fails'], /the Replier failed to answer/, 1],
    ['there is no bus', ['$.Nobody', '--bus', '9'], /there is no bus 9/, 3],
  ])('fails at once, and not at its --timeout, when %s', async (_, args, says, expected) => {
    const served = await serve();
    await reply(served, '$.Fails', '--exec', 'exit 1');
    const { code, stderr } = await served.kbus(['request', ...args, '--timeout', '1h']);
    expect(stderr).toMatch(says);
    expect(code).toBe(expected);
  });

  test('prints the Status when the Replier has left', async () => {
    const served = await serve();
    const ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.bind('$.Silence', true);
    const program = served.start(['request', '$.Silence']);
    await ksock.waitForMsg();
    await ksock.close();
    const { code, stdout, stderr } = await program.ended;
    expect(stderr).toMatch(/went away without answering it \(\$\.KBUS\.Replier\.Ignored\)/);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('prints the error of a Replier on one line, escaped', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.replier('$.Ask', () => {
      throw new Error('\x1b[2Jno\u202e\nkbus: all is well');
    });
    const { code, stderr } = await served.kbus(['request', '$.Ask']);
    expect(stderr).toMatch(/^kbus: [^\n]*\\x1b\[2Jno\\u202e\\nkbus: all is well\n$/);
    expect(code).toBe(1);
  });

  test('ends at Ctrl-C while it waits', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.bind('$.Silence', true);
    const program = served.start(['request', '$.Silence', '--urgent']);
    expect((await ksock.waitForMsg())?.isUrgent()).toBe(true);
    expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stdout: '', stderr: '' });
  });
});

describe('kbus reply', () => {
  test('answers with its data, prints each Request, and ends after --count of them', async () => {
    const served = await serve();
    const program = await reply(served, '$.Ask.*', 'Yes', '--count', '2');
    expect(await served.kbus(['request', '$.Ask.One', '1'])).toMatchObject({ stdout: 'Yes' });
    expect(await served.kbus(['request', '$.Ask.Two', '2'])).toMatchObject({ stdout: 'Yes' });
    expect(await program.ended).toEqual({
      code: 0,
      signal: null,
      stdout: "Request $.Ask.One '1'\nRequest $.Ask.Two '2'\n",
      stderr: "kbus: replying to '$.Ask.*' on bus 0\n",
    });
  });

  test('with --full, prints all fields of a Request', async () => {
    const served = await serve();
    const program = await reply(served, '$.Ask', '--full', '--count', '1');
    expect(await served.kbus(['request', '$.Ask'])).toMatchObject({ code: 0, stdout: '' });
    expect((await program.ended).stdout).toBe(
      "<Request '$.Ask', id=[0:1], from=2, flags=0x3 (REQ,YOU)>\n",
    );
  });

  test('reads its data from stdin, or in hex', async () => {
    const served = await serve();
    const program = served.start(['reply', '$.Ask', '-', '--hex'], { input: '59 65\n73' });
    await program.says(/replying to/);
    expect(await served.kbus(['request', '$.Ask'])).toMatchObject({ stdout: 'Yes' });
    expect(await served.kbus(['request', '$.Ask'])).toMatchObject({ stdout: 'Yes' });
  });

  test('with --exec, replies with the output of the command', async () => {
    const served = await serve();
    await reply(served, '$.Text.*', '--exec', 'tr a-z A-Z; printf "%s %s" "$KBUS_NAME" "$KBUS_ID"');
    const { stdout } = await served.kbus(['request', '$.Text.Upper', 'hello ']);
    expect(stdout).toBe('HELLO $.Text.Upper [0:1]');
  });

  test('with --exec, a command need not read the Request', async () => {
    const served = await serve();
    await reply(served, '$.Ask', '--exec', 'echo Yes');
    const { stdout } = await served.kbus(['request', '$.Ask', '-'], { input: 'x'.repeat(1e6) });
    expect(stdout).toBe('Yes\n');
  });

  test('with --exec, a failing command fails that request only', async () => {
    const served = await serve();
    const program = await reply(served, '$.Ask', '--exec', 'read a; test "$a" = good && echo fine');
    const { code, stdout, stderr } = await served.kbus(['request', '$.Ask', 'bad']);
    expect(stderr).toMatch(
      /the Replier failed to answer: the command '.*' ended with exit status 1/,
    );
    expect(stdout).toBe('');
    expect(code).toBe(1);
    expect(program.stderr).toMatch(/ended with exit status 1/);
    expect(await served.kbus(['request', '$.Ask', 'good'])).toMatchObject({ stdout: 'fine\n' });
  });

  test('with --exec, ends the command when it is ended', async () => {
    const served = await serve();
    const program = await reply(served, '$.Ask', '--exec', 'echo $$ >&2; exec sleep 1000');
    const asking = served.start(['request', '$.Ask']);
    await program.says(/^\d+$/m);
    const pid = Number(/^(\d+)$/m.exec(program.stderr)?.[1]);
    expect((await program.kill('SIGINT')).code).toBe(0);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect((await asking.ended).stderr).toMatch(/\$\.KBUS\.Replier\.Ignored/);
  });

  test('goes on when the requester has left', async () => {
    const served = await serve();
    const answers = join(await newFolder(), 'answers');
    execFileSync('mkfifo', [answers]);
    const program = await reply(served, '$.Ask', '--exec', `cat ${answers}`);
    const impatient = await Ksock.open(0, { directory: served.directory });
    await impatient.sendMsg(new Request('$.Ask'));
    await program.says(/Request \$\.Ask\n/);
    await impatient.close();
    await writeFile(answers, 'too late');
    await program.says(/EADDRNOTAVAIL .* is not open on bus 0 any more/);
    const asking = served.start(['request', '$.Ask']);
    await program.says(/(Request \$\.Ask\n){2}/);
    await writeFile(answers, 'in time');
    expect((await asking.ended).stdout).toBe('in time');
  });

  test('fails for a name that has a Replier', async () => {
    const served = await serve();
    await reply(served, '$.Ask', 'Yes');
    const { code, stderr } = await served.kbus(['reply', '$.Ask', 'No']);
    expect(stderr).toMatch(
      /^kbus: EADDRINUSE \(98\): bind '\$\.Ask' as Replier: Ksock \d+ \(.*\) replies to '\$\.Ask' on bus 0 already/,
    );
    expect(code).toBe(1);
  });

  test('exits with 0 at Ctrl-C', async () => {
    const served = await serve();
    const program = await reply(served, '$.Ask', 'Yes');
    expect(await program.kill('SIGINT')).toMatchObject({ code: 0, stdout: '' });
  });
});

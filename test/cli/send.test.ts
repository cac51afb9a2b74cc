import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { type Served, serve } from './kbus.ts';

async function listener({ directory }: Served, name = '$.*'): Promise<Ksock> {
  const ksock = await Ksock.open(0, { directory });
  await ksock.bind(name);
  return ksock;
}

describe('kbus send', () => {
  test('sends an Announcement, and prints its id', async () => {
    const served = await serve();
    await using ksock = await listener(served);
    const { code, stdout, stderr } = await served.kbus(['send', '$.Actor.Speak', 'Ahem']);
    expect(stderr).toBe('');
    expect(stdout).toBe('[0:1]\n');
    expect(code).toBe(0);
    expect(String(await ksock.readNextMsg())).toBe(
      "<Announcement '$.Actor.Speak', id=[0:1], from=2, data='Ahem'>",
    );
  });

  test('succeeds without listeners, and without data', async () => {
    const { kbus } = await serve();
    expect(await kbus(['send', '$.Actor.Speak'])).toMatchObject({ code: 0, stdout: '[0:1]\n' });
  });

  test('prints JSON', async () => {
    const { kbus } = await serve();
    const { stdout } = await kbus(['send', '$.Actor.Speak', '--json']);
    expect(stdout).toBe('{"id":{"networkId":0,"serialNum":1}}\n');
  });

  test('reads binary data from stdin to its end', async () => {
    const served = await serve();
    await using ksock = await listener(served);
    const input = Uint8Array.from({ length: 100_000 }, (_, at) => at % 256);
    const { code, stderr } = await served.kbus(['send', '$.Bytes', '-'], { input });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const message = await ksock.readNextMsg();
    expect(Buffer.compare(message?.data as Uint8Array, input)).toBe(0);
  });

  test('decodes hex data, from an argument and from stdin', async () => {
    const served = await serve();
    await using ksock = await listener(served);
    await served.kbus(['send', '$.Bytes', '--hex', '00fF 41']);
    await served.kbus(['send', '$.Bytes', '-', '--hex'], { input: '00\nff\n' });
    expect([...((await ksock.readNextMsg())?.data ?? [])]).toEqual([0, 255, 0x41]);
    expect([...((await ksock.readNextMsg())?.data ?? [])]).toEqual([0, 255]);
  });

  test('accepts a negative number as data, and anything after --', async () => {
    const served = await serve();
    await using ksock = await listener(served);
    await served.kbus(['send', '$.Degrees', '-5']);
    await served.kbus(['send', '--', '$.Option', '--urgent']);
    expect((await ksock.readNextMsg())?.text()).toBe('-5');
    expect((await ksock.readNextMsg())?.text()).toBe('--urgent');
  });

  test('sends an urgent message', async () => {
    const served = await serve();
    await using ksock = await listener(served);
    await served.kbus(['send', '$.First']);
    await served.kbus(['send', '$.Second', '--urgent']);
    const message = await ksock.readNextMsg();
    expect(message?.name).toBe('$.Second');
    expect(message?.flags).toBe(Flag.URGENT);
  });

  test('with --fail, fails if the queue of a listener is full', async () => {
    const served = await serve('--max-messages', '1');
    await using ksock = await listener(served);
    expect((await served.kbus(['send', '$.A', '1', '--fail'])).code).toBe(0);
    const { code, stdout, stderr } = await served.kbus(['send', '$.A', '2', '--fail']);
    expect(stderr).toMatch(
      /^kbus: EBUSY \(16\): send Announcement '\$\.A': the queue of Ksock \d+ \(.*\), which listens to '.*', is full: /,
    );
    expect(stdout).toBe('');
    expect(code).toBe(1);
    // Without it, the listener misses the message.
    expect((await served.kbus(['send', '$.A', '3'])).code).toBe(0);
    expect(await ksock.numMessages()).toBe(1);
  });

  test('with --wait, waits while the queue of a listener is full', async () => {
    const served = await serve('--max-messages', '1', '--verbose');
    await using ksock = await listener(served);
    expect((await served.kbus(['send', '$.A', '1', '--wait'])).code).toBe(0);
    const waiting = served.start(['send', '$.A', '2', '--wait']);
    await served.daemon.says(/EAGAIN for Ksock/);
    expect((await ksock.readNextMsg())?.text()).toBe('1');
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: '[0:2]\n' });
    expect((await ksock.readNextMsg())?.text()).toBe('2');
  });

  test('with --wait, sends nothing after Ctrl-C', async () => {
    const served = await serve('--max-messages', '1', '--verbose');
    await using ksock = await listener(served);
    await served.kbus(['send', '$.A', '1']);
    const waiting = served.start(['send', '$.A', '2', '--wait']);
    await served.daemon.says(/EAGAIN for Ksock/);
    expect(await waiting.kill('SIGINT')).toMatchObject({ code: 130, stdout: '', stderr: '' });
    expect((await ksock.readNextMsg())?.text()).toBe('1');
    expect(await ksock.readNextMsg()).toBe(null);
  });

  test('fails for data that is too large for the bus', async () => {
    const { kbus } = await serve('--max-message-size', '1000');
    const { code, stderr } = await kbus(['send', '$.A', 'x'.repeat(1000)]);
    expect(stderr).toMatch(/^kbus: EMSGSIZE \(90\): /);
    expect(code).toBe(1);
  });

  test('uses the given folder and bus', async () => {
    const { directory, kbus } = await serve('--buses', '2');
    await using other = await Ksock.open(1, { directory });
    await other.bind('$.A');
    const env = { KBUS_DIR: '/nowhere' };
    const given = ['--directory', directory, '-b', '1'];
    expect((await kbus(['send', '$.A', 'there', ...given], { env })).code).toBe(0);
    expect((await other.readNextMsg())?.text()).toBe('there');
  });
});

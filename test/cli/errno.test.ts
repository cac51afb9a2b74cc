import { describe, expect, test } from 'vitest';
import { Errno } from '../../src/message/errno.ts';
import { kbus } from './kbus.ts';

const EPIPE =
  'Error 32 (0x20) is EPIPE: Broken pipe\n' +
  '  send: the Replier it was addressed to is no longer the one bound to that name\n';

describe('kbus errno', () => {
  test.each(['32', '0x20', '-32', 'EPIPE', 'epipe'])('explains %s', async (error) => {
    expect(await kbus(['errno', error])).toEqual({
      code: 0,
      signal: null,
      stdout: EPIPE,
      stderr: '',
    });
  });

  test('prints the meaning of a number for each call that fails with it', async () => {
    const { stdout } = await kbus(['errno', 'EBADF']);
    expect(stdout.split('\n')).toEqual([
      'Error 9 (0x9) is EBADF: Bad file descriptor',
      '  bind: this Ksock was opened to read only, so it could never answer a Request; open it to write, too',
      '  write: this Ksock was opened to read only',
      '  send: this Ksock was opened to read only',
      '  any call: this Ksock is closed',
      '',
    ]);
  });

  test('explains all errors, in the order of their numbers', async () => {
    const { stdout } = await kbus(['errno']);
    const numbers = [...stdout.matchAll(/^Error (\d+) /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Object.values(Errno).sort((a, b) => a - b));
    expect(stdout).toContain(`\n\n${EPIPE}\n`);
  });

  test('prints JSON, an object per line', async () => {
    const { stdout } = await kbus(['errno', '--json']);
    const all = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(all).toHaveLength(Object.keys(Errno).length);
    expect(all).toContainEqual({
      errno: 32,
      code: 'EPIPE',
      unix: 'Broken pipe',
      kbus: { send: 'the Replier it was addressed to is no longer the one bound to that name' },
    });
  });

  test('explains numbers that no call of KBUS fails with', async () => {
    const { code, stdout } = await kbus(['errno', '1']);
    expect(stdout).toBe(
      'Error 1 (0x1) is EPERM: operation not permitted\nNo call of KBUS fails with it.\n',
    );
    expect(code).toBe(0);
  });

  test.each(['EWHAT', '9999', ''])('refuses %j', async (error) => {
    const { code, stdout, stderr } = await kbus(['errno', error]);
    expect(stderr).toMatch(
      `kbus: '${error}' is not an error of this system; the errors of KBUS are ENOENT,`,
    );
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

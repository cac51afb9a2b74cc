import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { splitReplierBindEventData } from '../../src/message/bind-event.ts';
import { type Program, serve } from './kbus.ts';

const QUICK = ['--seconds', '0.05'];

const linesOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The process id in the names of its messages. */
const namesOf = (program: Program): RegExpExecArray | null =>
  /by messages (\$\.Bench\.\d+)\.\*/.exec(program.stderr);

describe('kbus bench', () => {
  test('measures requests, and announcements of 64 bytes and of 64 KiB', async () => {
    const { kbus } = await serve();
    const { code, stdout, stderr } = await kbus(['bench', ...QUICK]);
    expect(stderr).toMatch(
      /^kbus: measuring bus 0 by messages \$\.Bench\.\d+\.\*; Ctrl-C ends it\n$/,
    );
    expect(stdout).toMatch(/^Requests of 64 bytes, 1 in flight: [\d,.]+ a second/);
    expect(stdout).toMatch(
      /^ {2}p50 [\d,.]+ +p90 [\d,.]+ +p99 [\d,.]+ +p99\.9 [\d,.]+ +max [\d,.]+$/m,
    );
    expect(stdout).toMatch(/^ +[\d,.]+ to +[\d,.]+ µs {2}█+ +[\d,]+$/m);
    expect(stdout).toMatch(/^Announcements of 64 bytes, one to one: .* a second, .* MB\/s/m);
    expect(stdout).toMatch(
      /^Announcements of 65,536 bytes, one to one: .* all received, in order\)$/m,
    );
    expect(code).toBe(0);
  });

  test('prints consistent JSON', async () => {
    const { kbus } = await serve();
    const options = ['--size', '1000', '--in-flight', '200', '--json'];
    const { code, stdout } = await kbus(['bench', ...QUICK, ...options]);
    expect(code).toBe(0);
    const lines = linesOf(stdout);
    expect(lines).toHaveLength(2);
    const [requests, announcements] = lines;
    const { p50, p90, p99, p999, max } = requests.microseconds;
    expect(requests).toMatchObject({ measured: 'requests', size: 1000, inFlight: 200, wrong: 0 });
    expect(requests.count).toBeGreaterThanOrEqual(200);
    expect(requests.perSecond).toBeCloseTo(requests.count / requests.seconds);
    expect([p50, p90, p99, p999, max]).toEqual([p50, p90, p99, p999, max].sort((a, b) => a - b));
    const counts = requests.histogram.map(({ count }: { count: number }) => count);
    expect(counts.reduce((sum: number, count: number) => sum + count, 0)).toBe(requests.count);
    expect(requests.histogram.at(-1).to).toBeGreaterThan(max * 0.99);
    expect(announcements).toMatchObject({
      measured: 'announcements',
      size: 1000,
      lost: 0,
      wrong: 0,
    });
    expect(announcements.count).toBeGreaterThan(0);
    expect(announcements.megabytesPerSecond).toBeCloseTo((announcements.perSecond * 1000) / 1e6);
    expect(requests.name).toMatch(/^\$\.Bench\.\d+\.Ask$/);
    expect(announcements.name).toMatch(/^\$\.Bench\.\d+\.Tell$/);
  });

  test('measures data up to the largest size that the bus accepts', async () => {
    const { kbus } = await serve('--max-message-size', '2000000');
    const [requests, announcements] = linesOf(
      (await kbus(['bench', ...QUICK, '--size', '1900000', '--json'])).stdout,
    );
    expect(requests).toMatchObject({ size: 1_900_000, wrong: 0 });
    expect(announcements).toMatchObject({ size: 1_900_000, lost: 0, wrong: 0 });
    const { code, stdout, stderr } = await kbus(['bench', '--size', '2000000']);
    expect(stderr).toMatch(/kbus: EMSGSIZE \(90\): send Request '\$\.Bench\.\d+\.Ask': /);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('reports other listeners of its Announcements', async () => {
    const served = await serve();
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.listener('$.*', () => {});
    const { code, stderr } = await served.kbus(['bench', ...QUICK]);
    expect(stderr).toMatch(/^kbus: one other Listener gets these Announcements, bound to '\$\.\*'/);
    expect(code).toBe(0);
  });

  test('leaves nothing on the bus, and no process, after Ctrl-C', async () => {
    const served = await serve();
    const program = served.start(['bench', '--seconds', '1000']);
    await program.says(/measuring bus 0/);
    await using ksock = await Ksock.open(0, { directory: served.directory });
    const name = `${namesOf(program)?.[1]}.Ask`;
    const bindings = await ksock.readBindings();
    const far = bindings.find((binding) => binding.name === name);
    expect(far?.pid).not.toBe(program.child.pid);
    expect(await program.kill('SIGINT')).toMatchObject({ code: 130, stdout: '' });
    expect(await ksock.readBindings()).toEqual([]);
    expect(() => process.kill(far?.pid as number, 0)).toThrow('ESRCH');
  });

  test('leaves no process when it is killed', async () => {
    const served = await serve();
    const program = served.start(['bench', '--seconds', '1000']);
    await program.says(/measuring bus 0/);
    await using ksock = await Ksock.open(0, { directory: served.directory });
    await ksock.bind('$.KBUS.ReplierBindEvent');
    await ksock.reportReplierBinds(true);
    await program.kill('SIGKILL');
    // The first tells that the other process is bound, the next that it has gone.
    const told = [await ksock.waitForMsg(), await ksock.waitForMsg()];
    const isBind = told.map((event) => splitReplierBindEventData(event?.data as Uint8Array).isBind);
    expect(isBind).toEqual([true, false]);
    expect(await ksock.findReplier(`${namesOf(program)?.[1]}.Ask`)).toBe(null);
  });

  test('reports that the program at the other end was killed', async () => {
    const served = await serve();
    const program = served.start(['bench', '--seconds', '1000']);
    await program.says(/measuring bus 0/);
    await using ksock = await Ksock.open(0, { directory: served.directory });
    const name = `${namesOf(program)?.[1]}.Ask`;
    const { pid = 0 } = (await ksock.readBindings()).find((one) => one.name === name) ?? {};
    process.kill(pid, 'SIGKILL');
    const { code, stderr } = await program.ended;
    // The bus may tell first: by a Status, or by refusing the next Request.
    expect(stderr).toMatch(/\nkbus: .*(far end has ended \(SIGKILL\)|went away|nobody replies to)/);
    expect(code).toBe(1);
  });

  test('reports that the bus has gone away', async () => {
    const served = await serve();
    const program = served.start(['bench', '--seconds', '1000']);
    await program.says(/measuring bus 0/);
    await served.daemon.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    expect(stderr).toMatch(/\nkbus: .*the bus .*\nStart it again with: {2}(kbus|node .+) serve\n$/);
    expect(code).toBe(3);
  });
});

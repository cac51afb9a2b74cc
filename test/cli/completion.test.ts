import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeEach, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { newFolder } from '../support/folder.ts';
import { kbus, MAIN, type Served, serve } from './kbus.ts';
import { mute } from './mute.ts';
import { HAS_TMUX, Screen } from './tmux.ts';

/** A bus with a Replier, a Listener to a wildcard, and an access point. */
async function scene(): Promise<Served> {
  const served = await serve('--buses', '2');
  const heater = await Ksock.open(0, { directory: served.directory, name: 'heater' });
  await heater.bind('$.Heater.Set', true);
  await heater.bind('$.Room.*');
  return served;
}

/** What the last of the words may become, as a shell is told. */
async function completed(served: Served, shell: string, ...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await served.kbus(['__complete', shell, ...words]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

describe('a shell is told', () => {
  let served: Served;
  beforeEach(async () => {
    served = await scene();
  });

  test('the commands, each with its summary', async () => {
    const lines = await completed(served, 'zsh', '');
    for (const { name, summary } of COMMANDS) expect(lines).toContain(`${name}\t${summary}`);
    expect(await completed(served, 'zsh', 'lis')).toEqual([
      ':words',
      'listen\tprint messages as they are sent',
    ]);
  });

  test.each([
    { of: ['listen', '--for'], are: ['--for', '--format'] },
    { of: ['serve', '--log', ''], are: ['human', 'json'] },
    { of: ['serve', '--log=h'], are: ['--log=human'] },
    { of: ['recording', 'ex'], are: ['export'] },
    { of: ['recording', 'export', '--format', 'j'], are: ['jsonl', 'json'] },
    { of: ['send', '--bus', ''], are: ['0', '1'] },
    { of: ['send', '-b', '1', '--json', '--bus', '1'], are: ['1'] },
    { of: ['listen', '$.'], are: ['$.Heater.Set', '$.Room.*'] },
    { of: ['listen', '--bus', '1', '$.'], are: [] },
    { of: ['request', ''], are: ['$.Heater.Set'] },
    { of: ['record', '$.A', '$.R'], are: ['$.Room.*'] },
    { of: ['send', '$.A', ''], are: [] },
    { of: ['send', '--', '--'], are: [] },
    { of: ['errno', 'EPI'], are: ['EPIPE'] },
    { of: ['completion', ''], are: ['bash', 'zsh', 'fish'] },
    { of: ['help', 'tr'], are: ['trace'] },
    { of: ['lisen', ''], are: [] },
  ])('after $of: $are', async ({ of, are }) => {
    const [kind, ...lines] = await completed(served, 'zsh', ...of);
    expect(kind).toBe(':words');
    const words = lines.map((line) => line.replace(/\t.*/, ''));
    expect(words).toEqual(are);
  });

  test('the ids of Ksocks, with the names of their programs', async () => {
    expect(await completed(served, 'fish', 'kick', '')).toEqual([':words', '1\theater']);
  });

  test('to look for files and folders by itself', async () => {
    expect(await completed(served, 'zsh', 'record', '-o', '')).toEqual([':files']);
    expect(await completed(served, 'zsh', 'recording', 'merge', 'a', '')).toEqual([':files']);
    expect(await completed(served, 'zsh', 'listen', '--directory', '')).toEqual([':folders']);
  });

  test('nothing, and no error, without a daemon or with one that does not answer', async () => {
    const env = { KBUS_DIR: join(await newFolder(), 'none') };
    const none = await kbus(['__complete', 'bash', 'send', ''], { env });
    expect(none).toMatchObject({ code: 0, stdout: ':words\n', stderr: '' });
    const { directory } = await mute();
    const words = ['send', '--directory', directory, ''];
    const late = await kbus(['__complete', 'bash', ...words], { env });
    expect(late).toMatchObject({ code: 0, stdout: ':words\n', stderr: '' });
  });

  test('by bash, which takes --bus=1 apart, and inserts words without quoting them', async () => {
    expect(await completed(served, 'bash', 'send', '--bus', '=', '')).toMatchObject([
      ':words',
      expect.stringMatching(/^0\t/),
      expect.stringMatching(/^1\t/),
    ]);
    expect(await completed(served, 'bash', 'listen', '--bus', '=', '0', '$.R')).toEqual([
      ':words',
      "'$.Room.*'",
    ]);
    expect(await completed(served, 'bash', 'listen', "'$.R")).toEqual([':words', '$.Room.*']);
  });
});

const SHELLS = {
  bash: { start: 'bash --norc --noprofile -i', load: 'source <(kbus completion bash)' },
  zsh: {
    start: 'zsh -f -i',
    load: 'autoload -U compinit; compinit -D -u; source <(kbus completion zsh)',
  },
  fish: { start: 'fish --no-config -i', load: 'kbus completion fish | source' },
};

describe.each(Object.entries(SHELLS))('the completion of %s', (shell, { start, load }) => {
  const isHere = HAS_TMUX && spawnSync(shell, ['--version']).status === 0;
  const title = `completes commands, options, buses and names${isHere ? '' : ` (skipped: ${shell} or tmux is not installed)`}`;

  test.skipIf(!isHere)(title, async () => {
    const served = await scene();
    const bin = await newFolder();
    mkdirSync(join(bin, 'home'));
    writeFileSync(join(bin, 'kbus'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(join(bin, 'kbus'), 0o755);
    const env = `HOME='${bin}/home' KBUS_DIR='${served.directory}' PATH='${bin}:${process.env['PATH']}'`;
    const screen = await Screen.run(`env ${env} ${start}`, [120, 30]);
    const type = (text: string): void => screen.press('-l', text);
    const completes = async (typed: string, line: RegExp): Promise<void> => {
      type(typed);
      screen.press('Tab');
      await screen.shows(line);
      screen.press('C-u');
    };
    type(`${load}; echo rea''dy`);
    screen.press('Enter');
    await screen.shows(/^ready$/m);
    await completes('kbus lis', /kbus listen/);
    await completes('kbus send --urg', /kbus send --urgent/);
    await completes("kbus request '$.Hea", /kbus request '\$\.Heater\.Set'/);
    await completes('kbus request --json ', /request --json ('\$\.Heater\.Set'|\\\$\.Heater\.Set)/);
    await completes('kbus recording merge --out', /merge --output/);
  });
});

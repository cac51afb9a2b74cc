import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { timeSpan, typedName } from '../../src/cli/arguments.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { newFolder } from '../support/folder.ts';
import { kbus, MAIN, Program, serve, start } from './kbus.ts';

describe('kbus', () => {
  test('without arguments, lists its commands and exits with 2', async () => {
    const { code, stdout, stderr } = await kbus([]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    for (const { name, summary } of COMMANDS) {
      expect(stderr).toMatch(new RegExp(`^  ${name} +${summary.slice(0, 20)}`, 'm'));
    }
  });

  test('with --help, prints the same and exits with 0', async () => {
    const { code, stdout, stderr } = await kbus(['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toBe((await kbus([])).stderr);
  });

  test('exits quietly if the reader of its help has gone', async () => {
    const program = start(['--help']);
    program.child.stdout?.destroy();
    expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test.each(COMMANDS.map(({ name }) => name))('%s --help has examples', async (name) => {
    const { code, stdout, stderr } = await kbus([name, '--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`^Usage: kbus ${name} `));
    expect(stdout).toMatch(new RegExp(`Examples:\\n(?:.*\\n)*  .*kbus ${name}`));
  });

  test('"help COMMAND" prints the same as "COMMAND --help"', async () => {
    const { code, stdout } = await kbus(['help', 'send']);
    expect(stdout).toBe((await kbus(['send', '--help'])).stdout);
    expect(code).toBe(0);
  });

  test('suggests the right command for a typo', async () => {
    const { code, stderr } = await kbus(['lisen', '$.A']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^kbus: unknown command 'lisen'\n\(Did you mean listen\?\)/);
  });

  test('suggests the right option for a typo', async () => {
    const { code, stderr } = await kbus(['send', '$.A', '--urgnt']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/unknown option '--urgnt'\n\(Did you mean --urgent\?\)/);
  });

  test.each([
    ['help', 'lisen'],
    ['lisen', '--help'],
  ])('does so for %s %s', async (...args) => {
    const { code, stdout, stderr } = await kbus(args);
    expect(stderr).toMatch(/^kbus: unknown command 'lisen'\n\(Did you mean listen\?\)/);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('says that options follow the command', async () => {
    const { code, stderr } = await kbus(['--bus', '1', 'send', '$.A']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/options follow the command/);
  });

  test.each([
    ['too few', ['send'], /missing required argument 'name'\n\(see kbus send --help\)/],
    [
      'too many',
      ['send', '$.A', 'two', 'words'],
      /too many arguments for 'send'.*\nPut an argument with spaces in quotes/,
    ],
    ['a bus that is not a number', ['send', '$.A', '--bus', 'one'], /whole number from 0/],
    ['a timeout of 0', ['request', '$.A', '--timeout', '0'], /a time greater than 0, such as 10s/],
    ['an impossible Ksock id', ['request', '$.A', '--to', '0'], /whole number from 1/],
    ['two contrary options', ['send', '$.A', '--wait', '--fail'], /cannot be used with/],
    ['two answers', ['reply', '$.A', '--echo', '--exec', 'cat'], /cannot be used with/],
    ['data beside --exec', ['reply', '$.A', 'x', '--exec', 'cat'], /omit one/],
    ['half a byte', ['send', '$.A', '--hex', '012'], /3 digits; it needs two per byte/],
    ['a character that is not hex', ['send', '$.A', '--hex', '0x12'], /'x' is not a hex digit/],
    ['data that looks like an option', ['send', '$.A', '-x'], /If it is data, put -- before it/],
    ['a list as data', ['send', '$.A', '- one'], /If it is data, put -- before it/],
    ['a Ksock that is no number', ['kick', 'x'], /argument 'ksock': 'x' is invalid\. It must be/],
    [
      'a command of a command without its file',
      ['recording', 'show'],
      /'file'\n\(see kbus recording show --help\)/,
    ],
    [
      'a recording to stdout',
      ['record', '-o', '-'],
      /'-' is invalid\. It must be the path of a file/,
    ],
    ['an export to stdout', ['recording', 'export', 'x', '-o', '-'], /must be the path of a file/],
    ['data too short for a serial', ['bench', '--size', '7'], /whole number from 8/],
    ['no requests in flight', ['bench', '--in-flight', '0'], /whole number from 1/],
    ['a measurement of 0 s', ['bench', '--seconds', '0'], /a time greater than 0, such as 10s/],
    ['a bus beside --stay', ['play', '--stay', '--bus', '1'], /cannot be used with/],
  ])('refuses %s, with or without a bus', async (_, args, says) => {
    const { code, stdout, stderr } = await kbus(args, { env: { KBUS_DIR: await newFolder() } });
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(/^kbus: /);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('refuses data that is not UTF-8, of which Node has lost bytes', async () => {
    const { kbus, directory } = await serve();
    const env = { KBUS_DIR: directory };
    for (const command of ['send', 'request', 'reply']) {
      const line = `exec "$0" "$1" ${command} '$.A' "$(printf '\\377')"`;
      const program = new Program('/bin/sh', ['-c', line, process.execPath, MAIN], { env });
      const { code, stderr } = await program.ended;
      expect(stderr).toMatch(/^kbus: the data has bytes that are not UTF-8.* on stdin.* --hex/);
      expect(code).toBe(2);
    }
    expect((await kbus(['send', '$.A', 'größer als 5 °C'])).code).toBe(0);
  });

  test('takes a time with a unit, or in seconds, wherever an option has one', async () => {
    const { kbus } = await serve();
    expect(['5', '.5', '500ms', '1 s', '2min', '2m', '0.5h'].map(timeSpan)).toEqual([
      5000, 500, 500, 1000, 120_000, 120_000, 1_800_000,
    ]);
    for (const time of ['1m', '60'])
      expect((await kbus(['bindings', '--answer-timeout', time])).code).toBe(0);
  });

  // A shell leaves nothing of "$Actor" in "$Actor.Speak", and make nothing of `$.` in "$.Actor.Speak".
  test.each([
    ['Actor.Speak', "'Actor.Speak' is not", "'$.Actor.Speak'"],
    ['.Speak', "'.Speak' is not", "'$.Speak'"],
    ['$Actor.Speak', "'$Actor.Speak' is not", "'$.Actor.Speak'"],
    ['1234.Speak', "'1234.Speak' is not", "'$.Speak'"],
    ['a\x1b[2Jb', "'a\\x1b[2Jb' is not", "'$.a\\x1b[2Jb'"],
    ['', 'an empty name is not', "'$.Some.Name'"],
  ])('explains why %j is not a name', (name, wrong, meant) => {
    expect(() => typedName(name)).toThrow(wrong);
    expect(() => typedName(name)).toThrow(`Put the name in single quotes, ${meant}`);
  });

  test.each(['send', 'request', 'listen', 'reply'])('is what %s does', async (command) => {
    const { code, stderr } = await kbus([command, 'Actor.Speak']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^kbus: 'Actor.Speak' is not the name of a message\. /);
  });

  test('leaves other wrong names to KBUS', async () => {
    const { kbus } = await serve();
    const { code, stdout, stderr } = await kbus(['send', '$.Actor..Speak']);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^kbus: EBADMSG \(74\): send Announcement '\$\.Actor\.\.Speak': /);
  });
});

test.each([
  ['A read error of stdin', '0>/dev/null', 'EBADF: [^\\n]*'],
  ['A folder as stdin', '0</', 'it is a folder'],
])('%s is not a bug, nor empty data.', async (_what, redirection, why) => {
  const run = `exec "$0" "$1" send "$2" - ${redirection}`;
  const { code, stderr } = await new Program('/bin/sh', ['-c', run, process.execPath, MAIN, '$.A'])
    .ended;
  expect(stderr).toMatch(new RegExp(`^kbus: can't read the data from stdin: ${why}\\n$`));
  expect(code).toBe(2);
});

describe('in a removed working directory', () => {
  test.each([
    ['an explanation', 0, ['errno', 'EPIPE']],
    ['that there is no Replier', 1, ['request', '$.Nobody']],
    ['that there is no bus', 3, ['listen', '$.A', '--directory', 'here']],
    ['that there is no bus to reply on', 3, ['reply', '$.A', 'x', '--directory', '/nowhere']],
    ['that no folder can be created', 1, ['doctor', '--directory', 'here']],
  ])('kbus prints %s', async (_, code, args) => {
    const { directory } = await serve();
    const run = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"';
    const program = new Program('/bin/sh', ['-c', run, process.execPath, MAIN, ...args], {
      cwd: await newFolder(),
      env: { KBUS_DIR: directory },
    });
    const outcome = await program.ended;
    expect(outcome.stdout + outcome.stderr).not.toMatch(/^ +at |a bug in kbus/m);
    expect(outcome.code).toBe(code);
  });
});

describe('without a bus', () => {
  const commands = [
    ['send', '$.A'],
    ['request', '$.A'],
    ['listen', '$.A'],
    ['reply', '$.A'],
    ['bindings'],
    ['stats'],
    ['bench'],
    ['play', '--bus', '0'],
  ];

  test.each(commands)('%s prints the command that starts one', async (...args) => {
    const directory = await newFolder();
    const { code, stdout, stderr } = await kbus(args, { env: { KBUS_DIR: directory } });
    expect(stderr).toContain(`there is no bus 0: no daemon answers at ${directory}/kbus0.sock.`);
    expect(stderr).toMatch(/^Start it in another terminal with: {2}(kbus|node .+) serve$/m);
    expect(stdout).toBe('');
    expect(code).toBe(3);
  });

  test('that command has the given folder', async () => {
    const directory = join(await newFolder(), "it's here");
    const { code, stderr } = await kbus(['send', '$.A', '--directory', directory]);
    expect(code).toBe(3);
    expect(stderr).toContain(`serve --directory '${directory.replace("'", "'\\''")}'\n`);
  });

  test('that command has what the page of a daemon needs', async () => {
    const { code, stderr } = await kbus(['web'], { env: { KBUS_DIR: await newFolder() } });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^Start it in another terminal with: .* serve --web$/m);
  });

  test('that command has the number of buses', async () => {
    const { kbus } = await serve('--buses', '2');
    const { code, stderr } = await kbus(['send', '$.A', '--bus', '2']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/fewer buses\. Stop it, and start it with: .* serve --buses 3\n$/);
    expect((await kbus(['send', '$.A', '--bus', '1'])).code).toBe(0);
  });

  test.skipIf(process.getuid?.() === 0)(
    'a user without a folder is told to set KBUS_DIR',
    async () => {
      const { code, stderr } = await kbus(['send', '$.A']);
      expect(code).toBe(3);
      expect(stderr).toMatch(/Set KBUS_DIR to a folder of your own/);
    },
  );
});

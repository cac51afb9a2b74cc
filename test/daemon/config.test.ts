import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig } from '../../src/daemon/config.ts';
import { SETTING_NAMES, SETTINGS, type Setting } from '../../src/daemon/settings.ts';
import { newFolder } from '../support/folder.ts';

async function read(text: string): Promise<unknown> {
  const path = join(await newFolder(), 'kbus.toml');
  writeFileSync(path, text);
  try {
    return readConfig(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replaceAll(path, 'kbus.toml');
  }
}

/** A value that a setting may have. */
function sample(setting: Setting): unknown {
  switch (setting.kind) {
    case 'number':
      return setting.min;
    case 'choice':
      return setting.choices[0];
    case 'mode':
      return '0660';
    case 'text':
      return 'some "text"';
    case 'switch':
      return true;
  }
}

describe('the configuration file', () => {
  test('may have any of the settings, or none', async () => {
    expect(await read('')).toEqual({});
    const all = Object.fromEntries(SETTING_NAMES.map((name) => [name, sample(SETTINGS[name])]));
    // Text, numbers and truth are written in TOML as in JSON.
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
    expect(await read(lines.join('\n'))).toEqual(all);
  });

  test('may have access points', async () => {
    const text = `mode = "0600"

[[access]]
name = "guest"
mode = "0660"
group = "users"
rights = ["read"]
listen = ["$.Public.*", "$.Room.%"]
buses = [0, 2]

[[access]]
name = "all-but_1"
rights = ["read", "write", "reply", "observe"]`;
    expect(await read(text)).toEqual({
      mode: '0600',
      access: [
        {
          name: 'guest',
          mode: '0660',
          group: 'users',
          rights: ['read'],
          listen: ['$.Public.*', '$.Room.%'],
          buses: [0, 2],
        },
        { name: 'all-but_1', rights: ['read', 'write', 'reply', 'observe'] },
      ],
    });
  });

  const point = '[[access]]\nname = "a"\nrights = ["read"]\n';

  test.each([
    ['access = "guest"', 1, 'access: must be a list of access points: write [[access]] above each'],
    [
      '[access]\nname = "a"',
      1,
      'access: must be a list of access points: write [[access]] above each',
    ],
    ['access = [1]', 1, 'access[0]: must be a table with a name and rights, not 1'],
    [
      '\n[[access]]\nrights = ["read"]',
      2,
      `access[0].name: must have 1 to 32 letters, digits, '_' and '-', as in "guest"; it is missing`,
    ],
    [
      `${point}[[access]]\nname = "../b"\nrights = ["read"]`,
      5,
      `access[1].name: must have 1 to 32 letters, digits, '_' and '-', as in "guest"; it is "../b"`,
    ],
    [
      `${point}${point}`,
      5,
      'access[1].name: must differ: another access point has the name "a" already',
    ],
    [
      '[[access]]\nname = "a"',
      1,
      'access[0].rights: must be a list of rights, of "read", "write", "reply", "observe", "manage"; it is missing',
    ],
    [
      '[[access]]\nname = "a"\nrights = []\nmode = "0600"',
      3,
      'access[0].rights: must be a list of rights, of "read", "write", "reply", "observe", "manage"; it is []',
    ],
    [
      '[[access]]\nname = "a"\nrights = ["raed"]\n\n',
      3,
      'access[0].rights: has "raed", which is not a right; did you mean "read"?',
    ],
    [
      '[[access]]\nname = "a"\nrights = [\n"listen"\n]\n',
      5,
      'access[0].rights: has "listen", which is not a right; the rights are "read", "write", "reply", "observe", "manage"',
    ],
    [
      `${point}listen = ["$.Public.*", "Public.%"]`,
      4,
      `access[0].listen: has "Public.%", which can't match a name: it does not begin with '$.'`,
    ],
    [
      `${point}listen = ["$.Pub*"]`,
      4,
      `access[0].listen: has "$.Pub*", which can't match a name: character 6, '*', may only stand as a word of its own`,
    ],
    [
      `${point}listen = "$.Public.*"`,
      4,
      'access[0].listen: must be a list of names or wildcards, as in ["$.Public.*"]; it is "$.Public.*"',
    ],
    [`${point}listen = [1]`, 4, 'access[0].listen: must be a list of strings, and has 1'],
    [
      `${point}send = ["$.A"]`,
      4,
      "access[0].send: limits the right 'write', which is not among the rights; add it there",
    ],
    [
      `${point}lisen = ["$.A"]`,
      4,
      "access[0].lisen: is not a setting of an access point; did you mean 'listen'?",
    ],
    [
      `${point}mode = 0o660`,
      4,
      'access[0].mode: must be permission bits in octal and in quotes, such as "0660", not 432',
    ],
    [
      `${point}group = ""`,
      4,
      'access[0].group: must be a name or number, as a string that is not empty, not ""',
    ],
    [
      `${point}buses = [256]`,
      4,
      'access[0].buses: must be a list of bus numbers, as in [0, 2]; it is [256]',
    ],
    [
      `${point}listen = ["$.${'a'.repeat(900)}"${`, "$.${'b'.repeat(900)}"`.repeat(40)}]`,
      4,
      'access[0].listen: has 36982 characters in all, and may have 30000; use wildcards',
    ],
  ])('is refused with the line and the key: %j', async (text, line, wrong) => {
    expect(await read(text)).toBe(`kbus.toml, line ${line}, ${wrong}`);
  });

  test('may use all notations of TOML for numbers', async () => {
    expect(await read('max-message-size = 1_000\nabsolute-max-message-size = 0x1000')).toEqual({
      'max-message-size': 1000,
      'absolute-max-message-size': 4096,
    });
  });

  test.each([
    ['buses = 300', 1, 'buses: must be a whole number from 1 to 256, not 300'],
    ['\n\nbuses = 0', 3, 'buses: must be a whole number from 1 to 256, not 0'],
    ['buses = 1.5', 1, 'buses: must be a whole number from 1 to 256, not 1.5'],
    ['buses = "3"', 1, 'buses: must be a whole number from 1 to 256, not "3"'],
    ['buses = nan', 1, 'buses: must be a whole number from 1 to 256, not NaN'],
    ['buses = inf', 1, 'buses: must be a whole number from 1 to 256, not Infinity'],
    ['buses = 1979-05-27', 1, 'buses: must be a whole number from 1 to 256, not a date'],
    [
      'mode = 0o660',
      1,
      'mode: must be permission bits in octal and in quotes, such as "0660", not 432',
    ],
    [
      'mode = 660',
      1,
      'mode: must be permission bits in octal and in quotes, such as "0660", not 660',
    ],
    ['directory = ""', 1, 'directory: must be a folder, as a string that is not empty, not ""'],
    ['verbose = "yes"', 1, 'verbose: must be true or false, not "yes"'],
    ['log = ["human",\n"json"]', 2, 'log: must be human or json, not ["human","json"]'],
    [
      '# one\nverbose = true\n"buses" = 0 # two',
      3,
      'buses: must be a whole number from 1 to 256, not 0',
    ],
    [
      'note = """\nbuses = 0\n"""',
      3,
      `note: is not a setting; the settings are ${SETTING_NAMES.join(', ')}`,
    ],
    [
      '[daemon]\nbuses = 3',
      1,
      `daemon: is not a setting; the settings are ${SETTING_NAMES.join(', ')}`,
    ],
  ])('%j is told with its line and key', async (text, line, wrong) => {
    expect(await read(text)).toBe(`kbus.toml, line ${line}, ${wrong}`);
  });

  test('is reported with all its mistakes at once', async () => {
    expect(await read('buses = 0\nverbose = true\nlog = "xml"')).toBe(
      'kbus.toml, line 1, buses: must be a whole number from 1 to 256, not 0\n' +
        'kbus.toml, line 3, log: must be human or json, not "xml"',
    );
  });

  test('is refused if two settings contradict each other', async () => {
    expect(await read('absolute-max-message-size = 1000\nmax-message-size = 2000')).toBe(
      'kbus.toml, line 2, max-message-size: must not exceed absolute-max-message-size, which is 1000',
    );
  });

  test.each([
    ['buses = = 2', 1],
    ['verbose = true\nbuses 2', 2],
    ['buses = 1\nbuses = 2', 2],
    ['log = "human', 1],
  ])('is refused with the line number if it is not TOML: %j', async (text, line) => {
    expect(await read(text)).toMatch(new RegExp(`^kbus\\.toml, line ${line}: [^\n]+$`));
  });
});

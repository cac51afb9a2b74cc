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

import { describe, expect, test } from 'vitest';
import { BUS_DEFAULTS } from '../../src/bus/settings.ts';
import { plainSettings } from '../../src/cli/plain-settings.ts';
import { checkSettings } from '../../src/daemon/check-settings.ts';
import { optionOf, SETTING_NAMES, SETTINGS, type Setting } from '../../src/daemon/settings.ts';

const all: [string, Setting][] = SETTING_NAMES.map((name) => [name, SETTINGS[name]]);

describe('the table of settings', () => {
  test.each(all)('%s has a help text, and a default', (_, setting) => {
    expect(setting.help).toMatch(/^[a-z].*[^.]$/);
    expect(setting.default === undefined).toBe(setting.otherwise !== undefined);
  });

  test.each(all.filter(([, setting]) => setting.default !== undefined))(
    'the default of %s is a valid value',
    (name, setting) => {
      expect(checkSettings({ [name]: setting.default })).toEqual({ [name]: setting.default });
    },
  );

  test.each(Object.keys(BUS_DEFAULTS) as (keyof typeof BUS_DEFAULTS)[])(
    'has an option for %s, with the default of the bus if it has one',
    (name) => {
      const [, setting] = all.find(([option]) => option === optionOf(name)) ?? [];
      expect(setting?.default ?? setting?.otherwise).toBeDefined();
      expect(setting?.default ?? BUS_DEFAULTS[name]).toBe(BUS_DEFAULTS[name]);
    },
  );

  test.each(all.filter(([, { kind }]) => kind === 'number'))('%s has a range', (name, setting) => {
    const { min, max } = setting as Setting & { kind: 'number' };
    for (const value of [min, max])
      expect(checkSettings({ [name]: value })).toEqual({ [name]: value });
    for (const value of [min - 1, max + 1, min + 0.5]) {
      expect(checkSettings({ [name]: value })).toMatchObject([{ name }]);
    }
  });

  test.each([
    ['history', '4MiB', 4 * 1024 * 1024],
    ['hello-timeout', '2min', 120],
    ['hello-timeout', '5s', 5],
    ['web-timeout', '1h', 3600],
  ])('takes %s with its unit: %s', (name, text, value) => {
    expect(checkSettings({ [name]: text })).toEqual({ [name]: value });
  });

  test.each([
    ['hello-timeout', '500ms'],
    ['hello-timeout', '2h'],
    ['hello-timeout', '5 days'],
    ['hello-timeout', '4MiB'],
    ['history', '5s'],
    ['spin', '5s'],
  ])('refuses %s with a unit that does not fit: %s', (name, text) => {
    expect(checkSettings({ [name]: text })).toMatchObject([{ name }]);
  });

  test('accepts permission bits of three digits, and of four that begin with 0', () => {
    for (const mode of ['660', '0660', '777']) expect(checkSettings({ mode })).toEqual({ mode });
    for (const mode of ['66', '06600', '1777', '0668', 'rw', ' 660']) {
      expect(checkSettings({ mode })).toMatchObject([{ name: 'mode' }]);
    }
  });
});

describe('plainSettings', () => {
  test('accepts texts, switches, and numbers in their range', () => {
    expect(plainSettings([])).toEqual({});
    expect(plainSettings(['--buses', '3', '--spin=0', '--max-messages', '4294967295'])).toEqual({
      buses: 3,
      spin: 0,
      'max-messages': 4_294_967_295,
    });
    expect(plainSettings(['--directory', 'a', '--group=video', '--verbose'])).toEqual({
      directory: 'a',
      group: 'video',
      verbose: true,
    });
  });

  test.each([
    [['--buses', '0']],
    [['--buses', '257']],
    [['--buses', '']],
    [['--buses', '0x3']],
    [['--buses=-1']],
    [['--max-message-size', '1000', '--absolute-max-message-size', '1000']],
    [['--mode', '0660']],
    [['--directory', '']],
    [['--directory']],
    [['--directry', 'a']],
    [['--verbose=true']],
    [['--help']],
    [['--config', 'kbus.toml']],
    [['more']],
  ])('leaves %j to checkSettings', (args) => {
    expect(plainSettings(args)).toBe(undefined);
  });

  test.each(
    SETTING_NAMES.filter((name) => SETTINGS[name].kind === 'number').flatMap((name) => {
      const { min, max } = SETTINGS[name] as { min: number; max: number };
      return [min - 1, min, max, max + 1].map((value) => ({ name, value }));
    }),
  )('gives the same as checkSettings: --$name=$value', ({ name, value }) => {
    const checked = checkSettings({ [name]: value });
    const wanted = Array.isArray(checked) ? undefined : checked;
    expect(plainSettings([`--${name}=${value}`])).toEqual(wanted);
  });
});

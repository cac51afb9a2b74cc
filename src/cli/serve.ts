import type { Command } from 'commander';
import { checkSettings } from '../daemon/check-settings.ts';
import { type Given, SETTING_NAMES, SETTINGS, type Setting } from '../daemon/settings.ts';
import { Exit, Failure } from './failure.ts';
import { runDaemon } from './run-daemon.ts';

export function configure(command: Command): void {
  for (const name of SETTING_NAMES) {
    const setting: Setting = SETTINGS[name];
    command.option(`--${name}${placeholderOf(setting)}`, `${setting.help}${defaultOf(setting)}`);
  }
  command
    .option('--config <file>', 'TOML file with these settings; options override it')
    .addHelpText(
      'after',
      `
Serves until Ctrl-C or SIGTERM, then removes its sockets.

Examples:
  kbus serve
  kbus serve --buses 3 --directory ./sockets
  kbus serve --directory /run/kbus --group video --mode 0660 --log json
  kbus serve --device /run/kbus/dev --link /dev

A configuration file uses the same names, and may add access points: sockets of their own, with rights (read,
write, reply, observe, manage) and names. kbus access shows them. The socket of this one is kbus0.guest.sock:
  buses = 3
  directory = "/run/kbus"
  mode = "0660"

  [[access]]
  name = "guest"
  group = "users"
  rights = ["read"]
  listen = ["$.Public.*"]

It may also have Limpets, which join buses (see kbus limpet --help):
  [[limpet]]
  id = 1
  bus = 0
  link = [{ server = "/run/kbus/limpet.sock" }]`,
    )
    .action(async (options: Record<string, string | true>) => {
      const { config, ...rest } = options;
      const typed = typedSettings(rest);
      if (typeof config !== 'string') return runDaemon(typed);
      const { ConfigError, readConfig } = await import('../daemon/config.ts');
      const { readLimpets } = await import('./limpet-tables.ts');
      try {
        return await runDaemon({ ...readConfig(config), ...typed }, readLimpets(config));
      } catch (error) {
        if (error instanceof ConfigError) throw new Failure(Exit.USAGE, error.message, error);
        throw error;
      }
    });
}

function placeholderOf(setting: Setting): string {
  switch (setting.kind) {
    case 'number':
      return ` <${setting.unit ?? 'number'}>`;
    case 'choice':
      return ` <${setting.choices.join('|')}>`;
    case 'mode':
      return ' <octal>';
    case 'text':
      return ` <${setting.placeholder}>`;
    case 'switch':
      return '';
  }
}

function defaultOf(setting: Setting): string {
  if (setting.kind === 'switch') return '';
  return ` (default: ${setting.otherwise ?? setting.default})`;
}

/** The settings from commander's options, which have camel-case names. */
function typedSettings(options: Record<string, string | true>): Given {
  const values: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const value = options[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (value === undefined) continue;
    const isNumber = SETTINGS[name].kind === 'number' && /^\d+$/.test(String(value));
    values[name] = isNumber ? Number(value) : value;
  }
  const given = checkSettings(values);
  if (!Array.isArray(given)) return given;
  throw new Failure(Exit.USAGE, given.map(({ name, wrong }) => `--${name} ${wrong}`).join('\n'));
}

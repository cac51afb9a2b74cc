import { type ParseArgsConfig, parseArgs } from 'node:util';
import {
  type Given,
  MIN_HISTORY,
  SETTING_NAMES,
  SETTINGS,
  type Setting,
  type SettingName,
} from '../daemon/settings.ts';

/**
 * The settings, if the arguments of `kbus serve` are only texts, switches, and numbers in their range. Undefined for
 * anything else, also mistakes: `serve.ts` then parses them. It loads commander and valibot, with which the
 * daemon takes 6 MiB more.
 */
export function plainSettings(args: string[]): Given | undefined {
  const options: ParseArgsConfig['options'] = {};
  for (const name of SETTING_NAMES) {
    const { kind } = SETTINGS[name];
    if (kind === 'text' || kind === 'number') options[name] = { type: 'string' };
    if (kind === 'switch') options[name] = { type: 'boolean' };
  }
  const given: Record<string, string | number | boolean> = {};
  try {
    for (const [name, text] of Object.entries(parseArgs({ args, options }).values)) {
      const value = plainValue(SETTINGS[name as SettingName], text as string | boolean);
      if (value === undefined) return undefined;
      given[name] = value;
    }
  } catch {
    return undefined;
  }
  const { history = 0 } = given;
  if (history !== 0 && Number(history) < MIN_HISTORY) return undefined;
  // One of these limits the other.
  if ('max-message-size' in given && 'absolute-max-message-size' in given) return undefined;
  return given;
}

function plainValue(
  setting: Setting,
  text: string | boolean,
): string | number | boolean | undefined {
  if (text === '') return undefined;
  if (setting.kind !== 'number') return text;
  const value = Number(text);
  const isGood = /^\d+$/.test(String(text)) && value >= setting.min && value <= setting.max;
  return isGood ? value : undefined;
}

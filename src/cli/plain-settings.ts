import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Given, SETTING_NAMES, SETTINGS } from '../daemon/settings.ts';

/**
 * The settings, if the arguments of `kbus serve` are nothing but settings of which any value is good:
 * text and switches. Undefined otherwise, and for mistakes: then `serve-command.ts` reads them.
 */
export function plainSettings(args: string[]): Given | undefined {
  const options: ParseArgsConfig['options'] = {};
  for (const name of SETTING_NAMES) {
    const { kind } = SETTINGS[name];
    if (kind === 'text') options[name] = { type: 'string' };
    if (kind === 'switch') options[name] = { type: 'boolean' };
  }
  try {
    const { values } = parseArgs({ args, options });
    return Object.values(values).includes('') ? undefined : values;
  } catch {
    return undefined;
  }
}

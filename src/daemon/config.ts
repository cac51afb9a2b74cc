import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { checkSettings, type Problem } from './check-settings.ts';
import type { Given } from './settings.ts';

/** The configuration file can't be read, or is invalid; the message has a line for each problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the settings from a TOML file. Throws a ConfigError, which names the file, the line and the key. */
export function readConfig(path: string): Given {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`can't read ${path}: ${(error as Error).message}`, { cause: error });
  }
  // The Limpets have tables of their own: see src/cli/limpet-tables.ts.
  const { limpet: _, ...settings } = parseToml(path, text);
  const given = checkSettings(settings);
  if (!Array.isArray(given)) return given;
  const lines = given.map(({ name, at, wrong }: Problem) => {
    return `${path}, line ${lineOf(text, at)}, ${name}: ${wrong}`;
  });
  throw new ConfigError(lines.join('\n'));
}

function parseToml(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The further lines of its message are an excerpt.
    const [why = ''] = error.message.split('\n');
    throw new ConfigError(`${path}, line ${error.line}: ${why}`, { cause: error });
  }
}

/**
 * The last line of a key's value, from 1: the first line with which the text defines the key. For a key that a table lacks,
 * the line of the table.
 */
export function lineOf(text: string, at: readonly (string | number)[]): number {
  const lines = text.split('\n');
  let table = lines.length;
  for (let count = 1; count < lines.length; count++) {
    try {
      const values = parse(lines.slice(0, count).join('\n'));
      if (has(values, at)) return count;
      if (at.length > 1 && count < table && has(values, at.slice(0, -1))) table = count;
    } catch {
      // The value continues in the next line.
    }
  }
  return has(parse(text), at) ? lines.length : table;
}

function has(value: unknown, [key, ...rest]: readonly (string | number)[]): boolean {
  if (key === undefined) return true;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false;
  return has((value as Record<string | number, unknown>)[key], rest);
}

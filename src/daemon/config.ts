import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { checkSettings, type Problem } from './check-settings.ts';
import type { Given } from './settings.ts';

/** A configuration file can't be read, or is wrong; the message has a line for each thing wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the settings from a TOML file. A ConfigError that names the file, the line and the key. */
export function readConfig(path: string): Given {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
  const given = checkSettings(parseToml(path, text));
  if (!Array.isArray(given)) return given;
  const lines = given.map(({ name, wrong }: Problem) => {
    return `${path}, line ${lineOf(text, name)}, ${name}: ${wrong}`;
  });
  throw new ConfigError(lines.join('\n'));
}

function parseToml(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Its message goes on with an excerpt, over several lines.
    const [why = ''] = error.message.split('\n');
    throw new ConfigError(`${path}, line ${error.line}: ${why}`, { cause: error });
  }
}

/** The line, from 1, with which a key is complete: the first that makes it appear. */
function lineOf(text: string, key: string): number {
  const lines = text.split('\n');
  for (let count = 1; count < lines.length; count++) {
    try {
      if (Object.hasOwn(parse(lines.slice(0, count).join('\n')), key)) return count;
    } catch {
      // A value goes on in the next line.
    }
  }
  return lines.length;
}

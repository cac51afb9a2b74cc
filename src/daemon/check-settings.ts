import * as v from 'valibot';
import { type Given, requirementOf, SETTING_NAMES, SETTINGS, type Setting } from './settings.ts';

/** An invalid setting. */
export interface Problem {
  /** The setting's name, or the unknown key. */
  readonly name: string;
  /** A predicate to the name: `must be a whole number from 1 to 256, not 300`. */
  readonly wrong: string;
}

/** A value as error texts show it. */
function shown(value: unknown): string {
  if (value instanceof Date) return 'a date';
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

function schemaOf(setting: Setting): v.GenericSchema {
  switch (setting.kind) {
    case 'number':
      return v.pipe(v.number(), v.integer(), v.minValue(setting.min), v.maxValue(setting.max));
    case 'choice':
      return v.picklist(setting.choices);
    case 'mode':
      return v.pipe(v.string(), v.regex(/^[0-7]{3,4}$/), v.regex(/^0?[0-7]{3}$/));
    case 'switch':
      return v.boolean();
    case 'text':
      return v.pipe(v.string(), v.nonEmpty());
  }
}

const schema = v.strictObject(
  Object.fromEntries(SETTING_NAMES.map((name) => [name, v.optional(schemaOf(SETTINGS[name]))])),
);

/** Checks settings against the table, and against each other. */
export function checkSettings(values: Record<string, unknown>): Given | Problem[] {
  const result = v.safeParse(schema, values, { abortPipeEarly: true });
  if (!result.success) return result.issues.map(problemOf);
  const given = result.output as Given;
  const max = given['max-message-size'];
  const absolute = given['absolute-max-message-size'];
  if (max !== undefined && absolute !== undefined && max > absolute) {
    const name = 'max-message-size';
    return [{ name, wrong: `must not exceed absolute-max-message-size, which is ${absolute}` }];
  }
  return given;
}

function problemOf(issue: v.BaseIssue<unknown>): Problem {
  const name = v.getDotPath(issue) ?? '';
  const setting = (SETTINGS as Record<string, Setting>)[name];
  if (setting === undefined) {
    return { name, wrong: `is not a setting; the settings are ${SETTING_NAMES.join(', ')}` };
  }
  const value = shown(issue.path?.[0]?.value);
  return { name, wrong: `must be ${requirementOf(setting)}, not ${value}` };
}

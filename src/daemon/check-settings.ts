import * as v from 'valibot';
import { bytesIn, msIn } from '../base/units.ts';
import { faultsOfAccess, pathOf } from './check-access.ts';
import {
  type Given,
  type GivenAccess,
  MIN_HISTORY,
  requirementOf,
  SETTING_NAMES,
  SETTINGS,
  type Setting,
} from './settings.ts';

/** An invalid setting. */
export interface Problem {
  /** The setting's name, or the unknown key: `mode`, or `access[1].mode`. */
  readonly name: string;
  /** The keys that lead to it. */
  readonly at: readonly (string | number)[];
  /** A predicate to the name: `must be a whole number from 1 to 256, not 300`. */
  readonly wrong: string;
}

/** A value as error texts show it. */
function shown(value: unknown): string {
  if (value instanceof Date) return 'a date';
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** By unit: what a text that has it means. */
const WRITTEN: Readonly<Record<string, (text: string) => number | null>> = {
  bytes: bytesIn,
  seconds: (text) => (msIn(text) ?? Number.NaN) / 1000,
};

function schemaOf(setting: Setting): v.GenericSchema {
  switch (setting.kind) {
    case 'number': {
      // Sizes and times may be written with their unit.
      const { unit = '' } = setting;
      const written = WRITTEN[unit];
      const text = v.pipe(v.string(), v.transform(written ?? (() => null)), v.number());
      const number = written === undefined ? v.number() : v.union([v.number(), text]);
      return v.pipe(number, v.integer(), v.minValue(setting.min), v.maxValue(setting.max));
    }
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
export function checkSettings({ access, ...values }: Record<string, unknown>): Given | Problem[] {
  const result = v.safeParse(schema, values, { abortPipeEarly: true });
  const ofAccess = access === undefined ? [] : problemsOfAccess(access);
  if (!result.success) return [...result.issues.map(problemOf), ...ofAccess];
  if (ofAccess.length > 0) return ofAccess;
  const given = result.output as Given;
  if (access !== undefined) given.access = access as GivenAccess[];
  const { history = 0 } = given;
  if (history > 0 && history < MIN_HISTORY) {
    const wrong = `must be 0, or at least ${MIN_HISTORY}, not ${history}: less would hold nothing`;
    return [{ name: 'history', at: ['history'], wrong }];
  }
  const max = given['max-message-size'];
  const absolute = given['absolute-max-message-size'];
  if (max !== undefined && absolute !== undefined && max > absolute) {
    const name = 'max-message-size';
    return [
      {
        name,
        at: [name],
        wrong: `must not exceed absolute-max-message-size, which is ${absolute}`,
      },
    ];
  }
  return given;
}

function problemOf(issue: v.BaseIssue<unknown>): Problem {
  const name = v.getDotPath(issue) ?? '';
  const setting = (SETTINGS as Record<string, Setting>)[name];
  if (setting === undefined) {
    const wrong = `is not a setting; the settings are ${SETTING_NAMES.join(', ')}`;
    return { name, at: [name], wrong };
  }
  const value = shown(issue.path?.[0]?.value);
  return { name, at: [name], wrong: `must be ${requirementOf(setting)}, not ${value}` };
}

/** The settings of an access point that are checked like those of the whole daemon. */
const OWNERSHIP = ['mode', 'group'] as const;

function problemsOfAccess(access: unknown): Problem[] {
  const faults = [...faultsOfAccess(access, OWNERSHIP)];
  for (const [index, point] of (Array.isArray(access) ? access : []).entries()) {
    for (const key of OWNERSHIP) {
      const value: unknown = point?.[key];
      if (value === undefined || v.is(schemaOf(SETTINGS[key]), value)) continue;
      const wrong = `must be ${requirementOf(SETTINGS[key])}, not ${shown(value)}`;
      faults.push({ at: [index, key], wrong });
    }
  }
  return faults.map(({ at, wrong }) => {
    const path = ['access', ...at];
    return { name: `access${pathOf(at)}`, at: path, wrong };
  });
}

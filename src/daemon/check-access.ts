import { nearest } from '../base/nearest.ts';
import { RIGHTS, type Right } from '../bus/access.ts';
import { MAX_BUSES } from '../bus/settings.ts';
import { faultOfName } from '../message/name.ts';
import { ACCESS_NAME } from '../system/socket-folder.ts';

/** What is wrong with a list of access points, and where: `[1, 'rights']` is the rights of the second. */
export interface AccessFault {
  readonly at: readonly (string | number)[];
  /** A predicate: `must be …`. */
  readonly wrong: string;
}

/** A list of wildcards has at most this many characters: a report of it must fit into a frame. */
const MAX_NAMES_CHARACTERS = 30_000;

/** Each list of names, with the right that it limits. */
const LISTS = { send: 'write', listen: 'read', reply: 'reply' } as const;

type ListName = keyof typeof LISTS;

const KEYS = ['name', 'rights', 'buses', 'web', ...Object.keys(LISTS)];

/** Checks access points, whatever they are. `otherKeys` are not checked. */
export function faultsOfAccess(points: unknown, otherKeys: readonly string[]): AccessFault[] {
  if (!Array.isArray(points)) {
    return [{ at: [], wrong: 'must be a list of access points: write [[access]] above each' }];
  }
  const names = new Set<unknown>();
  return points.flatMap((point: unknown, index) => {
    if (typeof point !== 'object' || point === null) {
      return [
        { at: [index], wrong: `must be a table with a name and rights, not ${shown(point)}` },
      ];
    }
    const fields = point as Record<string, unknown>;
    const faults = faultsOfPoint(fields, otherKeys);
    if (names.has(fields['name'])) {
      const wrong = `must differ: another access point has the name ${shown(fields['name'])} already`;
      faults.push({ at: ['name'], wrong });
    }
    names.add(fields['name']);
    return faults.map(({ at, wrong }) => ({ at: [index, ...at], wrong }));
  });
}

function faultsOfPoint(
  point: Readonly<Record<string, unknown>>,
  otherKeys: readonly string[],
): AccessFault[] {
  const faults: AccessFault[] = [];
  const add = (key: string, wrong: string): void => void faults.push({ at: [key], wrong });
  const keys = [...KEYS, ...otherKeys];
  for (const key of Object.keys(point)) {
    if (keys.includes(key)) continue;
    const meant = nearest(key, keys);
    const advice = meant === undefined ? `it has ${keys.join(', ')}` : `did you mean '${meant}'?`;
    add(key, `is not a setting of an access point; ${advice}`);
  }
  const { name, rights, buses, web } = point;
  if (typeof name !== 'string' || !ACCESS_NAME.test(name)) {
    add(
      'name',
      `must have 1 to 32 letters, digits, '_' and '-', as in "guest"; it is ${shown(name)}`,
    );
  }
  const known = faultsOfRights(rights, add);
  for (const list of Object.keys(LISTS) as ListName[]) {
    const value = point[list];
    if (value === undefined) continue;
    const wrong = faultOfNames(value);
    if (wrong !== undefined) add(list, wrong);
    else if (known !== null && !known.includes(LISTS[list])) {
      add(list, `limits the right '${LISTS[list]}', which is not among the rights; add it there`);
    }
  }
  const isBus = (bus: unknown): boolean =>
    Number.isInteger(bus) && (bus as number) >= 0 && (bus as number) < MAX_BUSES;
  if (web !== undefined && typeof web !== 'boolean') {
    add('web', `must be true or false, for a token of its own; it is ${shown(web)}`);
  }
  if (buses !== undefined && !(Array.isArray(buses) && buses.length > 0 && buses.every(isBus))) {
    add('buses', `must be a list of bus numbers, as in [0, 2]; it is ${shown(buses)}`);
  }
  return faults;
}

/** The rights, if they are a list of rights. */
function faultsOfRights(
  rights: unknown,
  add: (key: string, wrong: string) => void,
): readonly unknown[] | null {
  const all = RIGHTS.map((right) => `"${right}"`).join(', ');
  if (!Array.isArray(rights) || rights.length === 0) {
    add('rights', `must be a list of rights, of ${all}; it is ${shown(rights)}`);
    return null;
  }
  for (const right of rights as unknown[]) {
    if (RIGHTS.includes(right as Right)) continue;
    const meant = typeof right === 'string' ? nearest(right, RIGHTS) : undefined;
    const advice = meant === undefined ? `the rights are ${all}` : `did you mean "${meant}"?`;
    add('rights', `has ${shown(right)}, which is not a right; ${advice}`);
    return null;
  }
  return rights;
}

function faultOfNames(names: unknown): string | undefined {
  if (!Array.isArray(names) || names.length === 0) {
    return `must be a list of names or wildcards, as in ["$.Public.*"]; it is ${shown(names)}`;
  }
  for (const name of names as unknown[]) {
    if (typeof name !== 'string') return `must be a list of strings, and has ${shown(name)}`;
    const fault = faultOfName(name, 'binding');
    if (fault !== undefined) return `has ${shown(name)}, which can't match a name: ${fault}`;
  }
  const characters = names.join('').length;
  if (characters <= MAX_NAMES_CHARACTERS) return undefined;
  return `has ${characters} characters in all, and may have ${MAX_NAMES_CHARACTERS}; use wildcards`;
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}

/** Throws a TypeError for access points of a program that are not valid. */
export function checkAccessPoints(points: unknown): void {
  const [fault] = faultsOfAccess(points, ['socket', 'listening']);
  if (fault === undefined) return;
  throw new TypeError(`access${pathOf(fault.at)} ${fault.wrong}`);
}

/** `[1].rights` */
export function pathOf(at: readonly (string | number)[]): string {
  return at.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
}

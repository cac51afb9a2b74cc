import type { Argument, Option } from 'commander';
import { Ksock } from '../client/ksock.ts';
import { UNIX_TEXT } from '../message/all-meanings.ts';
import { Errno } from '../message/errno.ts';
import { accessPointsIn, busesIn, placesToLook } from '../system/socket-folder.ts';
import { unlessAborted } from './ending.ts';

/** A word that the user may mean, and what it is. */
export interface Candidate {
  readonly word: string;
  readonly help?: string | undefined;
}

/** What a value of the command line is. */
export type Kind =
  | 'nothing'
  | 'choices'
  | 'files'
  | 'folders'
  | 'names'
  | 'buses'
  | 'access points'
  | 'Ksocks'
  | 'errors';

/** What is wanted, by the word between < and > in the definition of an option or an argument. */
const KINDS: Readonly<Record<string, Kind>> = {
  file: 'files',
  'files...': 'files',
  address: 'files',
  folder: 'folders',
  name: 'names',
  'names...': 'names',
  what: 'names',
  wildcard: 'names',
  bus: 'buses',
  'access point': 'access points',
  ksock: 'Ksocks',
  error: 'errors',
};

/** A daemon that does not answer within this time has no candidates: the user waits. */
const TIME_LIMIT_MS = 500;

export function kindOf(value: Option | Argument): Kind {
  if (choicesOf(value).length > 0) return 'choices';
  if (!('flags' in value))
    return KINDS[`${value.name()}${value.variadic ? '...' : ''}`] ?? 'nothing';
  if (value.attributeName() === 'bus') return 'buses';
  return KINDS[placeholderOf(value)] ?? 'nothing';
}

const placeholderOf = ({ flags }: Option): string => /<(.*)>/.exec(flags)?.[1] ?? '';

function choicesOf(value: Option | Argument): readonly string[] {
  if (value.argChoices !== undefined) return value.argChoices;
  const placeholder = 'flags' in value ? placeholderOf(value) : '';
  return placeholder.includes('|') ? placeholder.split('|') : [];
}

/** The words that a value of this kind may be now. `values` are those of the options that are already typed. */
export async function candidatesOf(
  kind: Kind,
  value: Option | Argument | undefined,
  command: string,
  values: Readonly<Record<string, string>>,
): Promise<readonly Candidate[]> {
  const { directory, access } = values;
  const bus = Number(values['bus'] ?? 0);
  const folders = placesToLook(directory);
  switch (kind) {
    case 'choices':
      return value === undefined ? [] : choicesOf(value).map((word) => ({ word }));
    case 'errors':
      return Object.keys(Errno).map((word) => ({
        word,
        help: UNIX_TEXT[word as keyof typeof Errno],
      }));
    case 'buses':
      return inFolders(folders, (folder) => busesIn(folder).map(String));
    case 'access points':
      return inFolders(folders, (folder) => accessPointsIn(folder, bus));
    case 'names':
      return asked(bus, directory, access, async (ksock) => {
        const all = await ksock.readBindings();
        const fitting = all.filter(({ name, replier }) => {
          if (command === 'request') return replier && !/[*%]$/.test(name);
          return command !== 'send' || !/[*%]$/.test(name);
        });
        return [...new Set(fitting.map(({ name }) => name))].sort().map((word) => ({ word }));
      });
    case 'Ksocks':
      return asked(bus, directory, access, async (ksock) => {
        const [{ ksocks }, own] = [await ksock.stats(), ksock.ksockId()];
        return ksocks
          .filter((one) => one.ksock !== own)
          .map((one) => ({ word: String(one.ksock), help: one.program }));
      });
    default:
      return [];
  }
}

/** What is in any of the folders, each once, with the folder in which a client finds it. */
function inFolders(folders: readonly string[], look: (folder: string) => string[]): Candidate[] {
  const found = new Map<string, string>();
  for (const folder of folders) {
    try {
      for (const word of look(folder)) if (!found.has(word)) found.set(word, folder);
    } catch {
      // There is no such folder, or this user may not look into it.
    }
  }
  return [...found].map(([word, help]) => ({ word, help }));
}

async function asked(
  bus: number,
  directory: string | undefined,
  access: string | undefined,
  ask: (ksock: Ksock) => Promise<readonly Candidate[]>,
): Promise<readonly Candidate[]> {
  const signal = AbortSignal.timeout(TIME_LIMIT_MS);
  const ksock = await Ksock.open(bus, {
    mode: 'r',
    name: 'kbus completion',
    reconnect: false,
    directory,
    access,
    signal,
  });
  try {
    return await unlessAborted(ask(ksock), signal);
  } finally {
    ksock.unref();
  }
}

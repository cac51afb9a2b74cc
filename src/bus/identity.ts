import { escaped } from '../base/escape.ts';

/** Who uses a Ksock. At a device file, the kernel tells process and user. At a socket, the program does: it may lie. */
export interface Identity {
  /** The program's name, or ''. */
  readonly program: string;
  /** The process id; 0: unknown. */
  readonly pid: number;
  /** The id of the user who owns that process; -1: unknown. */
  readonly uid: number;
  /** Whether the program itself says so. */
  readonly isClaimed: boolean;
}

export const UNKNOWN: Identity = { program: '', pid: 0, uid: -1, isClaimed: true };

/** A name has at most this many characters. */
const MAX_PROGRAM_CHARACTERS = 64;

/** The name of a program in memory of its own, however long the text is that it came in. */
export function programName(text: string): string {
  return Array.from(text.slice(0, 2 * MAX_PROGRAM_CHARACTERS))
    .slice(0, MAX_PROGRAM_CHARACTERS)
    .join('');
}

/** `Ksock 4 ('thermostat')`, safe to print. */
export function nameOf({ id, who }: { readonly id: number; readonly who: Identity }): string {
  return who.program === '' ? `Ksock ${id}` : `Ksock ${id} (${quotedName(who.program)})`;
}

/** Without quotes of its own, a name can't pretend to end. */
function quotedName(program: string): string {
  return `'${escaped(program).replaceAll("'", '"')}'`;
}

/** `Ksock 4 ('thermostat', process 4711 of user 1000, as it says)`, safe to print. Who observes has the id 0. */
export function whoIs({ id, who }: { readonly id: number; readonly who: Identity }): string {
  const { program, pid, uid, isClaimed } = who;
  const parts: string[] = [];
  if (program !== '') parts.push(quotedName(program));
  if (uid >= 0) parts.push(`process ${pid} of user ${uid}`);
  // In this process, the process id says nothing.
  else if (pid !== 0 && isClaimed) parts.push(`process ${pid}`);
  const what = id === 0 ? 'an observer' : `Ksock ${id}`;
  if (parts.length === 0) return what;
  return `${what} (${parts.join(', ')}${isClaimed ? ', as it says' : ''})`;
}

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The id of a group, by its name or number; undefined if this machine has no such group. */
export function groupId(nameOrNumber: string): number | undefined {
  if (/^\d+$/.test(nameOrNumber)) return Number(nameOrNumber);
  const line = groupLine(nameOrNumber);
  const id = line?.split(':')[2];
  return id === undefined ? undefined : Number(id);
}

/** The name of a group or of a user, as `ls` shows it; the number if it has none. */
export function groupName(id: number): string {
  return nameIn('/etc/group', id);
}

export function userName(id: number): string {
  return nameIn('/etc/passwd', id);
}

function nameIn(file: string, id: number): string {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch {
    return String(id);
  }
  const found = lines.map((line) => line.split(':')).find((fields) => fields[2] === String(id));
  return found?.[0] ?? String(id);
}

/** `name:password:id:members`. `getent` also finds groups that are not in /etc/group (LDAP). */
function groupLine(name: string): string | undefined {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    return execFileSync('getent', ['group', name], { encoding: 'utf8', stdio: [...stdio] });
  } catch (error) {
    // With an exit status, getent ran and found no such group; without one, there is no getent.
    if (typeof (error as { status?: unknown }).status === 'number') return undefined;
  }
  const lines = readFileSync('/etc/group', 'utf8').split('\n');
  return lines.find((line) => line.startsWith(`${name}:`));
}

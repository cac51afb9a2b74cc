import process from 'node:process';
import { MAX_BUSES } from '../bus/settings.ts';

/** The first descriptor that systemd passes (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3;

/** The most sockets: some access points of each bus. */
export const MAX_SOCKETS = MAX_BUSES * 16;

/** A socket that systemd listens on for this process. */
export interface PassedSocket {
  readonly descriptor: number;
  /** The FileDescriptorName of its unit; '' if it has none. */
  readonly name: string;
}

/**
 * The sockets that systemd listens on for this process (socket activation), in the order of the units' ListenStream lines.
 * None if they are meant for another process. Removes the variables, so that child processes don't see them.
 */
export function takeActivation(env: NodeJS.ProcessEnv = process.env): PassedSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = env;
  if (LISTEN_PID !== String(process.pid)) return [];
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  const count = Number(LISTEN_FDS);
  if (!Number.isInteger(count) || count < 0 || count > MAX_SOCKETS) return [];
  const names = LISTEN_FDNAMES.split(':');
  return Array.from({ length: count }, (_, index) => {
    const name = names[index] ?? '';
    // Without a FileDescriptorName, systemd gives the name of the unit.
    const isDefault = name === 'unknown' || name.endsWith('.socket');
    return { descriptor: FIRST_DESCRIPTOR + index, name: isDefault ? '' : name };
  });
}

/** The descriptors of the sockets with this name, in their order. */
export function descriptorsOf(passed: readonly PassedSocket[], name: string): number[] {
  return passed.filter((one) => one.name === name).map(({ descriptor }) => descriptor);
}

import process from 'node:process';
import { MAX_BUSES } from '../bus/settings.ts';

/** The first descriptor that systemd passes (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3;

/**
 * Descriptors of the sockets that systemd listens on for this process (socket activation), in the order of the
 * unit's ListenStream lines: the first is bus 0's. None if they are meant for another process. Removes the
 * variables, so that child processes don't see them.
 */
export function takeActivation(env: NodeJS.ProcessEnv = process.env): number[] {
  const { LISTEN_PID, LISTEN_FDS } = env;
  if (LISTEN_PID !== String(process.pid)) return [];
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  const count = Number(LISTEN_FDS);
  if (!Number.isInteger(count) || count < 0 || count > MAX_BUSES) return [];
  return Array.from({ length: count }, (_, index) => FIRST_DESCRIPTOR + index);
}

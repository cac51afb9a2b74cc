import { Errno } from '../message/errno.ts';

/** Errors of the system that tell of a lack, not of a refusal. */
const LACKS: Readonly<Record<string, string>> = {
  EMFILE:
    'the daemon has no free file descriptor (EMFILE): raise its limit (ulimit -n), or close some connections',
  ENFILE:
    'this machine has no free file descriptor (ENFILE): raise its limit (sysctl fs.file-max), or end some programs',
  ENOSPC: 'the disk of its sockets is full (ENOSPC)',
  EDQUOT: 'the disk quota of its user is used up (EDQUOT)',
  ENOMEM: 'the machine has no memory left (ENOMEM)',
};

/** Programs hold too much memory for another bus. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
}

/** The error number and the reason for a program that asked for a new bus, whose socket could not be created. */
export function whyNoBus(error: unknown): { errno: number; why: string } {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const lack = LACKS[code];
  if (error instanceof NoRoomError) return { errno: Errno.ENOMEM, why: message };
  if (lack !== undefined) return { errno: Errno.ENOMEM, why: lack };
  return { errno: Errno.EACCES, why: message };
}

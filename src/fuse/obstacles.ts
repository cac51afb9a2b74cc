import { constants, readFileSync } from 'node:fs';
import process from 'node:process';
import { mayUse, programPath } from '../system/program-path.ts';

/** A missing prerequisite of device files. */
export interface Obstacle {
  readonly missing: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** The programs that mounting runs. */
export const MOUNT_PROGRAMS = ['mount', 'umount', 'sh'] as const;

const CAP_SYS_ADMIN = 21n;

/** The missing prerequisites of device files on this machine, for this user; found without mounting anything. */
export function obstacles(fuse = '/dev/fuse'): Obstacle[] {
  if (process.platform !== 'linux') {
    return [
      {
        missing: `Linux: this is ${process.platform}`,
        remedy: 'use sockets; device files are for programs that use the Linux kernel module',
      },
    ];
  }
  const found: Obstacle[] = [];
  if (!mayUse(fuse, constants.F_OK)) {
    found.push({
      missing: `${fuse}`,
      remedy: `load the kernel's module (modprobe fuse); in a container, give it the device (--device ${fuse})`,
    });
  } else if (!mayUse(fuse, constants.R_OK | constants.W_OK)) {
    found.push({
      missing: `permission to open ${fuse}`,
      remedy: `run kbus as root, or let the user read and write ${fuse}`,
    });
  }
  for (const program of MOUNT_PROGRAMS) {
    if (programPath(program) !== undefined) continue;
    found.push({
      missing: `the program ${program}`,
      remedy: 'install util-linux, or correct the PATH',
    });
  }
  if (!mayMount()) {
    found.push({
      missing: 'permission to mount',
      remedy:
        process.geteuid?.() === 0
          ? 'in a container, --cap-add SYS_ADMIN'
          : 'run kbus as root, or add a line to /etc/fstab: `kbus serve --device` prints it',
    });
  }
  return found;
}

/** With CAP_SYS_ADMIN, or by an fstab line for kbus. */
function mayMount(): boolean {
  const status = readFileSync('/proc/self/status', 'latin1');
  const capabilities = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(status)?.[1] ?? 0}`);
  if (((capabilities >> CAP_SYS_ADMIN) & 1n) === 1n) return true;
  try {
    return /^\s*\S+\s+\S+\s+fuse\.kbus\s+(\S+,)?users?(,|\s)/m.test(
      readFileSync('/etc/fstab', 'latin1'),
    );
  } catch {
    return false;
  }
}

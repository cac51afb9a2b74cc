import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { MadeFolders } from '../system/made-folders.ts';
import { programPath } from '../system/program-path.ts';
import { MountError } from './mount-error.ts';
import { PROGRAMS } from './obstacles.ts';
import { end, watch } from './watcher.ts';

export interface Mount {
  /** Absolute. */
  readonly directory: string;
  /** The open /dev/fuse whose requests are those of this mount. Whoever serves it closes it. */
  readonly descriptor: number;
  /** Those that were made for it: to be removed once it isn't mounted any more. */
  readonly folders: MadeFolders;
  /**
   * Unmounts, open files or not: their every further use fails (but a user's mount, by a line of
   * fstab, lasts for the files that are open until this process ends). Does nothing if it isn't
   * mounted any more. Rejected with UNMOUNT_REFUSED.
   */
  unmount(): Promise<void>;
}

const TYPE = 'fuse.kbus';

let mounts = 0;

/**
 * Mounts a folder whose files are served by this process. The folder is made if it isn't there; a
 * mount in it that was left behind by a process that is gone is replaced.
 *
 * Every request of whoever uses the folder waits until somebody serves the descriptor. From here on
 * this process must never touch the folder synchronously: it would wait for itself.
 */
export async function mount(
  folder: string,
  { fuse = '/dev/fuse' }: { fuse?: string } = {},
): Promise<Mount> {
  const directory = resolve(folder);
  for (const program of PROGRAMS) needProgram(directory, program);
  const folders = new MadeFolders();
  await clear(directory, folders);
  let source = `kbus:${process.pid}.${++mounts}`;
  let descriptor = -1;
  try {
    descriptor = openFuse(directory, fuse);
    await attach(directory, descriptor, source);
    // A user's mount bears the source that its line in fstab gives it.
    source = (await mountedOn(directory))?.source ?? source;
  } catch (error) {
    if (descriptor >= 0) closeSync(descriptor);
    folders.remove();
    throw error;
  }
  let watcher = watch(directory, source);
  // A read that waits in a thread keeps the process from exiting, but not the watcher from ending it.
  const onExit = () => watcher.stdin?.destroy();
  process.on('exit', onExit);
  let unmounting: Promise<void> | null = null;
  const unmount = async () => {
    process.off('exit', onExit);
    if (watcher.exitCode !== null || watcher.signalCode !== null) {
      watcher = watch(directory, source);
    }
    try {
      await end(directory, watcher);
    } finally {
      unmounting = null;
    }
  };
  return {
    directory,
    descriptor,
    folders,
    unmount() {
      unmounting ??= unmount();
      return unmounting;
    },
  };
}

function needProgram(directory: string, program: string): void {
  if (programPath(program) !== undefined) return;
  throw new MountError(
    'NO_PROGRAM',
    `cannot mount ${directory}: the program ${program} is not in the PATH; install util-linux, or correct the PATH`,
  );
}

/** Leaves an empty place for a mount. */
async function clear(directory: string, folders: MadeFolders): Promise<void> {
  try {
    for (;;) {
      const mounted = await mountedOn(directory);
      if (mounted === null) break;
      if (!(await isDead(directory))) {
        throw new MountError(
          'IN_USE',
          `cannot mount ${directory}: another kbus serves it (${mounted.source}); end that one, or choose another folder`,
        );
      }
      await end(directory, watch(directory, mounted.source));
    }
    folders.make(directory, { mode: 0o755 });
  } catch (error) {
    if (error instanceof MountError) throw error;
    throw new MountError(
      'BAD_FOLDER',
      `cannot mount ${directory}: ${(error as Error).message}; choose a folder that this user can make or enter`,
      error,
    );
  }
}

/** A mount is dead when the process that served it is gone. */
async function isDead(directory: string): Promise<boolean> {
  try {
    await stat(directory);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTCONN') return true;
    throw error;
  }
}

/** The mount of ours that is uppermost on a folder, found without touching the folder. */
async function mountedOn(directory: string): Promise<{ source: string } | null> {
  // "source folder type options 0 0"; spaces and the like in a field are written as \040.
  const lines = (await readFile('/proc/mounts', 'utf8')).trimEnd().split('\n');
  const on = lines
    .map((line) => line.split(' '))
    .filter(([, folder]) => folder?.replace(/\\(\d{3})/g, unescapeOctal) === directory)
    .at(-1);
  return on?.[0] !== undefined && on[2] === TYPE ? { source: on[0] } : null;
}

function unescapeOctal(_: string, digits: string): string {
  return String.fromCharCode(Number.parseInt(digits, 8));
}

function openFuse(directory: string, fuse: string): number {
  try {
    return openSync(fuse, 'r+');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new MountError(
        'FUSE_REFUSED',
        `cannot mount ${directory}: this user may not open ${fuse} (${code}); run kbus as root, or let the user read and write ${fuse}; in a container, give it the device (--device ${fuse})`,
        error,
      );
    }
    throw new MountError(
      'NO_FUSE',
      `cannot mount ${directory}: there is no ${fuse} (${code}); load the kernel's module (modprobe fuse); in a container, give it the device (--device ${fuse})`,
      error,
    );
  }
}

/**
 * Runs mount(8), which is given the descriptor as its own descriptor 3. Whoever isn't root has to have
 * a line in fstab, and may not give options of his own.
 */
async function attach(directory: string, descriptor: number, source: string): Promise<void> {
  const uid = process.geteuid!();
  const options = `fd=3,rootmode=40000,user_id=${uid},group_id=${process.getegid!()},allow_other,default_permissions,nosuid,nodev,noexec`;
  const words = uid === 0 ? ['-i', '-t', TYPE, '-o', options, source, directory] : [directory];
  const child = spawn('mount', words, { stdio: ['ignore', 'ignore', 'pipe', descriptor] });
  const [said] = await Promise.all([text(child.stderr!), once(child, 'close')]);
  if (child.exitCode === 0) return;
  throw new MountError(
    'MOUNT_REFUSED',
    `cannot mount ${directory}: ${said.trim().split('\n')[0]!.replace(/\.$/, '')}; ${
      uid === 0
        ? 'mounting takes CAP_SYS_ADMIN: in a container, --cap-add SYS_ADMIN'
        : `it takes root, or a user namespace (unshare -Urm), or this line in /etc/fstab: kbus ${directory} ${TYPE} user,noauto,${options} 0 0`
    }`,
  );
}

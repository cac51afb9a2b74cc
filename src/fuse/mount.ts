import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { MadeFolders } from '../system/made-folders.ts';
import { programPath } from '../system/program-path.ts';
import { MountError } from './mount-error.ts';
import { MOUNT_PROGRAMS } from './obstacles.ts';
import { end, watch } from './watcher.ts';

export interface Mount {
  /** Absolute. */
  readonly directory: string;
  /** The open /dev/fuse of this mount. The connection that serves it closes it. */
  readonly descriptor: number;
  /** The folders that were created for the mount: remove them after unmounting. */
  readonly folders: MadeFolders;
  /**
   * Unmounts, even with open files: every further call on those fails. (A mount by a user's fstab line lasts for open
   * files until this process ends.) Does nothing if the folder is unmounted already. Rejects with UNMOUNT_REFUSED.
   */
  unmount(): Promise<void>;
}

const FILESYSTEM_TYPE = 'fuse.kbus';

let mounts = 0;

/**
 * Mounts a folder whose files this process serves. Creates the folder if it doesn't exist, and replaces the stale
 * mount of a process that has exited.
 *
 * Every call on the folder's files waits until the descriptor is served. From here on this process must not access the
 * folder synchronously: it would wait for itself.
 */
export async function mount(
  folder: string,
  { fuse = '/dev/fuse' }: { fuse?: string } = {},
): Promise<Mount> {
  const directory = resolve(folder);
  for (const program of MOUNT_PROGRAMS) needProgram(directory, program);
  const folders = new MadeFolders();
  await clear(directory, folders);
  let source = `kbus:${process.pid}.${++mounts}`;
  let descriptor = -1;
  try {
    descriptor = openFuse(directory, fuse);
    await attach(directory, descriptor, source);
    // A user's mount has the source of its line in fstab.
    source = (await mountedOn(directory))?.source ?? source;
  } catch (error) {
    if (descriptor >= 0) closeSync(descriptor);
    folders.remove();
    throw error;
  }
  let watcher = watch(directory, source);
  // A blocked read in a thread keeps the process from exiting; the watcher's unmount ends that read.
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

/** Unmounts stale mounts at the folder, and creates it if it doesn't exist. */
async function clear(directory: string, folders: MadeFolders): Promise<void> {
  try {
    for (;;) {
      const mounted = await mountedOn(directory);
      if (mounted === null) break;
      if (!(await isDead(directory))) {
        throw new MountError(
          'IN_USE',
          `cannot mount ${directory}: another kbus serves it (${mounted.source}); stop that one, or choose another folder`,
        );
      }
      await end(directory, watch(directory, mounted.source));
    }
    folders.make(directory, { mode: 0o755 });
  } catch (error) {
    if (error instanceof MountError) throw error;
    throw new MountError(
      'BAD_FOLDER',
      `cannot mount ${directory}: ${(error as Error).message}; choose a folder that this user can create or enter`,
      error,
    );
  }
}

/** Whether the process that served a mount has exited. */
async function isDead(directory: string): Promise<boolean> {
  try {
    await stat(directory);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTCONN') return true;
    throw error;
  }
}

/** The topmost mount on a folder, if it is one of kbus; found without accessing the folder. */
async function mountedOn(directory: string): Promise<{ source: string } | null> {
  // "source folder type options 0 0"; a space in a field is written as \040.
  const lines = (await readFile('/proc/mounts', 'utf8')).trimEnd().split('\n');
  const on = lines
    .map((line) => line.split(' '))
    .filter(([, folder]) => folder?.replace(/\\(\d{3})/g, unescapeOctal) === directory)
    .at(-1);
  return on?.[0] !== undefined && on[2] === FILESYSTEM_TYPE ? { source: on[0] } : null;
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

/** Runs mount(8), which gets the descriptor as its own descriptor 3. Without root, it takes all options from fstab. */
async function attach(directory: string, descriptor: number, source: string): Promise<void> {
  const uid = process.geteuid!();
  const options = `fd=3,rootmode=40000,user_id=${uid},group_id=${process.getegid!()},allow_other,default_permissions,nosuid,nodev,noexec`;
  const words =
    uid === 0 ? ['-i', '-t', FILESYSTEM_TYPE, '-o', options, source, directory] : [directory];
  const child = spawn('mount', words, { stdio: ['ignore', 'ignore', 'pipe', descriptor] });
  const [said] = await Promise.all([text(child.stderr!), once(child, 'close')]);
  if (child.exitCode === 0) return;
  throw new MountError(
    'MOUNT_REFUSED',
    `cannot mount ${directory}: ${said.trim().split('\n')[0]!.replace(/\.$/, '')}; ${
      uid === 0
        ? 'mounting needs CAP_SYS_ADMIN: in a container, --cap-add SYS_ADMIN'
        : `run kbus as root, or in a user namespace (unshare -Urm), or add this line to /etc/fstab: kbus ${directory} ${FILESYSTEM_TYPE} user,noauto,${options} 0 0`
    }`,
  );
}

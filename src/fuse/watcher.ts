import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { MountError } from './mount-error.ts';

/**
 * Waits for a line or the end of its input: the process that mounted asks to unmount, or has ended, however it did.
 * Then unmounts $0, if its mount still is $1, not a successor's.
 */
const WATCH_SCRIPT = `
read -r _
while read -r source _; do
  if [ "$source" = "$1" ]; then
    umount -f -l "$0" 2>/dev/null || umount -l "$0"
    exit
  fi
done </proc/mounts
`;

/** Starts the watcher of a mount, in its own session: signals that end this process's session must not end it. */
export function watch(directory: string, source: string): ChildProcess {
  const watcher = spawn('sh', ['-c', WATCH_SCRIPT, directory, source], {
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  watcher.unref();
  (watcher.stderr as unknown as { unref(): void }).unref();
  watcher.stdin!.on('error', () => {});
  return watcher;
}

/** Makes the watcher unmount now, and waits for it. Rejects with UNMOUNT_REFUSED. */
export async function end(directory: string, watcher: ChildProcess): Promise<void> {
  watcher.ref();
  watcher.stdin!.end();
  const [said] = await Promise.all([text(watcher.stderr!), once(watcher, 'close')]);
  if (watcher.exitCode === 0) return;
  throw new MountError(
    'UNMOUNT_REFUSED',
    `cannot unmount ${directory}: ${said.trim().split('\n')[0] || `signal ${watcher.signalCode}`}; unmount it by hand: umount -f -l ${directory}`,
  );
}

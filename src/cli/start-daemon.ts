import { escaped } from '../base/escape.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { SocketInUseError } from '../daemon/socket-file.ts';
import { FolderError } from '../system/made-folders.ts';
import { SocketPathError } from '../system/socket-folder.ts';
import { WebError } from '../web/web-error.ts';
import { Exit, Failure } from './failure.ts';

/** Starts a daemon. Throws a Failure if another daemon serves in the folder, or for an error of the file system. */
export async function startDaemon(daemon: Daemon, directory: string): Promise<void> {
  try {
    await daemon.start();
  } catch (error) {
    throw startFailure(error, directory);
  }
}

function startFailure(error: unknown, directory: string): unknown {
  if (error instanceof WebError) {
    // Without a cause, the settings are wrong.
    return new Failure(error.cause ? Exit.REFUSED : Exit.USAGE, error.message, error);
  }
  if (error instanceof SocketInUseError) return new Failure(Exit.REFUSED, error.message, error);
  const isOfFiles = error instanceof FolderError || error instanceof SocketPathError;
  if (!(error instanceof Error) || !(isOfFiles || 'syscall' in error)) return error;
  return new Failure(
    Exit.REFUSED,
    `can't create sockets in ${directory}: ${escaped(error.message)}. Choose another folder with --directory or $KBUS_DIR.`,
    error,
  );
}

/** What stood in the way of mounting or unmounting; the message says what to do about it. */
export type MountFault =
  /** There is no /dev/fuse. */
  | 'NO_FUSE'
  /** This user may not open /dev/fuse. */
  | 'FUSE_REFUSED'
  /** A program that it takes (mount, umount, sh) is not in the PATH. */
  | 'NO_PROGRAM'
  /** Somebody serves this folder already. */
  | 'IN_USE'
  /** The folder can't be made or entered. */
  | 'BAD_FOLDER'
  /** mount(8) failed: no right to mount, as a rule. */
  | 'MOUNT_REFUSED'
  /** umount(8) failed. */
  | 'UNMOUNT_REFUSED';

export class MountError extends Error {
  override readonly name = 'MountError';
  readonly code: MountFault;

  constructor(code: MountFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

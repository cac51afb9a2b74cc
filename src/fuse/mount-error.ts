/** Why mounting or unmounting failed; the message says what to do. */
export type MountFault =
  /** /dev/fuse does not exist. */
  | 'NO_FUSE'
  /** This user may not open /dev/fuse. */
  | 'FUSE_REFUSED'
  /** A required program (mount, umount, sh) is not in the PATH. */
  | 'NO_PROGRAM'
  /** Another process serves this folder. */
  | 'IN_USE'
  /** The folder can't be created or entered. */
  | 'BAD_FOLDER'
  /** mount(8) failed: no permission to mount, as a rule. */
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

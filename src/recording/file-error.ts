/** A file can't be read or written. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly path: string;

  constructor(path: string, why: string, cause: unknown) {
    super(`${path}: ${why}`, { cause });
    this.path = path;
  }
}

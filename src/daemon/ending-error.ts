/** A connection must end, though its client has kept to the protocol: it is told the error number, and why. */
export class EndingError extends Error {
  override readonly name = 'EndingError';
  readonly errno: number;

  constructor(errno: number, why: string) {
    super(why);
    this.errno = errno;
  }
}

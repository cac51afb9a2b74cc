/**
 * The web can't be served as it was asked for; the message says what to do.
 *
 * @see {@link WebOptions} for an example
 */
export class WebError extends Error {
  override readonly name = 'WebError';
}

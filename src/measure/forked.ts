import process from 'node:process';

/**
 * For a program that is a {@link Child}: how it says something. Of what nobody catches it says that it `failed`, and
 * ends. It ends, too, when its parent does or closes the channel; by `end`, if it has something to do before that.
 */
export function forked<Said extends object>(
  failed: (error: unknown) => Said,
  end: () => void = () => process.exit(),
): (message: Said) => void {
  const fail = (error: unknown): void => {
    // Without a channel it ends already; what it worked with may have ended before it.
    if (process.connected) process.send?.(failed(error), () => process.exit(1));
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  process.on('disconnect', end);
  // Signals that all programs of a terminal get are the parent's to deal with.
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
  return (message) => void process.send?.(message);
}

/** What there is to say of an error, with the place where it arose. */
export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

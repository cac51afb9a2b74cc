import process from 'node:process';

/**
 * For a program that is a {@link Child}: gives the function that sends messages to the parent. An uncaught error becomes
 * a `failed` message, and the program exits. When the parent exits or closes the channel, `end` is called, which exits by
 * default.
 */
export function forked<Said extends object>(
  failed: (error: unknown) => Said,
  end: () => void = () => process.exit(),
): (message: Said) => void {
  const fail = (error: unknown): void => {
    // Without a channel the program is exiting, and its errors follow from that.
    if (process.connected) process.send?.(failed(error), () => process.exit(1));
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  process.on('disconnect', end);
  // A terminal sends these to all its programs: the parent handles them.
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
  return (message) => void process.send?.(message);
}

/** The text of an error, with its stack if it has one. */
export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

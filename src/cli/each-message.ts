import { counted } from '../base/units.ts';
import type { Ksock } from '../client/ksock.ts';
import type { Message } from '../message/message.ts';
import { Ending, ending } from './ending.ts';
import { Exit, Failure } from './failure.ts';

/**
 * Handles messages one at a time, until `count` were handled or the command ends; `handle` gives false for a message that
 * does not count. Without a count, Ctrl-C and the end of --for are regular ends; with one, they are an Ending and a
 * Failure, since messages are missing.
 */
export async function eachMessage(
  ksock: Ksock,
  count: number | undefined,
  handle: (message: Message) => Promise<void> | false | undefined,
): Promise<void> {
  const messages = ksock[Symbol.asyncIterator]();
  const waits = new Waits();
  let handled = 0;
  try {
    while (count === undefined || handled < count) {
      const next = await waits.untilEnded(messages.next());
      if (next.done) break;
      const handling = handle(next.value);
      if (handling === false) continue;
      handled++;
      await handling;
    }
  } catch (error) {
    if (!(error instanceof Ending)) throw error;
    if (count === undefined) return;
    if (error.by !== 'time') throw error;
    const came = `${handled} of ${counted(count, 'message')} came within the time of --for`;
    throw new Failure(Exit.REFUSED, came, error);
  } finally {
    waits.stop();
  }
}

/** Waits, one after the other, that end with the command. Millions of them share one listener. */
class Waits {
  private reject: (reason: unknown) => void = () => {};
  private readonly end = (): void => this.reject(ending.reason);

  constructor() {
    ending.addEventListener('abort', this.end, { once: true });
  }

  /** As the function of the same name. */
  untilEnded<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.reject = reject;
      if (ending.aborted) this.end();
      promise.then(resolve, reject);
    });
  }

  stop(): void {
    ending.removeEventListener('abort', this.end);
  }
}

import type { Ksock } from '../client/ksock.ts';
import type { Message } from '../message/message.ts';
import { Ending, untilEnded } from './ending.ts';

/**
 * Handles messages one at a time, until `count` were handled or the command ends. Without a count, Ctrl-C is the regular
 * end; with one, it is an Ending, since messages are missing.
 */
export async function eachMessage(
  ksock: Ksock,
  count: number | undefined,
  handle: (message: Message) => Promise<void>,
): Promise<void> {
  const messages = ksock[Symbol.asyncIterator]();
  try {
    for (let left = count ?? Number.POSITIVE_INFINITY; left > 0; left--) {
      const next = await untilEnded(messages.next());
      if (next.done) break;
      await handle(next.value);
    }
  } catch (error) {
    if (!(error instanceof Ending) || count !== undefined) throw error;
  }
}

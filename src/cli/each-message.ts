import type { Ksock } from '../client/ksock.ts';
import type { Message } from '../message/message.ts';
import { Ending, untilEnded } from './ending.ts';

/**
 * Deals with each message that comes, one after the other, until there were `count`, or the command is to end. Ctrl-C is
 * how one stops that, and no failure; but with a count, not all that was asked for has come.
 */
export async function eachMessage(
  ksock: Ksock,
  count: number | undefined,
  deal: (message: Message) => Promise<void>,
): Promise<void> {
  const messages = ksock[Symbol.asyncIterator]();
  try {
    for (let left = count ?? Number.POSITIVE_INFINITY; left > 0; left--) {
      const next = await untilEnded(messages.next());
      if (next.done) break;
      await deal(next.value);
    }
  } catch (error) {
    if (!(error instanceof Ending) || count !== undefined) throw error;
  }
}

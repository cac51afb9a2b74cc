import { Announcement, Ksock } from '../../client/browser.ts';
import { token } from './token.ts';

/** What came of a message that the user sent. */
export interface Outcome {
  readonly text: string;
  readonly isGood: boolean;
  /** The id of what was sent, to look it up; '' if it was refused. */
  readonly id: string;
  /** Data of the Reply. */
  readonly data: Uint8Array | null;
}

/** A Request waits so many milliseconds for its answer. */
const TIMEOUT_MS = 10_000;

/** Sends by a Ksock of its own, which lives for one message: the page must not be a program on the bus for longer. */
export async function send(
  bus: number,
  isRequest: boolean,
  name: string,
  data: string,
): Promise<Outcome> {
  const began = performance.now();
  let ksock: Ksock | null = null;
  try {
    ksock = await Ksock.open(bus, { token, name: 'inspector' });
    if (!isRequest) {
      const id = await ksock.sendMsg(new Announcement(name, data));
      return { text: `Sent as ${id}.`, isGood: true, id: String(id), data: null };
    }
    const reply = await ksock.request(name, data, { timeout: TIMEOUT_MS });
    const took = Math.round(performance.now() - began);
    const text = `Ksock ${reply.from} replied. All in all, with connecting, that took ${took} ms.`;
    return { text, isGood: true, id: String(reply.inReplyTo), data: reply.data };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { text, isGood: false, id: '', data: null };
  } finally {
    await ksock?.close();
  }
}

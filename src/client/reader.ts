import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Message } from '../message/message.ts';
import { explain } from './explain.ts';
import { closedError } from './ports/port.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';

/** Reads the messages of a Ksock, on whichever port it is connected by. */
export class Reader {
  private readonly reconnecting: ReconnectingPort;

  constructor(reconnecting: ReconnectingPort) {
    this.reconnecting = reconnecting;
  }

  /** The next message; null when there is none, or the signal ended the wait for it. */
  async take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    const { reconnecting } = this;
    for (;;) {
      const status = reconnecting.statuses.shift();
      if (status !== undefined) return status;
      try {
        const { port } = reconnecting;
        const message = await port.take(wait, signal);
        if (message !== null) reconnecting.mark(message, port);
        return message;
      } catch (refusal) {
        if (wait && (await reconnecting.restored(signal))) continue;
        if (wait && signal?.aborted) return null;
        const why = reconnecting.isClosed ? closedError() : refusal;
        throw explain('read', why, wait ? 'wait for a message' : 'read the next message');
      }
    }
  }

  /** The next message if it is at hand already. */
  tryNext(): Message | null {
    const { statuses, port } = this.reconnecting;
    if (statuses.length > 0) return statuses.shift() as Message;
    const message = port.tryNext();
    if (message !== null) this.reconnecting.mark(message, port);
    return message;
  }

  /** The same, shown by `borrowed`; false when there is none. */
  tryNextInto(borrowed: BorrowedMessage): boolean {
    const { statuses, port } = this.reconnecting;
    if (statuses.length > 0) {
      borrowed.showMessage(statuses.shift() as Message);
      return true;
    }
    if (!port.tryNextInto(borrowed)) return false;
    this.reconnecting.mark(borrowed, port);
    return true;
  }

  /** The next message for a reader of many, for as long as it is wanted. */
  async nextOfMany(isWanted: () => boolean): Promise<Message | null> {
    for (;;) {
      if (!isWanted()) return null;
      const message = this.tryNext();
      if (message !== null) return message;
      if (this.reconnecting.isClosed) return null;
      await this.unlessLost(this.reconnecting.port.readable());
    }
  }

  /**
   * Calls `came` when messages are at hand; resolves when the Ksock is closed, or they are not wanted any
   * more. Rejects when the bus has gone away.
   */
  async onReadable(came: () => void, isWanted: () => boolean): Promise<void> {
    for (;;) {
      came();
      if (!isWanted() || this.reconnecting.isClosed) return;
      await this.unlessLost(this.reconnecting.port.onReadable(came));
    }
  }

  /** Resolves when the wait has ended: by itself, with the Ksock, or because the connection was lost and is back. */
  private async unlessLost(wait: Promise<unknown>): Promise<void> {
    const { reconnecting } = this;
    try {
      await wait;
    } catch (refusal) {
      if (reconnecting.isClosed || (await reconnecting.restored(undefined))) return;
      if (reconnecting.isClosed) return;
      throw explain('read', refusal, 'wait for messages');
    }
  }

  /** Those who read many stop: what is at hand goes back to the queue. */
  stop(): Promise<void> {
    return this.reconnecting.port.stopReading();
  }
}

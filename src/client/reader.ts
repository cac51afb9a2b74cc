import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Message } from '../message/message.ts';
import { explain } from './explain.ts';
import { closedError } from './ports/port.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';

/** Reads the messages of a Ksock, over all its reconnections. */
export class Reader {
  private readonly reconnecting: ReconnectingPort;

  constructor(reconnecting: ReconnectingPort) {
    this.reconnecting = reconnecting;
  }

  /** The next message; null if the queue is empty, or the signal ended the wait. */
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

  /** The next message, if the client has it already. */
  tryNext(): Message | null {
    const { statuses, port } = this.reconnecting;
    if (statuses.length > 0) return statuses.shift() as Message;
    const message = port.tryNext();
    if (message !== null) this.reconnecting.mark(message, port);
    return message;
  }

  /** As `tryNext`, but lets `borrowed` show the message; false if there is none. */
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

  /** Waits for the next message; null when the Ksock is closed, or `isWanted` gives false. */
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
   * Calls `readable` when messages are available. Resolves when the Ksock is closed or `isWanted` gives false; rejects
   * when the connection is lost for good.
   */
  async onReadable(readable: () => void, isWanted: () => boolean): Promise<void> {
    for (;;) {
      readable();
      if (!isWanted() || this.reconnecting.isClosed) return;
      await this.unlessLost(this.reconnecting.port.onReadable(readable));
    }
  }

  /** Resolves when the wait ends, the Ksock is closed, or it has reconnected after a loss. */
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

  /** Ends reading many messages: returns prefetched ones to the queue. */
  stop(): Promise<void> {
    return this.reconnecting.port.stopReading();
  }
}

import { offAbort, onAbort } from '../../base/abort.ts';
import { Errno } from '../../message/errno.ts';
import { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';
import type { PendingSend } from './in-flight-sends.ts';
import type { PortError } from './port.ts';

/** What an AwaitedSend needs of its port. */
export interface AwaitedSendHost {
  /** The bus has sent the message, with this id. */
  sendDone(message: Message, id: MessageId): void;
  /** The error to reject the promise with. */
  refusal(errno: number): PortError;
}

/** A send with a promise for its outcome. */
export class AwaitedSend implements PendingSend {
  count = 1;
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  private readonly host: AwaitedSendHost;
  private readonly resolve: (id: MessageId) => void;
  private readonly reject: (reason: unknown) => void;
  private signal: AbortSignal | null = null;
  private cancel: (() => void) | null = null;

  constructor(
    host: AwaitedSendHost,
    message: Message,
    detail: number,
    token: number,
    resolve: (id: MessageId) => void,
    reject: (reason: unknown) => void,
  ) {
    this.host = host;
    this.message = message;
    this.detail = detail;
    this.token = token;
    this.resolve = resolve;
    this.reject = reject;
  }

  cancelBy(signal: AbortSignal, cancel: () => void): void {
    this.signal = signal;
    this.cancel = cancel;
    onAbort(signal, cancel);
  }

  done(network: number, serial: number): void {
    this.leaveSignal();
    const id = new MessageId(network, serial);
    this.host.sendDone(this.message, id);
    this.resolve(id);
  }

  failed(errno: number): void {
    this.leaveSignal();
    const { signal } = this;
    if (errno === Errno.ECANCELED && signal?.aborted) this.reject(signal.reason);
    else this.reject(this.host.refusal(errno));
  }

  private leaveSignal(): void {
    if (this.signal !== null) offAbort(this.signal, this.cancel as () => void);
  }
}

import { offAbort, onAbort } from '../../base/abort.ts';
import { rejection } from '../../base/rejection.ts';
import { Errno } from '../../message/errno.ts';
import { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';
import type { PendingSend } from './in-flight-sends.ts';
import type { Explain, PortError } from './port.ts';

/** What an AwaitedSend needs of its port. */
export interface AwaitedSendHost {
  /** The bus has sent the message, with this id. */
  sendDone(message: Message, id: MessageId): void;
  /** Why the bus has refused the message. */
  refusal(errno: number): PortError;
}

/** A send with a promise for its outcome. */
export class AwaitedSend implements PendingSend {
  count = 1;
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  private readonly host: AwaitedSendHost;
  private readonly resolve: (id: MessageId | Promise<never>) => void;
  private readonly explain: Explain;
  private signal: AbortSignal | null = null;
  private cancel: (() => void) | null = null;

  constructor(
    host: AwaitedSendHost,
    message: Message,
    detail: number,
    token: number,
    resolve: (id: MessageId | Promise<never>) => void,
    explain: Explain,
  ) {
    this.host = host;
    this.message = message;
    this.detail = detail;
    this.token = token;
    this.resolve = resolve;
    this.explain = explain;
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
    const { signal, message } = this;
    if (errno === Errno.ECANCELED && signal?.aborted) {
      this.resolve(Promise.reject(signal.reason));
      return;
    }
    const refusal = this.host.refusal(errno);
    this.resolve(rejection(() => this.explain(refusal, message)));
  }

  private leaveSignal(): void {
    if (this.signal !== null) offAbort(this.signal, this.cancel as () => void);
  }
}

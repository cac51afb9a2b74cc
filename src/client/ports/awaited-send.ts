import { offAbort, onAbort } from '../../base/abort.ts';
import { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';
import type { PendingSend } from './in-flight-sends.ts';
import { type Explain, type PortError, refusedSend } from './port.ts';

/** What AwaitedSend needs of the sends of its port. */
export interface AwaitedSendHost {
  /** The bus has given a Request this id. */
  requestSent(id: MessageId): void;
  /** What the refusal of this errno says. */
  refusal(errno: number): PortError;
  /** The program wants to cancel the send: it fails with ECANCELED, unless it is done before. */
  cancelSend(send: PendingSend): void;
}

/** A send with a promise of its own, which a signal may cancel. */
export class AwaitedSend implements PendingSend {
  readonly message: Message;
  readonly detail: number;
  readonly token: number;
  count = 1;
  private readonly host: AwaitedSendHost;
  private readonly explain: Explain;
  private readonly resolve: (id: MessageId | Promise<never>) => void;
  private signal: AbortSignal | undefined;
  private cancel: (() => void) | null = null;

  constructor(
    host: AwaitedSendHost,
    message: Message,
    detail: number,
    token: number,
    explain: Explain,
    resolve: (id: MessageId | Promise<never>) => void,
  ) {
    this.host = host;
    this.message = message;
    this.detail = detail;
    this.token = token;
    this.explain = explain;
    this.resolve = resolve;
  }

  cancelOn(signal: AbortSignal): void {
    this.signal = signal;
    this.cancel = () => this.host.cancelSend(this);
    onAbort(signal, this.cancel);
  }

  done(network: number, serial: number): void {
    this.end();
    const id = new MessageId(network, serial);
    if (this.message.isRequest()) this.host.requestSent(id);
    this.resolve(id);
  }

  failed(errno: number): void {
    this.end();
    const { message, signal, explain } = this;
    this.resolve(refusedSend(errno, this.host.refusal(errno), message, explain, signal));
  }

  private end(): void {
    if (this.cancel !== null) offAbort(this.signal, this.cancel);
  }
}

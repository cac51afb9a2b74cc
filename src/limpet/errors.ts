import type { Message } from '../message/message.ts';

/** The Limpet must stop: it can't reach the other one, or it has read its termination message. */
export class GiveUp extends Error {
  override readonly name = 'GiveUp';
}

/** The other Limpet has closed its end of the link. */
export class OtherLimpetGoneAway extends Error {
  override readonly name = 'OtherLimpetGoneAway';
}

/** There is no message: the one that was given is not to be sent. */
export class NoMessage extends Error {
  override readonly name: string = 'NoMessage';
}

/** What came over the link is no message. */
export class BadMessage extends Error {
  override readonly name: string = 'BadMessage';
}

/** The bus has refused a message of the other Limpet: `error` is the answer to send back. */
export class ErrorMessage extends NoMessage {
  override readonly name = 'ErrorMessage';
  readonly error: Message;

  constructor(error: Message) {
    super(`answer the other Limpet with '${error.name}'`);
    this.error = error;
  }
}

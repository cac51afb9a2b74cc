import type { Message } from '../message/message.ts';

/**
 * The Limpet must stop: it can't reach the other one, or it has read its termination message.
 *
 * @see {@link LimpetKsock} for an example
 */
export class GiveUp extends Error {
  override readonly name = 'GiveUp';
}

/**
 * The other Limpet has closed its end of the link.
 *
 * @see {@link decodeClassic} for an example
 */
export class OtherLimpetGoneAway extends Error {
  override readonly name = 'OtherLimpetGoneAway';
}

/**
 * There is no message: the one that was given is not to be sent.
 *
 * @see {@link ErrorMessage} for an example
 */
export class NoMessage extends Error {
  override readonly name: string = 'NoMessage';
}

/**
 * What came over the link is no message.
 *
 * @see {@link decodeClassic} for an example
 */
export class BadMessage extends Error {
  override readonly name: string = 'BadMessage';
}

/**
 * The bus has refused a message of the other Limpet: `error` is the answer to send back.
 *
 * @example
 * ```ts
 * import { Bus, Flag, MessageId, Request } from 'kbus';
 * import { ErrorMessage, LimpetKsock, NoMessage } from 'kbus/limpet';
 *
 * const limpet = await LimpetKsock.open(new Bus(), 1, 2);
 * try {
 *   const id = new MessageId(2, 9);
 *   await limpet.sendMsg(new Request('$.Nobody', null, { id, flags: Flag.WANT_YOU_TO_REPLY }));
 * } catch (error) {
 *   if (error instanceof ErrorMessage) console.log(error.error.name);
 *   // → $.KBUS.RemoteError.EADDRNOTAVAIL
 *   else if (error instanceof NoMessage) console.error('nothing to do');
 * }
 * await limpet.close();
 * ```
 */
export class ErrorMessage extends NoMessage {
  override readonly name = 'ErrorMessage';
  readonly error: Message;

  constructor(error: Message) {
    super(`answer the other Limpet with '${error.name}'`);
    this.error = error;
  }
}

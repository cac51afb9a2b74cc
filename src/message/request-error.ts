import { brand } from '../base/other-copy.ts';
import { KbusError } from './error.ts';
import type { Message } from './message.ts';

const STATUS_MEANING: Readonly<Record<string, string>> = {
  '$.KBUS.Replier.GoneAway':
    'the Replier went away before it read the Request, as far as KBUS knows',
  '$.KBUS.Replier.Ignored': 'the Replier read the Request, and went away without answering it',
  '$.KBUS.Replier.Unbound': 'the Replier unbound from the name before it read the Request',
  '$.KBUS.Replier.Disappeared': 'the Replier went away while the Request was waiting to be sent',
  '$.KBUS.ErrorSending': 'the Request was waiting to be sent, and can never be',
  '$.KBUS.Bus.GoneAway': 'the bus went away before the Request was answered',
};

/**
 * KBUS answered a Request with a Status, in place of a Reply.
 *
 * @example
 * ```ts
 * import { Bus, Ksock, StatusError } from 'kbus';
 *
 * const bus = new Bus();
 * const [panel, heater] = [await Ksock.open(bus), await Ksock.open(bus)];
 * await heater.bind('$.Heater.Set', true);
 * const answer = panel.request('$.Heater.Set', '21').catch((reason: unknown) => reason);
 * await heater.waitForMsg();
 * await heater.close();
 * const error = await answer;
 * if (error instanceof StatusError) console.log(error.status.name); // → $.KBUS.Replier.Ignored
 * await panel.close();
 * ```
 */
export class StatusError extends KbusError {
  override readonly name = 'StatusError';
  readonly status: Message;

  constructor(asked: string, status: Message) {
    super('request', 0, asked, {
      code: 'STATUS',
      meaning: `${STATUS_MEANING[status.name] ?? 'KBUS answered in place of the Replier'} (${status.name})`,
    });
    this.status = status;
  }
}

/** The message of an error shows at most this many characters of a Replier's text. */
const MAX_SHOWN_CHARACTERS = 4096;

/**
 * The name of the Reply that `replier()` sends when its handler throws.
 *
 * @see {@link ReplierError} for an example
 */
export const REPLIER_ERROR = '$.KBUS.Replier.Error';

/**
 * A Replier's handler threw: the data of `reply` has the text of its error.
 *
 * @example
 * ```ts
 * import { Bus, Ksock, REPLIER_ERROR, ReplierError } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus(), { onHandlerError: () => {} });
 * await ksock.replier('$.Heater.Set', () => {
 *   throw new Error('the boiler is off');
 * });
 * const error = await ksock.request('$.Heater.Set', '21').catch((reason: unknown) => reason);
 * if (error instanceof ReplierError) {
 *   console.log(error.reply.text()); // → the boiler is off
 *   console.log(error.reply.name === REPLIER_ERROR); // → true
 * }
 * await ksock.close();
 * ```
 */
export class ReplierError extends KbusError {
  override readonly name = 'ReplierError';
  readonly reply: Message;

  constructor(asked: string, reply: Message) {
    const text = reply.text();
    const isLong = text.length > MAX_SHOWN_CHARACTERS;
    const shown = isLong
      ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}… (${text.length} characters)`
      : text;
    super('request', 0, asked, {
      code: 'STATUS',
      meaning: `the Replier failed to answer: ${shown}`,
    });
    this.reply = reply;
  }
}

brand(StatusError, 'StatusError');
brand(ReplierError, 'ReplierError');

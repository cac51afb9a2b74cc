import { escaped } from '../../base/escape.ts';
import { Errno } from '../../message/errno.ts';
import { MessageId } from '../../message/id.ts';
import { Message } from '../../message/message.ts';
import { type FrameView, textOf, wordOf } from '../../wire/frame.ts';
import { PortError, portErrorFor } from './port.ts';

// The content of a REFUSED, of a call and of a send; and of a FAREWELL.

/** The client prints at most this many characters of a reason. */
const MAX_WHY_CHARACTERS = 1000;

export const errnoOf = (frame: FrameView): number => wordOf(frame, 0);

/** The reason why a call was refused, safe to print on a terminal; '' if the frame has none. */
export function whyCallRefused(frame: FrameView): string {
  return shown(textOf(frame, 3));
}

/** The reason why a send was refused, likewise. */
export function whySendRefused(frame: FrameView): string {
  return shown(textOf(frame, 9).slice(wordOf(frame, 8)));
}

/** Why the daemon ends the connection. Who has ended the Ksock is all that there is to know about a kick. */
export function farewellOf(frame: FrameView): PortError {
  const errno = errnoOf(frame);
  const why = shown(textOf(frame, 1));
  return errno === Errno.ECONNABORTED ? portErrorFor(errno, why) : new PortError(errno, why);
}

/** The id that the message has used; it may be unset. */
export function idOfRefused(frame: FrameView): MessageId {
  return new MessageId(wordOf(frame, 1), wordOf(frame, 2));
}

/** The refused message, without its data. */
export function refusedMessage(frame: FrameView): Message {
  const name = textOf(frame, 9).slice(0, wordOf(frame, 8));
  const inReplyTo = new MessageId(wordOf(frame, 3), wordOf(frame, 4));
  const to = wordOf(frame, 5);
  return new Message(name, null, {
    id: idOfRefused(frame),
    inReplyTo,
    to,
    flags: wordOf(frame, 6),
  });
}

/** The length of the refused message's data. */
export const bytesOfRefused = (frame: FrameView): number => wordOf(frame, 7);

/** The reason of a FAREWELL, likewise. */
export function whyEnded(frame: FrameView): string {
  return shown(textOf(frame, 1));
}

function shown(text: string): string {
  return escaped(text.slice(0, MAX_WHY_CHARACTERS));
}

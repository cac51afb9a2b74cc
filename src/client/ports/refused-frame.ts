import { escaped } from '../../base/escape.ts';
import { MessageId } from '../../message/id.ts';
import { Message } from '../../message/message.ts';
import { type FrameView, textOf, wordOf } from '../../wire/frame.ts';

// What a REFUSED says: of a call, and of a send.

/** So many characters of why something was refused are shown. */
const MAX_WHY_CHARACTERS = 1000;

export const errnoOf = (frame: FrameView): number => wordOf(frame, 0);

/** Why a call was refused, as a terminal may show it; '' when the daemon doesn't say. */
export function whyCallRefused(frame: FrameView): string {
  return shown(textOf(frame, 3));
}

/** The same for a send. */
export function whySendRefused(frame: FrameView): string {
  return shown(textOf(frame, 9).slice(wordOf(frame, 8)));
}

/** The id that the message had used; perhaps unset. */
export function idOfRefused(frame: FrameView): MessageId {
  return new MessageId(wordOf(frame, 1), wordOf(frame, 2));
}

/** The message that was refused: all but its data. */
export function refusedMessage(frame: FrameView): Message {
  const name = textOf(frame, 9).slice(0, wordOf(frame, 8));
  const inReplyTo = new MessageId(wordOf(frame, 3), wordOf(frame, 4));
  const to = wordOf(frame, 5);
  return new Message(name, null, { inReplyTo, to, flags: wordOf(frame, 6) });
}

/** The length of its data. */
export const bytesOfRefused = (frame: FrameView): number => wordOf(frame, 7);

function shown(text: string): string {
  return escaped(text.slice(0, MAX_WHY_CHARACTERS));
}

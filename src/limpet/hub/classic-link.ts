import type { Message } from '../../message/message.ts';
import type { ClassicProvider } from './repliers.ts';

/** The end of a classic link, as the hub sees it: see {@link ClassicPort}. */
export interface ClassicLink extends ClassicProvider {
  /** Passes on an Announcement, or a listener's copy of a Request. */
  pass(message: Message): void;
  /** Tells the classic Limpet whether a name has a Replier on this side, if that is news. */
  provided(name: string): void;
  /** Asks the classic Limpet; `network` and `serial` are the id of the Request on this bus. */
  ask(message: Message, network: number, serial: number): void;
  /** A Reply of this bus: true if it answers a Request of the classic Limpet. */
  replied(reply: Message): boolean;
}

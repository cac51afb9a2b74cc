import { OrigFrom } from '../../message/id.ts';
import { Message } from '../../message/message.ts';
import { MISSED } from './names.ts';

/** The Announcement that so many messages of a bus are lost: `origin` is the network id of its Limpet. */
export function missedMessage(count: number, origin: number): Message {
  return new Message(MISSED, String(count), { origFrom: new OrigFrom(origin, 0) });
}

/** How many messages are lost if this one is: one that tells of others stands for all of them. */
export function weightOf(message: Message): number {
  if (message.name !== MISSED) return 1;
  const text = message.text();
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : 1;
}

/** What the listeners of this bus miss, by the network id of where it comes from, until they have been told (spec 3 §7.5). */
export class Losses {
  private readonly untold = new Map<number, number>();
  private readonly send: (message: Message, refused: () => void) => void;

  /** `send` sends a message on the bus, and calls back if the bus refuses it. */
  constructor(send: (message: Message, refused: () => void) => void) {
    this.send = send;
  }

  add(count: number, origin: number): void {
    this.untold.set(origin, (this.untold.get(origin) ?? 0) + count);
  }

  /** Before the next message of this origin: the listeners hear of what they miss in its place. */
  tell(origin: number): void {
    const count = this.untold.get(origin);
    if (count === undefined) return;
    this.untold.delete(origin);
    this.send(missedMessage(count, origin), () => this.add(count, origin));
  }

  tellAll(): void {
    for (const origin of [...this.untold.keys()]) this.tell(origin);
  }
}

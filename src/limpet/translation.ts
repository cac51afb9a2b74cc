import { type ReplierBindEventData, splitReplierBindEventData } from '../message/bind-event.ts';
import { Flag } from '../message/flags.ts';
import { MessageId, OrigFrom } from '../message/id.ts';
import { Message, REPLIER_BIND_EVENT } from '../message/message.ts';
import { checkBindingName, checkMessageName } from '../message/name.ts';

/** The names that the module can carry (spec 1 §2.1): words of letters and digits, and a wildcard at the end only. */
const CLASSIC_NAME = /^\$(?:\.[A-Za-z0-9]+)*(?:\.[*%])?$/;

export function fitsClassic(name: string): boolean {
  return CLASSIC_NAME.test(name);
}

/** Whether the name is one of those that a bus makes itself, and that no Limpet takes from a program. */
export function isKbusName(name: string): boolean {
  return name === REPLIER_BIND_EVENT || name.startsWith('$.KBUS.Limpet.');
}

/** What the event of a bus says; null for a forgery, or for data that is no event (spec 3 §8). */
export function bindEventOf(message: Message): ReplierBindEventData | null {
  const isOfKbus = (message.flags & Flag.SYNTHETIC) !== 0 && message.from === 0;
  if (!isOfKbus || message.name !== REPLIER_BIND_EVENT || message.isReply()) return null;
  try {
    const event = splitReplierBindEventData(message.data);
    return checkBindingName(event.name) === 0 ? event : null;
  } catch {
    return null;
  }
}

/** A Request that waits for the answer of the other Limpet: who asked here. */
export interface RememberedRequest {
  readonly from: number;
  readonly to: number;
}

/** What a Limpet does with a message of the other Limpet (spec 3 §3). */
export type Step =
  | { readonly do: 'bind' | 'unbind'; readonly name: string }
  | { readonly do: 'send'; readonly message: Message }
  | { readonly do: 'answer'; readonly message: Message }
  | { readonly do: 'ignore' };

/** What a translation asks of its bus. */
export interface BusView {
  /** The id of the Limpet's Ksock. */
  readonly ksockId: number;
  /** The Ksock that a Request of this name goes to; 0 if there is none. */
  replierOf(name: string): Promise<number>;
}

const IGNORE: Step = { do: 'ignore' };

/** One classic Limpet between its bus and one other Limpet (spec 3 §2, spec 3 §3): what it does with each message. */
export class Translation {
  private readonly ours: number;
  private readonly theirs: number;
  private readonly remembered = new Map<string, RememberedRequest>();
  /** The Requests of the other Limpet that this bus is to answer. */
  private readonly asked = new Set<string>();

  /** The network ids of this Limpet and of the other one. */
  constructor(ours: number, theirs: number) {
    this.ours = ours;
    this.theirs = theirs;
  }

  /** From the bus to the other Limpet (spec 3 §2): the message to pass on, or null to ignore it. */
  fromBus(message: Message, ksockId: number): Message | null {
    if (message.name === REPLIER_BIND_EVENT) {
      const event = bindEventOf(message);
      if (event === null || event.binder === ksockId) return null;
    }
    if (message.wantsUsToReply()) {
      const { from, to } = message;
      this.remembered.set(String(message.id), { from, to });
    }
    const isAnswer = message.isReply() && this.asked.delete(String(message.inReplyTo));
    if (message.id.networkId === this.theirs && !isAnswer) return null;
    return this.passed(message);
  }

  private passed(message: Message): Message {
    const { id, origFrom, from } = message;
    const passed = Message.fromMessage(message);
    if (id.networkId === 0) passed.id = new MessageId(this.ours, id.serialNum);
    if (origFrom.networkId === 0) passed.origFrom = new OrigFrom(this.ours, from);
    return passed;
  }

  /** From the other Limpet to the bus (spec 3 §3). */
  async toBus(message: Message, bus: BusView): Promise<Step> {
    if (message.name === REPLIER_BIND_EVENT) {
      const event = bindEventOf(message);
      if (event === null) return IGNORE;
      return { do: event.isBind ? 'bind' : 'unbind', name: event.name };
    }
    if (message.isReply()) return this.replyToBus(message);
    if (!message.isRequest()) return { do: 'send', message: unmarked(message) };
    // A listener's copy: a Request here would be one to answer, and nobody waits for that answer.
    if (!message.wantsUsToReply()) {
      const heard = unmarked(message);
      heard.flags &= ~Flag.WANT_A_REPLY;
      return { do: 'send', message: heard };
    }
    const request = unmarked(message);
    if (message.to !== 0) {
      const { networkId, localId } = message.finalTo;
      const replier = await bus.replierOf(message.name);
      const isHere = networkId === this.ours;
      if (replier === 0) return this.refusal(message, '$.KBUS.Replier.GoneAway');
      if (isHere && replier !== localId) {
        return this.refusal(message, '$.KBUS.Replier.NotSameKsock');
      }
      request.to = isHere ? localId : replier;
      if (isHere) request.finalTo = new OrigFrom(0, localId);
    }
    this.asked.add(String(message.id));
    return { do: 'send', message: request };
  }

  private replyToBus(message: Message): Step {
    const { networkId, serialNum } = message.inReplyTo;
    const inReplyTo = new MessageId(networkId === this.ours ? 0 : networkId, serialNum);
    const request = this.remembered.get(String(inReplyTo));
    if (request === undefined) return IGNORE;
    this.remembered.delete(String(inReplyTo));
    const isFit = checkMessageName(message.name) === 0;
    const name = isFit ? message.name : '$.KBUS.RemoteError.EBADMSG';
    const { origFrom, data, flags } = unmarked(message);
    const options = { inReplyTo, to: request.from, origFrom, flags };
    return { do: 'send', message: new Message(name, data, options) };
  }

  /** The bus has refused a Request: the answer for the other Limpet; null for what is no Request (spec 3 §3.5). */
  notSent(message: Message, code: string): Message | null {
    if (!this.asked.delete(String(message.id)) || !message.wantsUsToReply()) return null;
    if (message.to !== 0 && code === 'EPIPE') {
      return this.answer(message, '$.KBUS.Replier.NotSameKsock');
    }
    if (message.to !== 0 && code === 'EADDRNOTAVAIL') {
      return this.answer(message, '$.KBUS.Replier.GoneAway');
    }
    return this.answer(message, `$.KBUS.RemoteError.${code}`);
  }

  private refusal(message: Message, name: string): Step {
    return { do: 'answer', message: this.answer(message, name) };
  }

  private answer({ id, from: to }: Message, name: string): Message {
    const origFrom = new OrigFrom(this.ours, 0);
    const flags = Flag.SYNTHETIC;
    return new Message(name, null, {
      id: new MessageId(this.ours, 0),
      inReplyTo: id,
      to,
      origFrom,
      flags,
    });
  }
}

/** Without the flags that only a bus sets, and without waiting for room. */
function unmarked(message: Message): Message {
  const made = Message.fromMessage(message);
  const { WANT_YOU_TO_REPLY, SYNTHETIC, ALL_OR_WAIT } = Flag;
  made.flags = (message.flags & ~(WANT_YOU_TO_REPLY | SYNTHETIC | ALL_OR_WAIT)) >>> 0;
  return made;
}

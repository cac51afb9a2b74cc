import { replierBindEventData } from '../../message/bind-event.ts';
import { codeOf } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import { MessageId, OrigFrom } from '../../message/id.ts';
import { Message, REPLIER_BIND_EVENT } from '../../message/message.ts';
import { checkMessageName } from '../../message/name.ts';
import { bindEventOf, fitsClassic, isKbusName } from '../translation.ts';
import type { ClassicLink } from './classic-link.ts';
import type { Hub } from './hub.ts';
import { GONE_AWAY, LINK_LOST, MISSED, NOT_SAME_KSOCK, REMOTE_ERROR } from './names.ts';
import { Filter } from './patterns.ts';
import type { RecentIds } from './recent-ids.ts';

/** A Request of this bus that a classic Limpet gets answered. */
interface Remembered {
  readonly network: number;
  readonly serial: number;
  readonly from: number;
}

export interface ClassicPortHost {
  /** Sends a message to the classic Limpet. */
  write(message: Message): void;
  warn(text: string): void;
  /** Sends a Request on the bus for the classic Limpet. */
  send(message: Message, refused: (errno: number) => void): void;
}

/**
 * The hub's end of a classic link (spec 3 §5): it does for its partner what a classic Limpet would do (spec 3 §2, spec 3 §3),
 * without the weaknesses of spec 3 §8.
 */
export class ClassicPort implements ClassicLink {
  readonly classic = true;
  /** The network id of the classic Limpet. */
  readonly partner: number;
  private readonly hub: Hub;
  private readonly host: ClassicPortHost;
  private readonly out: Filter;
  private readonly in: Filter;
  private readonly seen: RecentIds;
  /** The names that the partner was told of. */
  private readonly told = new Set<string>();
  private readonly remembered = new Map<string, Remembered>();
  /** The Requests of the partner on this bus. */
  private readonly asked = new Set<string>();
  /** Messages that the partner could not have carried: their names have `_`, `-`, or a `%` that is not at the end. */
  unfit = 0;
  /** Messages that came back: dropped. */
  cycled = 0;
  sent = 0;
  received = 0;
  private hasWarned = false;

  constructor(
    partner: number,
    hub: Hub,
    seen: RecentIds,
    filters: { readonly out: readonly string[]; readonly in: readonly string[] },
    host: ClassicPortHost,
  ) {
    this.partner = partner;
    this.hub = hub;
    this.seen = seen;
    this.out = new Filter(filters.out);
    this.in = new Filter(filters.in);
    this.host = host;
  }

  // To the partner

  /** Passes on an Announcement, or a listener's copy of a Request. */
  pass(message: Message): void {
    const { idNetwork, name } = message.head;
    if (idNetwork === this.partner) return;
    if (isMissed(message) || (!isKbusName(name) && this.out.passes(name))) this.write(message);
  }

  private write(message: Message): boolean {
    if (!fitsClassic(message.name)) {
      this.unfit++;
      return false;
    }
    this.sent++;
    this.host.write(message);
    return true;
  }

  /** Tells the partner whether this Limpet gets Requests of a name answered, if that is news. */
  provided(name: string): void {
    const isProvided = this.hub.repliers.isProvidedTo(this, name);
    if (isProvided === this.told.has(name) || !fitsClassic(name)) return;
    if (isProvided) this.told.add(name);
    else this.told.delete(name);
    const data = replierBindEventData({ isBind: isProvided, binder: this.hub.ksock, name });
    const flags = Flag.SYNTHETIC | Flag.ALL_OR_FAIL;
    const id = new MessageId(this.hub.address.id, 0);
    this.host.write(new Message(REPLIER_BIND_EVENT, data, { id, flags }));
  }

  /** Asks the partner; `message` has the id that it has on other buses, `network` and `serial` are those of this bus. */
  ask(message: Message, network: number, serial: number): void {
    const { id, from } = message;
    const request = { network, serial, from };
    const asking = Message.fromMessage(message);
    asking.flags = (message.flags | Flag.WANT_YOU_TO_REPLY) >>> 0;
    this.remembered.set(String(id), request);
    if (this.write(asking)) return;
    this.remembered.delete(String(id));
    this.hub.answerBus(network, serial, from, `${REMOTE_ERROR}EBADMSG`);
  }

  /** A Reply of this bus: true if it answers a Request of the partner. */
  replied(reply: Message): boolean {
    const { inReplyTo } = reply;
    if (reply.to !== this.hub.ksock || !this.asked.delete(String(inReplyTo))) return false;
    const { origFrom, id } = reply;
    const { address } = this.hub;
    const passed = Message.fromMessage(reply);
    if (id.networkId === 0) passed.id = new MessageId(address.id, id.serialNum);
    if (origFrom.networkId === 0) passed.origFrom = new OrigFrom(address.id, reply.from);
    this.write(passed);
    return true;
  }

  // From the partner

  arrived(message: Message): void {
    this.received++;
    if (message.name === REPLIER_BIND_EVENT) {
      const event = bindEventOf(message);
      if (event?.isBind) this.hub.repliers.classicBound(this, event.name);
      else if (event !== null) this.hub.repliers.classicUnbound(this, event.name);
    } else if (message.isReply()) {
      this.answered(message);
    } else if (checkMessageName(message.name) !== 0) {
      this.refuse(message, 'EBADMSG');
    } else if (!this.isNew(message)) {
      this.cycled++;
    } else if (!isMissed(message) && !this.in.passes(message.name)) {
      this.refuse(message, 'EADDRNOTAVAIL');
    } else if (message.wantsUsToReply()) {
      this.carryOut(message);
    } else {
      this.hub.arrivedByClassic(withoutKbusFlags(message), this);
    }
    this.hub.flush();
  }

  /** False for a message that has been here: a cycle of links (spec 3 §7.1). */
  private isNew({ id, name }: Message): boolean {
    const { networkId, serialNum } = id;
    if (networkId === 0) return true;
    const isOurs = this.hub.isNative(networkId);
    if (!isOurs && this.seen.add(networkId, serialNum)) return true;
    if (!this.hasWarned) {
      this.host.warn(
        `'${name}' ${id} came back over the classic link to Limpet ${this.partner}: links form a cycle, in which classic Limpets can't be told apart; remove one of them`,
      );
    }
    this.hasWarned = true;
    return false;
  }

  private answered(message: Message): void {
    const { networkId, serialNum } = message.inReplyTo;
    const key = String(new MessageId(networkId === 0 ? this.hub.address.id : networkId, serialNum));
    const request = this.remembered.get(key);
    if (request === undefined) return;
    this.remembered.delete(key);
    const { network, serial, from } = request;
    // The C Limpet answers what it could not send with a name that no bus accepts.
    const isFit = checkMessageName(message.name) === 0;
    const name = isFit ? message.name : `${REMOTE_ERROR}EBADMSG`;
    this.hub.answerBus(network, serial, from, name, isFit ? message : undefined);
  }

  private carryOut(message: Message): void {
    const { hub } = this;
    const { finalTo } = message;
    const request = withoutKbusFlags(message);
    if (message.to !== 0) {
      const isHere = finalTo.networkId === hub.address.id;
      const to = isHere ? finalTo.localId : hub.repliers.binderOf(message.name) || hub.ksock;
      request.to = to;
      if (isHere) request.finalTo = new OrigFrom(0, finalTo.localId);
    }
    const key = String(request.id);
    this.asked.add(key);
    hub.requests.askForClassic(request);
    this.host.send(request, (errno) => {
      hub.requests.classicRefused(request);
      if (!this.asked.delete(key)) return;
      this.refuse(message, codeOf(errno) ?? 'EINVAL', message.to !== 0);
    });
  }

  /** Answers a Request of the partner that this bus does not carry out. */
  private refuse(message: Message, code: string, isStateful = false): void {
    if (!message.wantsUsToReply()) return;
    let name = `${REMOTE_ERROR}${code}`;
    if (isStateful && code === 'EPIPE') name = NOT_SAME_KSOCK;
    if (isStateful && code === 'EADDRNOTAVAIL') name = GONE_AWAY;
    const { id, from: to } = message;
    const { address } = this.hub;
    const origFrom = new OrigFrom(address.id, 0);
    const flags = Flag.SYNTHETIC;
    this.write(
      new Message(name, null, {
        id: new MessageId(address.id, 0),
        inReplyTo: id,
        to,
        flags,
        origFrom,
      }),
    );
  }

  /** The link is lost: nobody answers these Requests any more. */
  lost(): void {
    for (const { network, serial, from } of this.remembered.values()) {
      this.hub.answerBus(network, serial, from, LINK_LOST);
    }
    this.remembered.clear();
    this.asked.clear();
    this.hub.removeClassic(this);
  }
}

function withoutKbusFlags(message: Message): Message {
  const { WANT_YOU_TO_REPLY, SYNTHETIC, ALL_OR_WAIT } = Flag;
  const made = Message.fromMessage(message);
  made.flags = (message.flags & ~(WANT_YOU_TO_REPLY | SYNTHETIC | ALL_OR_WAIT)) >>> 0;
  return made;
}

/** Tells of messages that are lost: no filter keeps that back (spec 3 §7.6). */
function isMissed(message: Message): boolean {
  return message.name === MISSED && !message.isRequest();
}

import { nearest } from '../base/nearest.ts';
import { Op, type OpCode } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { Flag } from '../message/flags.ts';
import { isWildcard } from '../message/name.ts';
import type { Access, Right } from './access.ts';
import type { Engine } from './engine.ts';
import { whoIs } from './identity.ts';
import { type KsockBinding, type KsockState, ksockOf } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import { MAX_SAME_IDS, MAX_SAME_LISTENERS } from './settings.ts';

/** How many of the newest bindings are searched for a name that may have been meant, and how many are compared. */
const MAX_SEARCHED_BINDINGS = 256;
const MAX_COMPARED_NAMES = 32;
/** Longer names, in characters, take too long to compare. */
const MAX_COMPARED_LENGTH = 48;
/** How many characters of a name a reason quotes. */
const MAX_QUOTED_LENGTH = 120;
/** How many wildcards of an access point a reason names. */
const MAX_TOLD_WILDCARDS = 4;

/**
 * Why the bus refused a message: one sentence with the values that stood in the way, or '' when the error number says
 * all. It looks at the bus as it is now, so call it right after the refusal. It takes some ten microseconds, so call it
 * only for somebody who will read it.
 */
export function whyRefused(
  bus: Engine,
  sender: KsockState,
  batch: MessageBatch,
  errno: number,
): string {
  switch (errno) {
    case Errno.ENOLCK:
      return whyNoPlace(bus, sender, batch);
    case Errno.EMSGSIZE:
      return whyTooLarge(bus, sender, batch);
    case Errno.EADDRNOTAVAIL:
      return batch.isReply
        ? `Ksock ${batch.to}, which the Reply is for, is not open on bus ${bus.number} any more`
        : whyNobody(bus, sender, batch.name);
    case Errno.EPIPE: {
      const { replier } = bus.routes.find(batch.name);
      if (replier === null) return '';
      return `Ksock ${batch.to}, which the Request is for, is not the Replier of ${told(batch.name)} on bus ${bus.number}: ${whoIs(replier.ksock)} is`;
    }
    case Errno.ECONNREFUSED:
      return whyNotWanted(bus, sender, batch);
    case Errno.EBUSY:
      return followed(
        whyFull(bus, sender, batch),
        'try again when it has read, or wait with ALL_OR_WAIT',
      );
    case Errno.EAGAIN:
      return followed(
        whyFull(bus, sender, batch),
        'the message waits: send() again, wait until it is sent, or discard() it',
      );
    case Errno.ENOMEM:
      return whyNoMemory(bus, sender);
    case Errno.EACCES:
      return sender.access === null ? '' : whyMayNotSend(sender.access, batch);
    default:
      return '';
  }
}

function whyNoPlace(bus: Engine, sender: KsockState, batch: MessageBatch): string {
  if (sender.isFull) {
    return `your queue on bus ${bus.number} is full: ${filling(bus, sender)}; read, or raise the limit with setMaxMessages()`;
  }
  const { idNetwork, idSerial } = batch;
  return `${MAX_SAME_IDS} Requests of this Ksock with the id [${idNetwork}:${idSerial}] are unanswered, and there can't be more`;
}

/** The same for a call, with its argument and text. */
export function whyCallRefused(
  bus: Engine,
  ksock: KsockState,
  op: OpCode,
  argument: number,
  text: string,
  errno: number,
): string {
  if (errno === Errno.EACCES && ksock.access !== null) {
    return whyMayNotCall(ksock.access, op, argument !== 0, text);
  }
  if (op === Op.KICK) {
    if (errno === Errno.EINVAL) return 'it is the id of this Ksock itself, which close() ends';
    return `Ksock ${argument} is not open on bus ${bus.number}; \`kbus stats\` shows those that are`;
  }
  return op === Op.BIND || op === Op.UNBIND ? whyNotBound(bus, ksock, text, errno) : '';
}

function whyMayNotSend(access: Access, batch: MessageBatch): string {
  const { rules } = access;
  const names = access.has('write') ? [...(rules.send ?? [])] : [];
  if (batch.isReply && access.has('reply')) names.push(...(rules.reply ?? []));
  if (names.length === 0 && !access.has('write')) return lacks(access, 'write');
  return onlyAmong(access, 'send', names, batch.name);
}

function whyMayNotCall(access: Access, op: OpCode, replier: boolean, name: string): string {
  switch (op) {
    case Op.BIND: {
      const right = replier ? 'reply' : 'read';
      if (!access.has(right)) return lacks(access, right);
      const { listen = [], reply = [] } = access.rules;
      const does = replier ? 'reply for' : 'listen to';
      return onlyAmong(access, does, replier ? reply : listen, name);
    }
    case Op.BINDINGS:
    case Op.STATS:
    case Op.FIND_REPLIER:
      return lacks(access, 'observe');
    default:
      return lacks(access, 'manage');
  }
}

const ADVICE = '`kbus access` shows who may do what';

/** Says who withholds a right, and what to do. */
export function lacks(access: Access, right: Right): string {
  const what = right === 'read' ? ', which listening needs' : '';
  return `${access.giverWithout(right)} does not give the right '${right}'${what}; ${ADVICE}`;
}

function onlyAmong(
  { giver }: Access,
  does: string,
  names: readonly string[],
  name: string,
): string {
  const some = names.slice(0, MAX_TOLD_WILDCARDS).map(told);
  if (names.length > some.length) some.push('others');
  const only = some.length === 0 ? 'no name' : `only ${some.join(', ')}`;
  return `${giver} gives the right to ${does} ${only}, which does not cover ${told(name)}; ${ADVICE}`;
}

/** Why a bind or unbind was refused. */
function whyNotBound(bus: Engine, ksock: KsockState, name: string, errno: number): string {
  switch (errno) {
    case Errno.EADDRINUSE: {
      const replier = bus.routes.replierOf(name);
      if (replier === null) return '';
      const who = replier.ksock === ksock ? 'this Ksock itself' : whoIs(replier.ksock);
      return `${who} replies to ${told(name)} on bus ${bus.number} already, and a name can have only one Replier`;
    }
    case Errno.EAGAIN: {
      const { listeners } = bus.routes.find('$.KBUS.ReplierBindEvent');
      const full = listeners.find((listener) => listener.ksock.isFull);
      if (full === undefined) return '';
      return `Replier binds are being reported, and ${queueOf(bus, full)}; try again when it has read`;
    }
    case Errno.ENOLCK:
      return whyNoMoreBindings(bus, ksock, name);
    case Errno.ENOMEM:
      if (bus.bindings.count < bus.settings.maxBindings) return whyNoMemory(bus, ksock);
      return `bus ${bus.number} has all the ${bus.settings.maxBindings} bindings that it may have (max-bindings); unbind some`;
    default:
      return '';
  }
}

function whyNoMoreBindings(bus: Engine, ksock: KsockState, name: string): string {
  const { bindings, wildcards } = ksock;
  const { maxBindingsPerKsock } = bus.settings;
  if (bindings >= maxBindingsPerKsock) {
    return `this Ksock has ${bindings} bindings, of ${maxBindingsPerKsock} that it may have (max-bindings-per-ksock); unbind some`;
  }
  if (isWildcard(name) && !bus.bindings.mayHaveWildcard(ksock)) {
    return `this Ksock listens or replies to ${wildcards} wildcards, as many as bus ${bus.number} has left; bind names, or fewer wildcards`;
  }
  return `this Ksock listens to ${told(name)} ${MAX_SAME_LISTENERS} times, and can't more often: it would get as many copies of each message`;
}

function whyTooLarge(bus: Engine, sender: KsockState, batch: MessageBatch): string {
  const { to, replyNetwork, replySerial } = batch;
  const { absoluteMaxMessageSize: absolute } = bus.settings;
  const kind = batch.isReply ? 'Reply' : 'message';
  const most = batch.isReply
    ? bus.admission.maxReplySize(sender, to, replyNetwork, replySerial)
    : bus.largestMessage;
  const says = `the ${kind} has ${batch.firstSize} bytes, and bus ${bus.number} takes ${most} at most`;
  return most < absolute
    ? `${says}; setMaxMessageSize() raises that, up to ${absolute}`
    : `${says} (absolute-max-message-size)`;
}

function whyNobody(bus: Engine, sender: KsockState, name: string): string {
  const says = `nobody replies to ${told(name)} on bus ${bus.number}`;
  const meant = nearestReplier(bus, sender.access, name);
  return meant === undefined ? says : `${says}; did you mean '${meant}'?`;
}

/** The name of a Replier that was probably meant; only one that the sender may know. */
function nearestReplier(bus: Engine, access: Access | null, name: string): string | undefined {
  if (name.length > MAX_COMPARED_LENGTH) return undefined;
  const candidates: string[] = [];
  let looked = 0;
  for (const binding of bus.routes) {
    if (++looked > MAX_SEARCHED_BINDINGS || candidates.length === MAX_COMPARED_NAMES) break;
    const { name: bound, replier } = binding;
    if (!replier || isWildcard(bound) || Math.abs(bound.length - name.length) > 2) continue;
    if (access !== null && !access.maySend(bound, false)) continue;
    // '$.Sensor.2' is no misspelt '$.Sensor.1'.
    if (withoutNumbers(bound) !== withoutNumbers(name)) candidates.push(bound);
  }
  return nearest(name, candidates);
}

function withoutNumbers(name: string): string {
  return name.replace(/\d+/g, '0');
}

function whyNotWanted(bus: Engine, sender: KsockState, batch: MessageBatch): string {
  const { to, replyNetwork, replySerial } = batch;
  const request = `Request [${replyNetwork}:${replySerial}]`;
  const asked = bus.ksocks.get(to)?.outstanding.replierOf(replyNetwork, replySerial) ?? null;
  if (asked !== null && asked !== sender) {
    return `${request} of Ksock ${to} was given to ${whoIs(ksockOf(asked))}, so Ksock ${sender.id} can't answer it`;
  }
  return `Ksock ${to} does not wait for a Reply to ${request}: it has had one, has given up, or never sent it`;
}

/** Describes the full queue that stands in the way: the Replier's, or that of the first full listener. */
function whyFull(bus: Engine, sender: KsockState, batch: MessageBatch): string {
  const { size } = batch;
  const { replier, listeners } = bus.routes.find(batch.name);
  if ((batch.flags & Flag.WANT_A_REPLY) !== 0 && replier !== null) {
    const { ksock } = replier;
    const { maxUnansweredPerKsock } = bus.settings;
    if (!ksock.takes(size)) return queueOf(bus, replier);
    if (ksock.numUnrepliedTo >= maxUnansweredPerKsock) {
      return `${whoIs(ksock)}, which replies to ${told(replier.name)}, has ${ksock.numUnrepliedTo} Requests to answer, of ${maxUnansweredPerKsock} that it may have (max-unanswered-per-ksock)`;
    }
  }
  const full = listeners.find(
    ({ ksock }) => !ksock.takes(size) && (ksock !== sender || ksock.hearsOwn),
  );
  return full === undefined ? '' : queueOf(bus, full);
}

function queueOf(bus: Engine, { ksock, name, replier }: KsockBinding): string {
  const does = replier ? 'replies' : 'listens';
  return `the queue of ${whoIs(ksock)}, which ${does} to ${told(name)}, is full: ${filling(bus, ksock)}`;
}

/** `7 unread and 93 unanswered of 100`. */
function filling(bus: Engine, ksock: KsockState): string {
  const { occupied, limit, numMessages, queue } = ksock;
  if (occupied >= limit) {
    return `${numMessages} unread and ${occupied - numMessages} unanswered of ${limit}`;
  }
  const { maxQueuedBytesPerKsock } = bus.settings;
  if (queue.weight >= maxQueuedBytesPerKsock) {
    return `${numMessages} unread, with ${queue.weight} bytes of ${maxQueuedBytesPerKsock} (max-queued-bytes-per-ksock)`;
  }
  return `${numMessages} unread; ${holding(bus, ksock)}`;
}

/** A Ksock may hold as much memory as is still free, and its access point twice as much. */
function holding(bus: Engine, { held, share }: KsockState): string {
  const { limit, room } = bus.memory;
  const all = held > room ? '' : `, all Ksocks of its access point ${share.held}`;
  return `it holds ${held} bytes of memory${all}, and ${Math.max(0, room)} of ${limit} are free (max-memory)`;
}

function whyNoMemory(bus: Engine, ksock: KsockState): string {
  const { memory } = bus;
  const most = memory.mostGreedy;
  const says = `${memory.says}, this Ksock ${ksock.held}`;
  if (most === null || most === ksock) return says;
  const unread = most.id === 0 ? 'events' : `${most.numMessages} messages`;
  return `${says}; ${whoIs(most)} holds the most: ${most.held}, with ${unread} unread`;
}

function followed(says: string, advice: string): string {
  return says === '' ? '' : `${says}; ${advice}`;
}

/** A name in quotes; a very long one is cut. */
function told(name: string): string {
  return name.length <= MAX_QUOTED_LENGTH ? `'${name}'` : `'${name.slice(0, MAX_QUOTED_LENGTH)}…'`;
}

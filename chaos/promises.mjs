// Checks the promises of KBUS from outside, by the journals of all programs on one bus (journal.ts), without any
// knowledge of the engine.

/**
 * @import { Answered, Asked, Binding, Ended, Entry, Journal, Note, Read } from './journal.ts'
 */

/**
 * @typedef {object} MessageLike
 * @property {object} id
 * @property {object} inReplyTo
 * @property {string} name
 * @property {number} flags
 * @property {number} to
 * @property {number} from
 * @property {Uint8Array} data
 * @property {() => boolean} isRequest
 * @property {() => boolean} isReply
 * @property {() => boolean} isSynthetic
 *
 * @typedef {object} Fate  the outcome of a send
 * @property {Witness} by
 * @property {number} asked
 * @property {number | null} done
 * @property {string | null} code     the error, if refused
 * @property {string | null} id
 * @property {boolean | undefined} blind
 * @property {Entry<Answered>[]} answers
 *
 * @typedef {Omit<Asked, 'e' | 'id'> & Fate} Send
 *
 * @typedef {object} Witness  a journal, sorted by kind of entry
 * @property {string} name
 * @property {number} id
 * @property {Map<number, Send>} sends  by their numbers
 * @property {Entry<Read>[]} reads
 * @property {Entry<Binding>[]} binds
 * @property {Set<string>} unbound
 * @property {boolean} once
 * @property {boolean} again
 * @property {boolean} loose
 * @property {number} unlimited  the time from which its queue has no limit
 * @property {boolean} limited
 * @property {number} endAsked
 * @property {Entry<Ended> | null} end
 */

const URGENT = 1 << 3;
const YOU = 1 << 1;
const ALL_OR = (1 << 8) | (1 << 9);

const REPLIER_ERROR = '$.KBUS.Replier.Error';

/** After these errors it is unknown whether the message was sent. */
const UNKNOWN = new Set(['ECONNRESET', 'EBADF', 'EPROTO', 'ETIMEDOUT', 'abort']);

const decoder = new TextDecoder();

/** A journal's note of a message. @param {MessageLike} message @returns {Note} */
export function noteOf(message) {
  const { id, inReplyTo, name, flags, to, from, data } = message;
  const kind = message.isReply()
    ? message.isSynthetic()
      ? 'S'
      : 'R'
    : message.isRequest()
      ? 'Q'
      : message.isSynthetic()
        ? 'E'
        : 'A';
  const [tag = '', second = ''] = decoder.decode(data.subarray(0, 60)).split(' ');
  const meant = second.startsWith('to:') ? { meant: second.slice(3) } : {};
  const size = data.length;
  return { id: `${id}`, re: `${inReplyTo}`, name, kind, flags, to, from, tag, size, ...meant };
}

/** Whether a binding name matches the name of a message. @param {string} bindingName @param {string} name */
export function covers(bindingName, name) {
  const [wanted, words] = [bindingName.split('.'), name.split('.')];
  const isAnyDepth = wanted.at(-1) === '*';
  if (isAnyDepth) wanted.pop();
  if (isAnyDepth ? words.length <= wanted.length : words.length !== wanted.length) return false;
  return wanted.every((word, at) => word === '%' || word === words[at]);
}

/**
 * Checks the journals of all programs on one bus; returns a line for each broken promise.
 *
 * @param {readonly Journal[]} journals
 * @param {{ everyQueueMayBeFull?: boolean }} [bus]  it has so little memory that a queue without a limit may be full
 */
export function brokenPromises(journals, { everyQueueMayBeFull = false } = {}) {
  /** @type {string[]} */
  const broken = [];
  const ksocks = journals.map(ksockOf);
  const sends = new Map(
    ksocks.flatMap((k) =>
      [...k.sends.values()].map((send) => /** @type {const} */ ([send.tag, send])),
    ),
  );
  whatCameWasSent(ksocks, sends, broken);
  oneAnswerEach(ksocks, broken);
  statusesFitTheirCause(ksocks, broken);
  oneOrderForAll(ksocks, broken);
  nothingMissedThatMustNotBe(ksocks, sends, everyQueueMayBeFull, broken);
  return broken;
}

/** @param {Journal} journal */
function ksockOf({ name, entries }) {
  /** @type {Witness} */
  const k = {
    name,
    id: 0,
    sends: new Map(),
    reads: [],
    binds: [],
    unbound: new Set(),
    once: false,
    again: false,
    loose: false,
    unlimited: Number.POSITIVE_INFINITY,
    limited: false,
    endAsked: Number.POSITIVE_INFINITY,
    end: null,
  };
  for (const entry of entries) {
    const { t, e } = entry;
    if (e === 'open') k.id = entry.id;
    else if (e === 'once') k.once = true;
    else if (e === 'again') k.again = true;
    else if (e === 'loose') k.loose = true;
    else if (e === 'limit' && entry.count >= 0x7fffffff) k.unlimited = t;
    else if (e === 'limit') k.limited = true;
    else if (e === 'end?') k.endAsked = t;
    else if (e === 'end') k.end = entry;
    else if (e === 'read') k.reads.push(entry);
    else if (e === 'bind!') k.binds.push(entry);
    // Unread messages of the binding leave the queue.
    else if (e === 'unbind?') k.unbound.add(entry.name);
    else if (e === 'send?') {
      k.sends.set(entry.n, {
        ...entry,
        tag: `${name}.${entry.n}`,
        by: k,
        asked: t,
        done: null,
        code: null,
        id: null,
        blind: undefined,
        answers: [],
      });
    } else if (e === 'send!') {
      Object.assign(sendOf(k, entry.n), { done: t, id: entry.id, blind: entry.blind });
    } else if (e === 'send-') {
      sendOf(k, entry.n).code = entry.code;
    } else if (e === 'answer') {
      sendOf(k, entry.n).answers.push(entry);
    }
  }
  return k;
}

/** @param {Witness} k @param {number} n */
function sendOf(k, n) {
  const send = k.sends.get(n);
  if (send === undefined)
    throw new Error(`${k.name} has an outcome of its message ${n}, which it did not send`);
  return send;
}

const describe = (
  /** @type {Omit<Note, 'id'> & { id: string | null }} */ { kind, name, id, tag },
) => `${kind} ${id} '${name}' ${tag}`;

/** A message is read unchanged, with its true sender, and not at all if its send was refused.
 * @param {Witness[]} ksocks @param {Map<string, Send>} sends @param {string[]} broken */
function whatCameWasSent(ksocks, sends, broken) {
  for (const k of ksocks) {
    const answers = [...k.sends.values()].flatMap(({ answers }) => answers);
    for (const read of [...k.reads, ...answers]) {
      // Created by KBUS, or by a handler that failed: it has no tag.
      if (read.kind === 'S' || read.kind === 'E' || read.name === REPLIER_ERROR) continue;
      const send = sends.get(read.tag);
      if (send === undefined) {
        broken.push(`${k.name} read a message that no program sent: ${describe(read)}`);
        continue;
      }
      const { by } = send;
      const wrong =
        send.name !== read.name ||
        send.kind !== read.kind ||
        send.size !== read.size ||
        (by.id !== 0 && by.id !== read.from) ||
        (send.id !== null && send.id !== read.id);
      if (wrong)
        broken.push(`${k.name} read ${describe(read)}, which was sent as ${describe(send)}`);
      if (send.code !== null && !UNKNOWN.has(send.code) && send.code !== 'EAGAIN') {
        broken.push(`${k.name} read ${describe(read)}, whose send was refused: ${send.code}`);
      }
      if (read.t < send.asked) broken.push(`${describe(read)} was read before it was sent`);
    }
  }
}

/** Promise 1: every accepted Request gets exactly one Reply or Status.
 * @param {Witness[]} ksocks @param {string[]} broken */
function oneAnswerEach(ksocks, broken) {
  // The bindings of a reconnected Ksock are not in its journal: it may answer any Request.
  const repliers = ksocks.filter(({ again, binds }) => again || binds.some((b) => b.replier));
  for (const k of ksocks) {
    // No answer is due once all possible Repliers have ended.
    const isLast = repliers.every(({ end }) => end !== null && end.t < k.endAsked);
    /** @type {Map<string, Entry<Read>[]>} */
    const byId = new Map();
    for (const read of k.reads) {
      if ((read.kind !== 'S' && read.kind !== 'R') || read.to !== k.id) continue;
      byId.set(read.re, [...(byId.get(read.re) ?? []), read]);
    }
    for (const send of k.sends.values()) {
      if (send.kind !== 'Q') continue;
      const queued = send.id === null ? [] : (byId.get(send.id) ?? []);
      const answers = send.awaited ? send.answers : queued;
      // A requester that also listens to the Reply's name reads a copy for each binding.
      const distinct = new Set(answers.map(({ id, kind }) => (kind === 'S' ? `S${id}` : id)));
      const statuses = answers.filter(({ kind }) => kind === 'S');
      for (const answer of answers) {
        if ((answer.meant ?? send.tag) === send.tag) continue;
        broken.push(`${describe(send)} got the answer to ${answer.meant}: ${describe(answer)}`);
      }
      if (distinct.size > 1 || statuses.length > 1) {
        broken.push(`${describe(send)} got ${answers.length} answers: ${answers.map(describe)}`);
      }
      const isOwed = send.awaited ? send.code === null : send.done !== null && !k.loose;
      const stayed = isLast && k.end?.drained === true && send.asked < k.endAsked;
      if (isOwed && stayed && answers.length === 0) {
        broken.push(`${describe(send)} of ${k.name} got no answer`);
      }
    }
  }
}

/** Each Status agrees with the Replier's journal. @param {Witness[]} ksocks @param {string[]} broken */
function statusesFitTheirCause(ksocks, broken) {
  /** @type {Map<string, { k: Witness, read: Entry<Read> }>} */
  const readBy = new Map();
  for (const k of ksocks) {
    for (const read of k.reads) {
      if (read.kind !== 'Q' || (read.flags & YOU) === 0) continue;
      const before = readBy.get(read.id);
      // After a restart of the daemon, the same ids may be used again.
      if (before !== undefined && !k.again) {
        broken.push(`${describe(read)} was read by two Repliers: ${before.k.name} and ${k.name}`);
      }
      readBy.set(read.id, { k, read });
    }
  }
  for (const k of ksocks) {
    for (const send of k.sends.values()) {
      if (send.kind !== 'Q') continue;
      const answers = send.awaited
        ? send.answers
        : k.reads.filter(({ re, kind }) => kind === 'S' && re === send.id);
      for (const status of answers) {
        if (status.kind !== 'S') continue;
        const replier = ksocks.find(({ id, again }) => id === status.from && !again);
        if (replier === undefined || replier.loose || status.from === 0) continue;
        const read = readBy.get(status.re);
        const wasClosed = replier.end?.why === 'closed';
        const mismatch =
          (status.name.endsWith('.Ignored') && wasClosed && read === undefined) ||
          (status.name.endsWith('.GoneAway') && wasClosed && read !== undefined) ||
          (status.name.endsWith('.Unbound') && read !== undefined);
        if (mismatch) {
          const how = read === undefined ? 'had not read' : 'had read';
          broken.push(`${describe(send)} got ${status.name}, but ${replier.name} ${how} it`);
        }
      }
    }
  }
}

/** Promise 2: all recipients see messages that are not urgent in one order, which agrees with each sender's order.
 * @param {Witness[]} ksocks @param {string[]} broken */
function oneOrderForAll(ksocks, broken) {
  /** @type {Map<string, Set<string>>} */
  const after = new Map();
  const mustPrecede = (/** @type {string} */ first, /** @type {string} */ then) => {
    if (first === then) return;
    const others = after.get(first);
    if (others === undefined) after.set(first, new Set([then]));
    else others.add(then);
  };
  for (const k of ksocks) {
    /** @type {string | null} */
    let last = null;
    for (const { id, flags } of k.reads) {
      if ((flags & URGENT) !== 0 || id === '[0:0]') continue;
      if (last !== null) mustPrecede(last, id);
      last = id;
    }
    last = null;
    for (const { id, done, flags } of k.sends.values()) {
      if (done === null || id === null || (flags & URGENT) !== 0) continue;
      if (last !== null) mustPrecede(last, id);
      last = id;
    }
  }
  /** @type {Map<string, 'on the way' | 'done'>} */
  const state = new Map();
  for (const [start, then] of after) {
    if (state.has(start)) continue;
    // Depth first, without recursion: a message that is reached from itself has two orders.
    /** @type {[id: string, next: string[]][]} */
    const way = [[start, [...then]]];
    state.set(start, 'on the way');
    for (let last = way.at(-1); last !== undefined; last = way.at(-1)) {
      const [id, next] = last;
      const one = next.pop();
      if (one === undefined) {
        state.set(id, 'done');
        way.pop();
      } else if (state.get(one) === 'on the way') {
        const from = way.findIndex(([passed]) => passed === one);
        const cycle = [...way.slice(from).map(([passed]) => passed), one];
        broken.push(`not one order for all: ${cycle.join(' before ')}`);
        return;
      } else if (!state.has(one)) {
        state.set(one, 'on the way');
        way.push([one, [...(after.get(one) ?? [])]]);
      }
    }
  }
}

/**
 * Promise 3: a Listener misses no message that was sent ALL_OR_WAIT or ALL_OR_FAIL, and none at all if its queue has
 * no limit.
 *
 * @param {Witness[]} ksocks @param {Map<string, Send>} sends @param {boolean} everyQueueMayBeFull @param {string[]} broken
 */
function nothingMissedThatMustNotBe(ksocks, sends, everyQueueMayBeFull, broken) {
  for (const k of ksocks) {
    if (k.end?.drained !== true || k.again || k.loose) continue;
    // With messages once only, the answer to a request() may be the Listener's only copy, and that is not read.
    const answers = [...k.sends.values()].flatMap((send) => send.answers);
    const got = new Set([...k.reads, ...answers].map(({ tag }) => tag));
    for (const send of sends.values()) {
      if (send.done === null || got.has(send.tag)) continue;
      const nothingLost = !everyQueueMayBeFull && !k.limited && k.unlimited < send.asked;
      if ((send.flags & ALL_OR) === 0 && !nothingLost) continue;
      // An Announcement is never given up.
      if (send.blind && send.kind !== 'A') continue;
      // The only copy of a Reply may be the answer to a request() that was given up.
      if (k.once && send.kind === 'R') continue;
      // The only copy may belong to a binding that was removed.
      if ([...k.unbound].some((name) => covers(name, send.name))) continue;
      const bound = k.binds.find(
        ({ name, replier, t }) => !replier && covers(name, send.name) && t < send.asked,
      );
      if (bound === undefined || send.done > k.endAsked) continue;
      broken.push(`${k.name} listens to '${bound.name}' and missed ${describe(send)}`);
    }
  }
}

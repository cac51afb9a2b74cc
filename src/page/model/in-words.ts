import { duration } from '../../base/units.ts';
import { MEANING } from '../../message/all-meanings.ts';
import { codeOf } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import { answerTime, type Entry } from './history.ts';
import type { Programs } from './programs.ts';

/** A field of a header: what it is called, what it says, and what that means. */
export interface FieldInWords {
  readonly field: string;
  readonly value: string;
  readonly meaning: string;
}

const FLAGS: readonly (readonly [bit: number, name: string, meaning: string])[] = [
  [Flag.WANT_A_REPLY, 'WANT_A_REPLY', 'it is a Request: exactly one Reply or Status answers it'],
  [Flag.WANT_YOU_TO_REPLY, 'WANT_YOU_TO_REPLY', 'its reader must answer it'],
  [Flag.SYNTHETIC, 'SYNTHETIC', 'KBUS made it'],
  [Flag.URGENT, 'URGENT', 'it goes to the front of queues'],
  [Flag.ALL_OR_WAIT, 'ALL_OR_WAIT', 'it waits until all queues have room'],
  [Flag.ALL_OR_FAIL, 'ALL_OR_FAIL', 'if one queue is full, nobody gets it'],
];

/** The header of a message, field by field. */
export function headerInWords({ message }: Entry, programs: Programs): FieldInWords[] {
  const { finalTo, flags, from, id, inReplyTo, name, origFrom, to, wholeLength } = message;
  const set = FLAGS.filter(([bit]) => (flags & bit) !== 0);
  const fields: FieldInWords[] = [
    { field: 'id', value: String(id), meaning: idMeaning(id.networkId, id.isSet) },
    { field: 'name', value: name, meaning: 'by which listeners and Repliers get it' },
    { field: 'from', value: String(from), meaning: programs.whoIs(from) },
  ];
  if (to !== 0) {
    const meaning = message.isReply()
      ? `goes to ${programs.whoIs(to)}, which asked`
      : `must be answered by ${programs.whoIs(to)} (stateful Request)`;
    fields.push({ field: 'to', value: String(to), meaning });
  }
  if (inReplyTo.isSet) {
    fields.push({
      field: 'in_reply_to',
      value: String(inReplyTo),
      meaning: 'the Request that it answers',
    });
  }
  if (origFrom.isSet) {
    const meaning = 'who sent it first: network, and Ksock there. It came by a Limpet';
    fields.push({ field: 'orig_from', value: String(origFrom), meaning });
  }
  if (finalTo.isSet) {
    const meaning = 'to whom it goes in the end: network, and Ksock there';
    fields.push({ field: 'final_to', value: String(finalTo), meaning });
  }
  fields.push({
    field: 'flags',
    value: set.length === 0 ? '0' : set.map(([, flag]) => flag).join(' '),
    meaning: set.map(([, , meaning]) => meaning).join('; '),
  });
  const cut =
    wholeLength > message.dataLength ? `; the page has the first ${message.dataLength}` : '';
  fields.push({ field: 'data_len', value: String(wholeLength), meaning: `bytes of data${cut}` });
  return fields;
}

function idMeaning(network: number, isSet: boolean): string {
  if (!isSet) return 'none: it was never sent';
  return network === 0 ? 'network 0 is this bus' : `it came from network ${network}, by a Limpet`;
}

/** What became of a message, in sentences. */
export function fateInWords(entry: Entry, programs: Programs): string[] {
  const { copies, errno, givenUpAt, kind, missed, state, time } = entry;
  const since = (at: number): string => duration(Math.max(0, at - time) / 1000);
  const lines: string[] = [];
  if (state === 'refused') {
    const code = codeOf(errno);
    const meaning = code === undefined ? '' : (MEANING.send[code] ?? '');
    lines.push(`KBUS refused it with ${code ?? errno}${meaning === '' ? '' : `: ${meaning}`}.`);
  }
  if (state === 'waiting') lines.push('It waits for room in a queue.');
  if (state === 'discarded') lines.push('Its sender discarded it while it waited.');
  for (const { binding, isReplier, ksock, queuedAt, readAt } of copies) {
    const verb = isReplier ? 'replies' : 'listens';
    const why = binding === '' ? '' : `, which ${verb} to ${binding}`;
    const read = readAt < 0 ? 'not read yet' : `read after ${duration((readAt - queuedAt) / 1000)}`;
    lines.push(`Queued for ${programs.whoIs(ksock)}${why}: ${read}.`);
  }
  for (const ksock of missed) lines.push(`Missed by ${programs.whoIs(ksock)}: its queue was full.`);
  if (state === 'sent' && copies.length === 0 && missed.length === 0) {
    lines.push('Nobody got it: nobody listens to its name.');
  }
  if (kind === 'Request') {
    const took = answerTime(entry);
    if (took !== null) {
      const { answer } = entry;
      const what =
        answer === null
          ? 'Answered'
          : `${answer.kind} ${answer.name} by ${programs.whoIs(answer.from)}`;
      lines.push(`${what} after ${duration(took)}.`);
    } else if (givenUpAt >= 0) {
      lines.push(`Its requester gave it up after ${since(givenUpAt)}.`);
    } else if (state === 'sent') {
      lines.push('Not answered yet.');
    }
  } else if (entry.request !== null) {
    lines.push(`It answers a Request, after ${duration(answerTime(entry) ?? 0)}.`);
  }
  return lines;
}

import { escaped } from '../base/escape.ts';
import { bytes, count, duration } from '../base/units.ts';
import { MEANING } from '../message/all-meanings.ts';
import { codeOf } from '../message/errno.ts';
import type { Copy, Journey } from './journeys.ts';

/** A line, with those that follow from it. */
interface Branch {
  readonly text: string;
  readonly below: Branch[];
}

/** How a tree is shown. */
export interface TreeOptions {
  /** The time of day of a journey's begin, such as `12:00:01.123456`. */
  readonly timeOf: (journey: Journey) => string;
  /** The time of the tap, for what is not finished; in microseconds. */
  readonly now: number;
  /** What became of it on other buses, through Limpets. */
  readonly onward?: (journey: Journey) => readonly Onward[];
}

/** A message on the bus that a Limpet has carried it to. */
export interface Onward {
  readonly limpet: number;
  readonly journey: Journey;
  /** About how long it took to get there, in microseconds. */
  readonly after: number;
  readonly now: number;
}

/** What became of a message, as a tree of lines. Times are those since it was sent. */
export function treeOf(journey: Journey, options: TreeOptions): string[] {
  return linesOf(branchOf(journey, options, `${options.timeOf(journey)} `));
}

function linesOf({ text, below }: Branch, first = '', others = ''): string[] {
  const lines = [first + text];
  for (const [at, branch] of below.entries()) {
    const isLast = at === below.length - 1;
    lines.push(
      ...linesOf(
        branch,
        `${others}${isLast ? '└─ ' : '├─ '}`,
        `${others}${isLast ? '   ' : '│  '}`,
      ),
    );
  }
  return lines;
}

function branchOf(journey: Journey, options: TreeOptions, prefix = ''): Branch {
  const { id, kind, name, size, who } = journey;
  const data = size === 0 ? '' : `, ${bytes(size)}`;
  return {
    text: `${prefix}${id} ${kind} ${escaped(name)} from ${who}${data}`,
    below: [...stepsOf(journey, options), ...onwardOf(journey, options)],
  };
}

function stepsOf(journey: Journey, options: TreeOptions): Branch[] {
  const { answer, at, copies, cut, missed, sent, waitedAt } = journey;
  const after = (time: number): string => duration((time - at) / 1000);
  const steps: Branch[] = [];
  const add = (text: string, below: Branch[] = []): void => void steps.push({ text, below });
  if (waitedAt !== null) add(waitText(journey, options.now));
  if (sent?.how === 'refused') add(refusalText(sent.errno));
  if (sent?.how === 'discarded')
    add(`discarded by its sender after ${after(sent.at)}: nobody got it`);
  if (sent?.how === 'left') add(`dropped after ${after(sent.at)}: its sender left while it waited`);
  for (const copy of copies) {
    const isAsked = copy.isReplier && journey.kind === 'Request';
    const below = [{ text: endOf(copy, options.now), below: [] }];
    if (isAsked && answer === null && journey.givenUp === null && copy.end?.how === 'read') {
      below.push({ text: `not answered yet, after ${after(options.now)}`, below: [] });
    }
    add(copyText(copy), below);
  }
  for (const who of missed) add(`missed by ${who}: its queue was full`);
  if (answer !== null) {
    const { reply, status, who } = answer;
    const told =
      status === ''
        ? `answered by ${who} after ${after(answer.at)}: Reply ${answer.id}`
        : `ended by KBUS after ${after(answer.at)}: ${escaped(status)}${REASONS[status] === undefined ? '' : `, ${REASONS[status]}`}`;
    const size = reply === null || reply.size === 0 ? '' : `, ${bytes(reply.size)}`;
    add(told + size, reply === null ? [] : stepsOf(reply, options));
  }
  if (journey.givenUp !== null) add(givenUpText(journey, after));
  const isHeard = copies.length > 0 || missed.length > 0;
  const isAnswer = journey.kind === 'Reply' || journey.kind === 'Status';
  if (sent?.how === 'sent' && !isHeard && !isAnswer) add('nobody listens to it');
  if (cut === 'lost') add('what became of it then was not seen: kbus could not keep up');
  if (cut === 'crowded') add('it is not followed further: too many messages are not done');
  return steps;
}

function waitText({ sent, waitedAt }: Journey, now: number): string {
  const until = duration(((sent?.at ?? now) - (waitedAt as number)) / 1000);
  return sent === null
    ? `waits for room in a queue, for ${until} so far`
    : `waited ${until} for room in a queue`;
}

function refusalText(errno: number): string {
  const code = codeOf(errno) ?? `error ${errno}`;
  const meaning = (MEANING.send as Readonly<Record<string, string>>)[code];
  return `refused with ${code}${meaning === undefined ? '' : `: ${meaning}`}`;
}

function copyText({ binding, isReplier, place, who }: Copy): string {
  const why =
    binding === ''
      ? 'as the answer to its Request'
      : `${isReplier ? 'which replies to' : 'which listens to'} ${escaped(binding)}`;
  return `queued for ${who}, ${why}: place ${count(place)}`;
}

function endOf({ end, queuedAt }: Copy, now: number): string {
  const waited = duration(((end?.at ?? now) - queuedAt) / 1000);
  switch (end?.how) {
    case 'read':
      return `read after ${waited}`;
    case 'unbound':
      return `removed after ${waited}: the Ksock has unbound the name`;
    case 'closed':
      return `lost after ${waited}: the Ksock has left`;
    case 'taken back':
      return `taken back after ${waited}, unread: the requester has given up`;
    default:
      return `not read yet, after ${waited}`;
  }
}

function givenUpText({ givenUp }: Journey, after: (time: number) => string): string {
  const { at, hasLeft, isTakenBack } = givenUp as NonNullable<Journey['givenUp']>;
  const why = hasLeft ? 'the requester has left' : 'the requester waits no longer';
  return `given up after ${after(at)}: ${why}; ${isTakenBack ? 'nobody carries it out' : 'a Reply will be refused'}`;
}

/** What each Status means (spec 1 §8.1). */
const REASONS: Readonly<Record<string, string>> = {
  '$.KBUS.Replier.GoneAway':
    'the Replier left before it had read the Request, as far as KBUS knows',
  '$.KBUS.Replier.Ignored': 'the Replier left without an answer',
  '$.KBUS.Replier.Unbound': 'the Replier unbound the name before it had read the Request',
  '$.KBUS.Replier.Disappeared': 'there is no Replier any more',
  '$.KBUS.ErrorSending': 'it could not be sent any more',
};

function onwardOf(journey: Journey, options: TreeOptions): Branch[] {
  const onward = options.onward?.(journey) ?? [];
  return onward.map(({ after, journey: there, limpet, now }) => ({
    text: `carried by Limpet ${limpet} to bus ${there.bus}, in about ${duration(after / 1000)}`,
    below: [branchOf(there, { ...options, now })],
  }));
}

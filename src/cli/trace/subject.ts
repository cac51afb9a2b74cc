import { escaped } from '../../base/escape.ts';
import { faultOfName } from '../../message/name.ts';
import type { Journey } from '../../seeing/journeys.ts';
import { NameFilter } from '../../tap/name-filter.ts';
import { typedName } from '../arguments.ts';
import { Exit, Failure } from '../failure.ts';

/** Which messages are followed, and by which names the daemon chooses them. */
export interface Subject {
  readonly names: readonly string[] | undefined;
  readonly wants: (message: { name: string; id: object; inReplyTo: object }) => boolean;
  /** Whether a message is printed that belongs to no Request which is followed. */
  readonly isRoot: (journey: Journey) => boolean;
}

/** The same, where the daemon can't choose the messages. */
export function chosenHere(subject: Subject): Subject {
  const { names } = subject;
  if (names === undefined) return subject;
  const filter = new NameFilter(names);
  return { ...subject, wants: ({ name }) => filter.shows(name) };
}

/** What the user has typed: a name, a wildcard, or the id of a message. */
export function subjectOf(what: string): Subject {
  const [, network, serial] = what.match(/^\[?(\d+):(\d+)\]?$/) ?? [];
  if (network !== undefined) {
    const id = `[${Number(network)}:${Number(serial)}]`;
    const wants = (message: { id: object; inReplyTo: object }): boolean =>
      String(message.id) === id || String(message.inReplyTo) === id;
    return { names: undefined, wants, isRoot: ({ id: own }) => String(own) === id };
  }
  const fault = faultOfName(typedName(what), 'binding');
  if (fault !== undefined) {
    throw new Failure(Exit.USAGE, `'${escaped(what)}' can't be followed: ${fault}`);
  }
  // Statuses have names of their own.
  return { names: [what, '$.KBUS.*'], wants: () => true, isRoot: isOfItsOwn };
}

/** No bind event; and no answer to a Request that was sent before, unless it was refused. */
function isOfItsOwn({ from, kind, sent }: Journey): boolean {
  const isAnswer = kind === 'Reply' || kind === 'Status';
  return from !== 0 && (!isAnswer || sent?.how === 'refused');
}

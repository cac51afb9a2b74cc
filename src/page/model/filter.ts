import { textOf } from '../../base/text.ts';
import type { MessageKind } from '../../message/fields.ts';
import { checkBindingName, isWildcard, matches } from '../../message/name.ts';
import { answerTime, type Entry } from './history.ts';
import type { Programs } from './programs.ts';

/** Which messages are shown. */
export interface Filter {
  /**
   * Words, all of which must fit. A wildcard is for names; `name:` for exactly one name; `data:` for text in the data;
   * `from:` and `to:` for programs; an id such as `[0:349]` for that message and all that answers it; another word is a
   * part of the name, or of that of the sender.
   */
  readonly text: string;
  /** Only messages from or to this Ksock; 0: all. */
  readonly ksock: number;
  /** Kinds that are not shown. */
  readonly hidden: readonly MessageKind[];
  /** Only Requests, and answers to them, that took longer than so many milliseconds; 0: all messages. */
  readonly slower: number;
}

export const NO_FILTER: Filter = { text: '', ksock: 0, hidden: [], slower: 0 };

export const SHOWN_KINDS: readonly MessageKind[] = [
  'Announcement',
  'Request',
  'Reply',
  'Status',
  'ReplierBindEvent',
];

type Test = (entry: Entry) => boolean;

/** The test of a filter; `now` gives the time of the model, for Requests that have no answer yet. */
export function testOf(filter: Filter, programs: Programs, now: () => number): Test {
  const tests: Test[] = [];
  const { hidden, ksock, slower } = filter;
  if (hidden.length > 0) tests.push(({ kind }) => !hidden.includes(kind));
  if (ksock !== 0) {
    tests.push(({ copies, from }) => from === ksock || copies.some((one) => one.ksock === ksock));
  }
  if (slower > 0) tests.push((entry) => isSlower(entry, slower, now()));
  for (const word of filter.text.split(/\s+/)) {
    if (word !== '') tests.push(testOfWord(word, programs));
  }
  return (entry) => tests.every((test) => test(entry));
}

function isSlower(entry: Entry, slower: number, now: number): boolean {
  if (entry.kind !== 'Request' && entry.request === null) return false;
  const took = answerTime(entry);
  if (took !== null) return took > slower;
  if (entry.state !== 'sent' && entry.state !== 'sending') return false;
  const until = entry.givenUpAt < 0 ? now : entry.givenUpAt;
  return (until - entry.time) / 1000 > slower;
}

function testOfWord(word: string, programs: Programs): Test {
  const [, key, value] = /^(data|from|to|name):(.*)$/s.exec(word) ?? [];
  if (value === '') return () => true;
  if (key === 'name') return ({ name }) => name === value;
  if (isWildcard(word) && checkBindingName(word) === 0) return ({ name }) => matches(word, name);
  const part = (value ?? word).toLowerCase();
  const isNamed = (ksock: number): boolean =>
    String(ksock) === part || programs.nameOf(ksock).toLowerCase().includes(part);
  if (key === 'data') {
    return ({ message }) => textOf(message.data).toLowerCase().includes(part);
  }
  if (key === 'from') return ({ from }) => isNamed(from);
  if (key === 'to') return ({ copies }) => copies.some(({ ksock }) => isNamed(ksock));
  if (/^\[\d+:\d+\]$/.test(word)) {
    return ({ message }) => String(message.id) === word || String(message.inReplyTo) === word;
  }
  return ({ from, name }) =>
    name.toLowerCase().includes(part) || programs.nameOf(from).toLowerCase().includes(part);
}

import { type Command, InvalidArgumentError } from 'commander';
import type { MessageKind } from '../message/fields.ts';
import type { Moment, Selection } from '../recording/selection.ts';
import { timeSpan, typedName } from './arguments.ts';

/** Which messages of a recording. */
export interface SelectionOptions {
  from?: Moment;
  to?: Moment;
  announcements?: true;
  requests?: true;
  replies?: true;
}

/** The arguments and options of commands that choose messages of a recording. */
export function addSelection(command: Command): Command {
  return command
    .argument('<file>', 'a recording')
    .argument('[names...]', "names of messages, or wildcards: '$.Actor.*' (default: all)")
    .option(
      '--from <time>',
      'from here on: 10s after the beginning, or 2026-11-29T18:00:00Z',
      moment,
    )
    .option('--to <time>', 'up to here, likewise', moment)
    .option('--announcements', 'Announcements only; or, with the next two, these as well')
    .option('--requests', 'Requests only')
    .option('--replies', 'Replies and Statuses only');
}

function moment(text: string): Moment {
  if (/^\d{4}-/.test(text)) {
    const ms = Date.parse(text);
    if (!Number.isNaN(ms)) return { microseconds: ms * 1000, isSinceStart: false };
  }
  try {
    return { microseconds: text === '0' ? 0 : timeSpan(text) * 1000, isSinceStart: true };
  } catch {
    throw new InvalidArgumentError(
      'It must be a time since the beginning, such as 10s or 2min, or a date such as 2026-11-29T18:00:00Z.',
    );
  }
}

export function selectionOf(names: readonly string[], options: SelectionOptions): Selection {
  const kinds: MessageKind[] = [];
  if (options.announcements) kinds.push('Announcement', 'ReplierBindEvent');
  if (options.requests) kinds.push('Request');
  if (options.replies) kinds.push('Reply', 'Status');
  return {
    names: names.map(typedName),
    kinds: kinds.length === 0 ? undefined : kinds,
    from: options.from,
    to: options.to,
  };
}

import type { ComponentChildren } from 'preact';
import type { MessageKind } from '../../message/fields.ts';
import { filter, refine, toggleKind } from '../state/route.ts';
import { ProgramChoice } from './program-choice.tsx';
import { Save } from './save.tsx';

const KINDS: readonly (readonly [kind: MessageKind, title: string])[] = [
  ['Announcement', 'Announcements'],
  ['Request', 'Requests'],
  ['Reply', 'Replies'],
  ['Status', 'Statuses'],
  ['ReplierBindEvent', 'Binds'],
];

const SLOWER = [1, 10, 100, 1000, 10_000];

/** Chooses messages: the same choice for the chart and the table. */
export function FilterBar({ children }: { children?: ComponentChildren }) {
  const { hidden, ksock, slower, text } = filter.value;
  return (
    <div class="tools">
      <input
        type="search"
        id="filter"
        aria-label="Filter messages"
        placeholder="Filter: $.Room.* heater"
        title="Words, all of which must fit: parts of names, wildcards, name:, data:, from:, to:, or an id"
        value={text}
        onInput={({ currentTarget }) => refine({ text: currentTarget.value })}
      />
      <ProgramChoice ksock={ksock} />
      <select
        aria-label="Only Requests that took longer than"
        value={slower}
        onChange={({ currentTarget }) => refine({ slower: Number(currentTarget.value) })}
      >
        <option value={0}>any time</option>
        {[...new Set([...SLOWER, ...(slower > 0 ? [slower] : [])])]
          .sort((a, b) => a - b)
          .map((ms) => (
            <option key={ms} value={ms}>
              Requests over {ms < 1000 ? `${ms} ms` : `${ms / 1000} s`}
            </option>
          ))}
      </select>
      <fieldset class="kinds">
        <legend class="hidden">Kinds of messages</legend>
        {KINDS.map(([kind, title]) => (
          <button
            key={kind}
            type="button"
            class={`kind ${kind}`}
            aria-pressed={!hidden.includes(kind)}
            onClick={() => toggleKind(kind)}
          >
            {title}
          </button>
        ))}
      </fieldset>
      {children}
      <Save />
    </div>
  );
}

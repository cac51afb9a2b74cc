import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { bytes, count, duration } from '../../base/units.ts';
import { codeOf } from '../../message/errno.ts';
import { shortText } from '../model/data-view.ts';
import { testOf } from '../model/filter.ts';
import { answerTime, type Entry } from '../model/history.ts';
import { timeOfDay } from '../model/times.ts';
import { model, now } from '../state/feed.ts';
import { beats } from '../state/pulse.ts';
import { filter, route, showMessage } from '../state/route.ts';
import { Empty } from './empty.tsx';
import { FilterBar } from './filter-bar.tsx';
import { MessageDetail } from './message-detail.tsx';
import { Space } from './space.tsx';
import { useWindow } from './use-window.ts';

const COLUMNS = 7;

/** The latest messages as a table, the newest first. Scrolled down, or while one is chosen, it stands still. */
export function Messages() {
  void beats.value;
  /** The table ends before this message; null: it goes on. */
  const held = useSignal<number | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const { history, programs } = model.value;
  const end = held.value ?? history.end;
  const test = testOf(filter.value, programs, now);
  const shown: Entry[] = [];
  for (let seq = end - 1; seq >= history.first; seq--) {
    const entry = history.get(seq) as Entry;
    if (test(entry)) shown.push(entry);
  }
  const { first, last, onScroll, rowHeight } = useWindow(place, shown.length, (isAtTop) => {
    held.value = isAtTop ? null : (held.value ?? history.end);
  });
  const newer = history.end - end;
  const isAll = shown.length === history.end - history.first;
  return (
    <section class="messages" aria-label="Messages">
      <FilterBar>
        <output class="muted" id="counts">
          {count(shown.length)}{' '}
          {isAll ? 'messages' : `of ${count(history.end - history.first)} messages`}
        </output>
        {newer > 0 && (
          <button
            type="button"
            onClick={() => {
              held.value = null;
              place.current?.scrollTo(0, 0);
            }}
          >
            {count(newer)} newer: go on
          </button>
        )}
      </FilterBar>
      <div class="split">
        <div class="scroll" ref={place} onScroll={onScroll}>
          <table aria-rowcount={shown.length + 1} class="list">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Kind</th>
                <th scope="col">Name</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col">Data</th>
                <th scope="col">What became of it</th>
              </tr>
            </thead>
            <tbody>
              <Space height={first * rowHeight} columns={COLUMNS} />
              {shown.slice(first, last).map((entry, at) => (
                <MessageRow
                  key={entry.seq}
                  entry={entry}
                  index={first + at}
                  // What was chosen must not run away.
                  choose={(id) => {
                    held.value ??= history.end;
                    showMessage(id);
                  }}
                />
              ))}
              <Space height={(shown.length - last) * rowHeight} columns={COLUMNS} />
            </tbody>
          </table>
          {shown.length === 0 && (
            <Empty>
              {history.end === 0
                ? 'No message was sent since the page was opened.'
                : 'None of the messages fits the filter.'}
            </Empty>
          )}
        </div>
        {route.value.message !== '' && <MessageDetail id={route.value.message} />}
      </div>
    </section>
  );
}

interface MessageRowProps {
  entry: Entry;
  index: number;
  choose: (id: string) => void;
}

function MessageRow({ choose, entry, index }: MessageRowProps) {
  const { programs } = model.value;
  const { copies, kind, message, name } = entry;
  const id = String(message.id);
  const isChosen = id === route.value.message;
  const to = copies.map(({ ksock }) => programs.nameOf(ksock));
  return (
    <tr
      aria-rowindex={index + 2}
      class={isChosen ? 'chosen' : ''}
      onClick={() => choose(isChosen ? '' : id)}
    >
      <td class="time">{timeOfDay(model.value.dateOf(entry.time))}</td>
      <td>
        <span class={`tag ${kind}`}>{kind === 'ReplierBindEvent' ? 'Bind' : kind}</span>
      </td>
      <td class="name">
        <button type="button" class="link" aria-label={`${kind} ${name} ${id}: show it whole`}>
          {name}
        </button>
      </td>
      <td class="from">{programs.nameOf(entry.from)}</td>
      <td class="to" title={to.join(', ')}>
        {to.length > 2 && `${count(to.length)}: `}
        {to.slice(0, 5).join(', ')}
      </td>
      <td class="value">
        {shortText(message.data, 80)}
        {message.wholeLength > 80 && <small> {bytes(message.wholeLength)}</small>}
      </td>
      <td class="fate">
        <Fate entry={entry} />
      </td>
    </tr>
  );
}

function Fate({ entry }: { entry: Entry }) {
  const { copies, errno, givenUpAt, kind, missed, state } = entry;
  if (state === 'refused') return <span class="bad">refused: {codeOf(errno) ?? errno}</span>;
  if (state === 'waiting' || state === 'discarded') return <span class="warn">{state}</span>;
  const took = answerTime(entry);
  if (kind === 'Request') {
    if (took !== null) {
      const isStatus = entry.answer?.kind === 'Status';
      return (
        <span class={isStatus ? 'warn' : ''}>
          {isStatus ? 'Status' : 'answered'} after {duration(took)}
        </span>
      );
    }
    return <span class="warn">{givenUpAt >= 0 ? 'given up' : 'not answered yet'}</span>;
  }
  if (missed.length > 0) return <span class="bad">missed by {missed.length}</span>;
  if (copies.length === 0) return <span class="muted">nobody listens</span>;
  const unread = copies.filter(({ readAt }) => readAt < 0).length;
  return <span class="muted">{unread === 0 ? 'read' : `${unread} unread`}</span>;
}

import type { Entry } from '../model/history.ts';
import { fateInWords, headerInWords } from '../model/in-words.ts';
import { timeOfDay } from '../model/times.ts';
import { model } from '../state/feed.ts';
import { beats } from '../state/pulse.ts';
import { filter, go, route, showMessage } from '../state/route.ts';
import { DataPanel } from './data-panel.tsx';

/** One message whole. */
export function MessageDetail({ id }: { id: string }) {
  void beats.value;
  const entry = model.value.history.find(id);
  return (
    <aside class="detail" aria-label={`Message ${id}`}>
      <header>
        <h2>{entry === undefined ? `Message ${id}` : `${entry.kind} ${entry.name}`}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => showMessage('')}>
          ✕
        </button>
      </header>
      {entry === undefined ? (
        <p class="muted">
          The page does not have this message: it was sent before the page was opened, or too many
          came after it.
        </p>
      ) : (
        <Whole entry={entry} />
      )}
    </aside>
  );
}

function Whole({ entry }: { entry: Entry }) {
  const { programs } = model.value;
  const { message } = entry;
  const asked = entry.kind === 'Request' ? message.id : message.inReplyTo;
  const other = entry.answer ?? entry.request;
  const choose = (text: string): void =>
    go({
      view: route.value.view === 'sequence' ? 'sequence' : 'messages',
      filter: { ...filter.value, text, ksock: 0, slower: 0, hidden: [] },
    });
  return (
    <>
      <p class="muted">
        {timeOfDay(model.value.dateOf(entry.time))}, from {programs.whoIs(entry.from)}
      </p>
      <ul class="fate">
        {fateInWords(entry, programs).map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <div class="tools">
        {other !== null && (
          <button type="button" onClick={() => showMessage(String(other.message.id))}>
            Show its {other === entry.answer ? other.kind : 'Request'}
          </button>
        )}
        {asked.isSet && (
          <button type="button" onClick={() => choose(String(asked))}>
            All that answers this
          </button>
        )}
        <button type="button" onClick={() => choose(`name:${entry.name}`)}>
          All like this
        </button>
      </div>
      <h3>Data</h3>
      <DataPanel key={String(message.id)} data={message.data} size={message.wholeLength} />
      <h3>Header</h3>
      <dl>
        {headerInWords(entry, programs).map(({ field, meaning, value }) => (
          <div key={field}>
            <dt>{field}</dt>
            <dd>
              <code>{value}</code>
              {meaning !== '' && <small>{meaning}</small>}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

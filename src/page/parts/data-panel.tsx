import { useSignal } from '@preact/signals';
import { escapedLines } from '../../base/escape.ts';
import { textOf } from '../../base/text.ts';
import { hexLines, jsonOf, type Look, looksLike } from '../model/data-view.ts';

const LOOKS: readonly (readonly [look: Look, title: string])[] = [
  ['text', 'Text'],
  ['json', 'JSON'],
  ['hex', 'Hex'],
];

/** So many values of an array or object are shown at once. */
const MOST_VALUES = 200;

/** The data of a message, as text, JSON or bytes. */
export function DataPanel({ data, size }: { data: Uint8Array; size: number }) {
  const chosen = useSignal<Look | null>(null);
  if (size === 0) return <p class="muted">It has no data.</p>;
  const json = jsonOf(data);
  const look = chosen.value ?? looksLike(data);
  return (
    <div class="data">
      <fieldset class="kinds">
        <legend class="hidden">Show the data as</legend>
        {LOOKS.filter(([one]) => one !== 'json' || json !== undefined).map(([one, title]) => (
          <button
            key={one}
            type="button"
            aria-pressed={one === look}
            onClick={() => {
              chosen.value = one;
            }}
          >
            {title}
          </button>
        ))}
      </fieldset>
      {look === 'json' && json !== undefined ? (
        <div class="json">
          <JsonValue value={json} isOpen />
        </div>
      ) : (
        <pre>{look === 'hex' ? hexLines(data).join('\n') : escapedLines(textOf(data))}</pre>
      )}
      {size > data.length && (
        <p class="muted">
          These are the first {data.length} of {size} bytes.
        </p>
      )}
    </div>
  );
}

/** A value of JSON; arrays and objects fold. */
function JsonValue({ isOpen, name, value }: { value: unknown; name?: string; isOpen?: boolean }) {
  const key = name === undefined ? '' : `${escapedLines(name)}: `;
  if (typeof value !== 'object' || value === null) {
    return (
      <div>
        <span class="muted">{key}</span>
        <code class={typeof value}>{escapedLines(JSON.stringify(value))}</code>
      </div>
    );
  }
  const entries = Object.entries(value);
  const isArray = Array.isArray(value);
  return (
    <details open={isOpen}>
      <summary>
        <span class="muted">{key}</span>
        {isArray ? `[${entries.length}]` : `{${entries.length}}`}
      </summary>
      {entries.slice(0, MOST_VALUES).map(([one, inner]) => (
        <JsonValue key={one} name={one} value={inner} isOpen={entries.length <= 20} />
      ))}
      {entries.length > MOST_VALUES && (
        <p class="muted">and {entries.length - MOST_VALUES} more: see the text</p>
      )}
    </details>
  );
}

import { useSignal } from '@preact/signals';
import { count } from '../../base/units.ts';
import { testOf } from '../model/filter.ts';
import { model, now, saved } from '../state/feed.ts';
import { bus, filter } from '../state/route.ts';

/** Saves the messages that fit the filter as a recording. */
export function Save() {
  const told = useSignal('');
  const save = async (): Promise<void> => {
    try {
      const test = testOf(filter.value, model.value.programs, now);
      const { blob, messages } = await saved(test);
      download(
        blob,
        `kbus${bus.value}-${new Date().toISOString().slice(0, 19).replace(/:/g, '-')}.mcap`,
      );
      told.value = `${count(messages)} messages saved`;
    } catch (error) {
      told.value = `not saved: ${error instanceof Error ? error.message : error}`;
    }
  };
  return (
    <>
      <button
        type="button"
        id="save"
        title="Save the messages that fit the filter, and what became of them, as a recording: for kbus recording, kbus replay, or this page"
        onClick={() => void save()}
      >
        Save
      </button>
      <output class="muted" id="saved">
        {told.value}
      </output>
    </>
  );
}

function download(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Not before the browser has begun to read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

import { count } from '../../base/units.ts';
import { buses, findBuses } from '../state/buses.ts';
import { connection, follow, showFile, traffic } from '../state/feed.ts';
import { bus, go, served } from '../state/route.ts';
import { nextTheme, theme } from '../state/theme.ts';

const THEMES = {
  auto: { sign: '◐', text: 'as the system has them' },
  light: { sign: '☀', text: 'light' },
  dark: { sign: '☾', text: 'dark' },
};

export function Header() {
  const { advice, state, text } = connection.value;
  return (
    <header>
      <h1>KBUS</h1>
      {served.value === '' && <BusChoice />}
      <p id="state" role="status" data-state={state}>
        {text}
      </p>
      <Summary />
      <OpenRecording />
      <button
        type="button"
        class="quiet"
        onClick={nextTheme}
        title={`Colours: ${THEMES[theme.value].text}`}
        aria-label={`Colours: ${THEMES[theme.value].text}. Change them`}
      >
        {THEMES[theme.value].sign}
      </button>
      <p id="advice" hidden={advice === ''}>
        {advice}
      </p>
    </header>
  );
}

/** Opens a recording; one can be dropped on the page, too. */
function OpenRecording() {
  const isOpen = ['recording', 'reading'].includes(connection.value.state);
  // The server of the page has this recording, and no bus.
  if (isOpen && served.value !== '') return null;
  return isOpen ? (
    <button type="button" onClick={() => follow(bus.value)}>
      Back to the bus
    </button>
  ) : (
    <label class="open" title="A file of kbus record: drop it on the page, or choose it">
      Open a recording
      <input
        type="file"
        class="hidden"
        accept=".mcap"
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          if (file !== undefined) void showFile(file);
          currentTarget.value = '';
        }}
      />
    </label>
  );
}

function BusChoice() {
  const all = new Set([...buses.value, bus.value]);
  return (
    <label class="choice">
      <span class="hidden">Bus</span>
      <select
        value={bus.value}
        onFocus={() => void findBuses()}
        onChange={({ currentTarget }) => go({ bus: Number(currentTarget.value), message: '' })}
      >
        {[...all]
          .sort((a, b) => a - b)
          .map((number) => (
            <option key={number} value={number}>
              bus {number}
            </option>
          ))}
      </select>
    </label>
  );
}

function Summary() {
  const { ksocks, lostEvents, sentRate } = traffic.value;
  return (
    <p class="summary">
      <span>{count(ksocks.length)} programs</span> <span>{count(sentRate)} messages/s</span>
      {lostEvents > 0 && (
        <span
          class="bad"
          title="The page, or the way to it, was too slow: the daemon dropped these events for it. No program lost anything."
        >
          {count(lostEvents)} events not seen
        </span>
      )}
    </p>
  );
}

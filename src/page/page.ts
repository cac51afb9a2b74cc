// The daemon's own page: it opens a Ksock, and says whether it is on the bus.

import { KbusError, Ksock } from '../client/browser.ts';

/** Where the token is kept for reloads of this tab. It goes with the tab. */
const TOKEN_KEY = 'kbus-token';

const DEFAULT_BUS = 0;

/** Takes the token, and the number of the bus, out of the address: nobody must read the token over a shoulder. */
function takeFragment(): { token: string; bus: number } {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get('token');
  if (given !== null) {
    sessionStorage.setItem(TOKEN_KEY, given);
    fragment.delete('token');
    const rest = fragment.toString();
    history.replaceState(null, '', rest === '' ? location.pathname : `#${rest}`);
  }
  return {
    token: sessionStorage.getItem(TOKEN_KEY) ?? '',
    bus: Number(fragment.get('bus') ?? DEFAULT_BUS),
  };
}

function show(state: 'connecting' | 'connected' | 'lost', text: string, advice = ''): void {
  const line = document.getElementById('state') as HTMLElement;
  line.dataset['state'] = state;
  line.textContent = text;
  (document.getElementById('advice') as HTMLElement).textContent = advice;
}

function connected(ksock: Ksock): void {
  show('connected', `Connected to bus ${ksock.number} of ${location.host}, as Ksock ${ksock.id}.`);
}

function lost(error: unknown): void {
  const isDenied = error instanceof KbusError && error.code === 'EACCES';
  const advice = isDenied
    ? 'Type “kbus web” in a terminal, and open the address that it prints.'
    : '';
  show('lost', error instanceof Error ? error.message : String(error), advice);
}

async function run(): Promise<void> {
  const { token, bus } = takeFragment();
  const name = `page at ${location.host}`;
  try {
    const ksock = await Ksock.open(bus, {
      token,
      name,
      reconnect: true,
      onConnected: connected,
      onDisconnected: lost,
    });
    connected(ksock);
  } catch (error) {
    lost(error);
  }
}

// Another address of this page, as `kbus web` prints it after a restart of the daemon: begin anew.
addEventListener('hashchange', () => location.reload());
await run();

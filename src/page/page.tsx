// The daemon's own page: the inspector. It observes a bus, as `kbus top` does, and changes nothing on it.

import { effect } from '@preact/signals';
import { render } from 'preact';
import { App } from './parts/app.tsx';
import { follow, keepLooking } from './state/feed.ts';
import { bus, readAddress } from './state/route.ts';
import { loadTheme } from './state/theme.ts';
import { takeToken } from './state/token.ts';

loadTheme();
takeToken();
readAddress();
// Another address of this page, as `kbus web` prints it after a restart of the daemon, or as a colleague sends it.
addEventListener('hashchange', () => {
  if (takeToken()) location.reload();
  else readAddress();
});
addEventListener('popstate', readAddress);
effect(() => follow(bus.value));
keepLooking();
render(<App />, document.body);

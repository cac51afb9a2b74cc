// The daemon's own page: the inspector. It observes a bus, as `kbus top` does, and changes nothing on it.

import { effect, untracked } from '@preact/signals';
import { render } from 'preact';
import { App } from './parts/app.tsx';
import { follow, keepLooking, showFile, showServed } from './state/feed.ts';
import { bus, readAddress, served } from './state/route.ts';
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
effect(() => {
  const [number, file] = [bus.value, served.value];
  untracked(() => {
    if (file === '') follow(number);
    else void showServed(file);
  });
});
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer?.files ?? [];
  if (file !== undefined) void showFile(file);
});
keepLooking();
render(<App />, document.body);

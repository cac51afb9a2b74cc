import { signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const THEME_KEY = 'kbus-theme';
const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];

export const theme = signal<Theme>('auto');
/** Rises when colours change, for what is drawn with them. */
export const colours = signal(0);

function show(next: Theme): void {
  theme.value = next;
  document.documentElement.dataset['theme'] = next;
  colours.value++;
}

export function loadTheme(): void {
  const kept = localStorage.getItem(THEME_KEY) as Theme | null;
  show(kept !== null && THEMES.includes(kept) ? kept : 'auto');
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => colours.value++);
}

/** From the system's theme to light, to dark, and back. */
export function nextTheme(): void {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] as Theme;
  localStorage.setItem(THEME_KEY, next);
  show(next);
}

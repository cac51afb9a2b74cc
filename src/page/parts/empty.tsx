import type { ComponentChildren } from 'preact';

/** Says why there is nothing. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

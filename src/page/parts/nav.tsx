import { hashOf, route, VIEWS } from '../state/route.ts';

/** Links to the views: addresses, so that the browser's own ways to open and to copy them work. */
export function Nav() {
  return (
    <nav aria-label="Views">
      {VIEWS.filter(({ name }) => name !== 'try' || route.value.send).map(({ name, title }) => (
        <a
          key={name}
          href={hashOf({ ...route.value, view: name, message: '' }) || '#'}
          aria-current={route.value.view === name ? 'page' : undefined}
        >
          {title}
        </a>
      ))}
    </nav>
  );
}

import type { JSX } from 'preact';
import { type ViewName, view } from '../state/route.ts';
import { Header } from './header.tsx';
import { Messages } from './messages.tsx';
import { Nav } from './nav.tsx';
import { Now } from './now.tsx';
import { Sequence } from './sequence.tsx';

const PARTS: Readonly<Record<ViewName, () => JSX.Element>> = {
  now: Now,
  sequence: Sequence,
  messages: Messages,
};

export function App() {
  const Part = PARTS[view.value];
  return (
    <>
      <Header />
      <Nav />
      <main key={view.value}>
        <Part />
      </main>
    </>
  );
}

import type { JSX } from 'preact';
import { type ViewName, view } from '../state/route.ts';
import { Bowls } from './bowls.tsx';
import { Header } from './header.tsx';
import { Messages } from './messages.tsx';
import { Names } from './names.tsx';
import { Nav } from './nav.tsx';
import { Now } from './now.tsx';
import { Sequence } from './sequence.tsx';
import { Talk } from './talk.tsx';
import { Try } from './try.tsx';

const PARTS: Readonly<Record<ViewName, () => JSX.Element>> = {
  now: Now,
  sequence: Sequence,
  messages: Messages,
  names: Names,
  talk: Talk,
  buses: Bowls,
  try: Try,
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

import { Binding } from '../bus/binding-tree.ts';
import { type Party, Routes } from '../bus/routes.ts';

/** So many bytes, about, are kept of the answers for names that came: the same names come again and again. */
export const ANSWERS_BYTES = 32 * 1024;
const KEPT_BYTES = ANSWERS_BYTES / 2;
/** Routes may take a quarter of the room. */
const MEMORY = { room: 4 * KEPT_BYTES, hold: () => {} };

const OBSERVER: Party = { isOpen: true };

/**
 * Which names a filter shows: those that a Ksock bound to its names would hear. To find that out for a new name costs no more
 * than to find its listeners, and `work` counts it.
 */
export class NameFilter {
  private readonly routes: Routes<Party>;

  constructor(names: readonly string[], work: { done: number } = { done: 0 }) {
    this.routes = new Routes(MEMORY, work);
    for (const name of new Set(names)) this.routes.add(new Binding(OBSERVER, name, false, 0));
  }

  shows(name: string): boolean {
    return this.routes.find(name).listeners.length > 0;
  }
}

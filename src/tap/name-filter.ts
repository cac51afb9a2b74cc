import { Binding } from '../bus/binding-tree.ts';
import { type Party, Routes } from '../bus/routes.ts';

/** Twice this many bytes, about, are kept of the answers for names that came: the same names come again and again. */
const KEPT_BYTES = 16 * 1024;
/** Routes may take a quarter of what is free. */
const MEMORY = { free: 4 * KEPT_BYTES, hold: () => {} };

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

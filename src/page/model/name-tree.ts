import { matches } from '../../message/name.ts';
import type { BoundTo, NameFacts, NameTable } from './name-table.ts';

/** A line of the tree: a word of names. */
export interface NameNode {
  /** The name up to here, which need not be one that is used. */
  readonly path: string;
  /** Its last word; of a path without branches, all words. */
  readonly label: string;
  readonly depth: number;
  /** Null: nobody uses this name, but names below it. */
  readonly facts: NameFacts | null;
  /** It is used, or bound to. */
  readonly isName: boolean;
  readonly bound: BoundTo;
  /** How many names are below it. */
  readonly below: number;
}

interface Branch {
  path: string;
  label: string;
  facts: NameFacts | null;
  isBinding: boolean;
  readonly children: Map<string, Branch>;
}

const NOBODY: BoundTo = { listeners: [], repliers: [] };

/** The names as a tree, line by line; `isClosed` tells of a path that what is below it is not shown. */
export function treeOf(
  table: NameTable,
  isClosed: (path: string) => boolean,
  search: string,
): NameNode[] {
  const root: Branch = branch('', '');
  const part = search.trim().toLowerCase();
  const isWanted = (name: string): boolean =>
    part === '' ||
    name.toLowerCase().includes(part) ||
    (/[*%]/.test(search) && matches(search.trim(), name));
  for (const facts of table.all()) if (isWanted(facts.name)) nodeOf(root, facts.name).facts = facts;
  for (const { name } of table.wildcards) if (isWanted(name)) nodeOf(root, name).isBinding = true;
  const lines: NameNode[] = [];
  const walk = (at: Branch, depth: number): void => {
    const children = [...at.children.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
    for (const child of children) {
      const joined = joinedWith(child);
      const isName = joined.facts !== null || joined.isBinding;
      lines.push({
        path: joined.path,
        label: depth === 0 ? `$.${joined.label}` : joined.label,
        depth,
        facts: joined.facts,
        isName,
        bound: isName ? table.boundTo(joined.path) : NOBODY,
        below: countBelow(joined),
      });
      if (!isClosed(joined.path)) walk(joined, depth + 1);
    }
  };
  // Every name begins with it.
  const top = root.children.get('$');
  if (top !== undefined) walk(top, 0);
  return lines;
}

function branch(path: string, label: string): Branch {
  return { path, label, facts: null, isBinding: false, children: new Map() };
}

function nodeOf(root: Branch, name: string): Branch {
  let at = root;
  for (const word of name.split('.')) {
    let child = at.children.get(word);
    if (child === undefined) {
      child = branch(at.path === '' ? word : `${at.path}.${word}`, word);
      at.children.set(word, child);
    }
    at = child;
  }
  return at;
}

/** A branch that is no name and has one child is a line with it: `$.Room` rather than `$`, and then `Room`. */
function joinedWith(at: Branch): Branch {
  const { children, facts, isBinding, label } = at;
  const [only] = children.values();
  if (facts !== null || isBinding || children.size !== 1 || only === undefined) return at;
  return joinedWith({ ...only, label: `${label}.${only.label}` });
}

function countBelow({ children }: Branch): number {
  let count = 0;
  for (const child of children.values()) {
    if (child.facts !== null || child.isBinding) count++;
    count += countBelow(child);
  }
  return count;
}

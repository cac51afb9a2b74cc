/**
 * Appends to a list that mostly has one item: use the returned list in place of the given one. `push` on an empty list
 * would reserve room for seventeen items.
 */
export function appended<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item];
  list.push(item);
  return list;
}

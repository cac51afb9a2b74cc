/**
 * The list with one more at its end, in place of the one that was given. What is mostly one is made as a list of
 * one: an empty list is given room for seventeen when the first is pushed.
 */
export function appended<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item];
  list.push(item);
  return list;
}

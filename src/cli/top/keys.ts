import { KSOCK_COLUMNS, NAME_COLUMNS } from './columns.ts';
import { type Choices, keyOfKsock, keyOfName, type Rows } from './screen.ts';

/** A key, as `keypress` events of node:readline tell it. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly shift?: boolean | undefined;
}

/** The longest filter. */
const MAX_FILTER = 60;

/** Changes the choices as the key says; `room` is how many rows are visible. True: the user quits. */
export function press(choices: Choices, key: Key, rows: Rows, room: number): boolean {
  if (choices.isTyping) {
    type(choices, key);
    return false;
  }
  switch (key.sequence) {
    case 'q':
      return true;
    case ' ':
    case 'p':
      choices.isPaused = !choices.isPaused;
      return false;
    case '/':
      Object.assign(choices, { isTyping: true, isInside: false, isHelp: false });
      return false;
    case 'h':
    case '?':
      choices.isHelp = !choices.isHelp;
      return false;
    case 's':
      sortByNext(choices, 1);
      return false;
    case 'S':
      sortByNext(choices, -1);
      return false;
  }
  switch (key.name) {
    case 'tab':
      choices.table = choices.table === 'ksocks' ? 'names' : 'ksocks';
      Object.assign(choices, { chosen: null, scroll: 0, isInside: false });
      break;
    case 'up':
    case 'k':
      choose(choices, rows, room, -1);
      break;
    case 'down':
    case 'j':
      choose(choices, rows, room, 1);
      break;
    case 'pageup':
      choose(choices, rows, room, -room);
      break;
    case 'pagedown':
      choose(choices, rows, room, room);
      break;
    case 'return':
    case 'enter':
      if (choices.chosen === null) choose(choices, rows, room, 1);
      choices.isInside = choices.chosen !== null;
      break;
    case 'escape':
      if (choices.isHelp) choices.isHelp = false;
      else if (choices.isInside) choices.isInside = false;
      else Object.assign(choices, { filter: '', chosen: null, scroll: 0 });
      break;
  }
  return false;
}

function type(choices: Choices, { name, sequence = '', ctrl }: Key): void {
  if (name === 'return' || name === 'enter') {
    choices.isTyping = false;
  } else if (name === 'escape') {
    choices.isTyping = false;
    choices.filter = '';
  } else if (name === 'backspace') {
    choices.filter = choices.filter.slice(0, -1);
  } else if (!ctrl && /^[^\p{Cc}]+$/u.test(sequence) && choices.filter.length < MAX_FILTER) {
    choices.filter += sequence;
  }
  Object.assign(choices, { chosen: null, scroll: 0 });
}

function sortByNext({ sort, table }: Choices, step: number): void {
  const columns = table === 'ksocks' ? KSOCK_COLUMNS : NAME_COLUMNS;
  const at = columns.findIndex(({ heading }) => heading === sort[table]);
  sort[table] = columns[(at + step + columns.length) % columns.length]?.heading ?? sort[table];
}

/** Chooses another row, and scrolls so that it is visible. */
function choose(choices: Choices, rows: Rows, room: number, step: number): void {
  const keys: readonly (number | string)[] =
    choices.table === 'ksocks' ? rows.ksocks.map(keyOfKsock) : rows.names.map(keyOfName);
  if (keys.length === 0) return;
  const before = choices.chosen === null ? -1 : keys.indexOf(choices.chosen);
  const at = before < 0 ? 0 : Math.max(0, Math.min(keys.length - 1, before + step));
  choices.chosen = keys[at] as number | string;
  if (at < choices.scroll) choices.scroll = at;
  else if (at >= choices.scroll + room) choices.scroll = at - room + 1;
}

import { computed, signal } from '@preact/signals';
import type { MessageKind } from '../../message/fields.ts';
import { type Filter, NO_FILTER, SHOWN_KINDS } from '../model/filter.ts';

/** What the page shows: all of it is in the address behind the #, so that whoever opens it sees the same. */
export interface Route {
  readonly view: ViewName;
  readonly bus: number;
  readonly filter: Filter;
  /** Messages that repeat are one line of the chart. */
  readonly fold: boolean;
  /** The message that is shown whole, by its id; '' for none. */
  readonly message: string;
  /** The page may send. */
  readonly send: boolean;
  /** The recording that the server of the page has, in place of a bus; '' for none. */
  readonly file: string;
}

export const VIEWS = [
  { name: 'now', title: 'Now' },
  { name: 'sequence', title: 'Sequence' },
  { name: 'messages', title: 'Messages' },
  { name: 'names', title: 'Names' },
  { name: 'talk', title: 'Who talks' },
  { name: 'buses', title: 'Buses' },
  { name: 'try', title: 'Try it' },
] as const;

export type ViewName = (typeof VIEWS)[number]['name'];

const FIRST: Route = {
  view: 'now',
  bus: 0,
  filter: NO_FILTER,
  fold: false,
  message: '',
  send: false,
  file: '',
};

export const route = signal<Route>(FIRST);
export const filter = computed(() => route.value.filter);
export const bus = computed(() => route.value.bus);
/** The recording that the server of the page has, or ''. */
export const served = computed(() => route.value.file);
export const view = computed(() => route.value.view);

/** The route of an address; what is wrong in it counts as not given. */
export function parseRoute(hash: string): Route {
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const whole = (key: string): number => {
    const value = Number(given.get(key) ?? 0);
    return Number.isInteger(value) && value >= 0 ? value : 0;
  };
  const hidden = (given.get('hide') ?? '').split(',');
  return {
    view: VIEWS.find(({ name }) => name === given.get('view'))?.name ?? FIRST.view,
    bus: whole('bus'),
    filter: {
      text: given.get('text') ?? '',
      ksock: whole('ksock'),
      hidden: SHOWN_KINDS.filter((kind) => hidden.includes(kind)),
      slower: whole('slower'),
    },
    fold: given.has('fold'),
    message: given.get('message') ?? '',
    send: given.has('send'),
    file: given.get('file') ?? '',
  };
}

/** `#view=messages&text=%24.Heater.*`; '' for what is shown first. */
export function hashOf({ bus, file, filter, fold, message, send, view }: Route): string {
  const parts = new URLSearchParams();
  if (file !== '') parts.set('file', file);
  if (view !== FIRST.view) parts.set('view', view);
  if (bus !== 0) parts.set('bus', String(bus));
  if (filter.text !== '') parts.set('text', filter.text);
  if (filter.ksock !== 0) parts.set('ksock', String(filter.ksock));
  if (filter.hidden.length > 0) parts.set('hide', filter.hidden.join());
  if (filter.slower > 0) parts.set('slower', String(filter.slower));
  if (fold) parts.set('fold', '');
  if (message !== '') parts.set('message', message);
  if (send) parts.set('send', '');
  const text = parts.toString();
  return text === '' ? '' : `#${text}`;
}

function set(next: Route, isNew: boolean): void {
  route.value = next;
  const address = `${location.pathname}${hashOf(next)}`;
  if (isNew) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}

/** Goes to another view, or to the same with another filter: a step of the browser's history. */
export function go(change: Partial<Route>): void {
  set({ ...route.value, ...change }, true);
}

/** Changes the filter while the user types: no step. */
export function refine(change: Partial<Filter>): void {
  set({ ...route.value, filter: { ...route.value.filter, ...change } }, false);
}

export function toggleKind(kind: MessageKind): void {
  const { hidden } = route.value.filter;
  refine({
    hidden: hidden.includes(kind) ? hidden.filter((one) => one !== kind) : [...hidden, kind],
  });
}

export function toggleFold(): void {
  set({ ...route.value, fold: !route.value.fold }, false);
}

/** Shows one message whole, or none. */
export function showMessage(id: string): void {
  set({ ...route.value, message: id }, false);
}

export function readAddress(): void {
  route.value = parseRoute(location.hash);
}

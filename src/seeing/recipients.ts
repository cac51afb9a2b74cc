import { isMoreSpecific, isWildcard, matches } from '../message/name.ts';
import type { BindingView, BusView, KsockView } from '../tap/bus-view.ts';

/** A binding that would matter to a message, and its Ksock. */
export interface Party {
  readonly ksock: KsockView;
  readonly binding: BindingView;
  /** Why it would not get the message; '' if it would. */
  readonly why: string;
}

/** Who would get a message of a name now, and who would not. */
export interface Recipients {
  /** Who would get it as a Request, to answer it; null: nobody replies. `why`: the Request would be refused. */
  readonly replier: Party | null;
  /** Repliers that would not get the Request, since another is more specific. */
  readonly others: readonly Party[];
  readonly listeners: readonly Party[];
  /** Bindings whose names do not match, but look as if they should. */
  readonly near: readonly Party[];
}

/** The most bindings that look alike to tell of. */
const MAX_NEAR = 8;

/** Who would get a message of this name, without sending it (spec 1 §6, spec 1 §7.2). */
export function recipientsOf(view: BusView, name: string): Recipients {
  const all = [...view.bindings.values()].sort((a, b) => a.binding - b.binding);
  const bound = all.filter((binding) => matches(binding.name, name));
  const repliers = bound
    .filter(({ replier }) => replier)
    .sort((a, b) => (isMoreSpecific(a.name, b.name) ? -1 : 1));
  const [first, ...others] = repliers;
  const party = (binding: BindingView, why: string): Party[] => {
    const ksock = view.ksocks.get(binding.ksock);
    return ksock === undefined ? [] : [{ ksock, binding, why }];
  };
  return {
    replier:
      first === undefined ? null : (party(first, whyBusy(view.ksocks.get(first.ksock)))[0] ?? null),
    others: others.flatMap((one) =>
      party(one, `'${first?.name}' is more specific than '${one.name}'`),
    ),
    listeners: listenersOf(
      view,
      bound.filter(({ replier }) => !replier),
      party,
    ),
    near: all
      .filter(({ name: other }) => isNear(other, name))
      .slice(-MAX_NEAR)
      .flatMap((one) => party(one, `'${one.name}' does not match '${name}'`)),
  };
}

function listenersOf(
  view: BusView,
  bindings: readonly BindingView[],
  party: (binding: BindingView, why: string) => Party[],
): Party[] {
  const newest = new Map(bindings.map(({ ksock, binding }) => [ksock, binding]));
  return bindings.flatMap((binding) => {
    const ksock = view.ksocks.get(binding.ksock);
    if (ksock === undefined) return [];
    const isSecond = ksock.once && newest.get(ksock.ksock) !== binding.binding;
    if (isSecond) return party(binding, 'it wants each message once, and gets it by another name');
    return party(binding, isFull(ksock) ? 'its queue is full: it would miss the message' : '');
  });
}

function whyBusy(ksock: KsockView | undefined): string {
  if (ksock === undefined || !isFull(ksock)) return '';
  return 'its queue is full: KBUS would refuse the Request with EBUSY';
}

/** spec 1 §5.1: "A queue is full when occupied ≥ limit." */
function isFull({ maxMessages, outstanding, unread }: KsockView): boolean {
  return unread + outstanding >= maxMessages;
}

/** A name that differs in case only, or the wildcard of all names below this one. */
function isNear(bindingName: string, name: string): boolean {
  if (matches(bindingName, name)) return false;
  const isBelow = bindingName === `${name}.*` || bindingName === `${name}.%`;
  if (isBelow || bindingName.toLowerCase() === name.toLowerCase()) return true;
  return isWildcard(bindingName) && matches(bindingName.toLowerCase(), name.toLowerCase());
}

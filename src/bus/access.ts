import { covers, matches } from '../message/name.ts';
import type { AccessReport } from '../message/reports.ts';
import { REPLIER_ERROR } from '../message/request-error.ts';

/**
 * What the users of an access point may do (spec 1 §13.2).
 *
 * @see {@link Right} for an example
 */
export const RIGHTS = ['read', 'write', 'reply', 'observe', 'manage'] as const;

/**
 * What the users of an access point may do: one of `RIGHTS`.
 *
 * @example
 * ```ts
 * import { RIGHTS, type Right } from 'kbus/daemon';
 *
 * const looking: readonly Right[] = RIGHTS.filter((right) => right === 'observe');
 * console.log(RIGHTS.length, looking.join()); // → 5 observe
 * ```
 */
export type Right = (typeof RIGHTS)[number];

/**
 * The rights of an access point. A list of wildcards limits a right to names; without a list, it holds for all names.
 *
 * @see {@link AccessPoint} for an example
 */
export interface AccessRules {
  readonly rights: readonly Right[];
  /** Names that may be sent. */
  readonly send?: readonly string[] | undefined;
  /** Names that may be listened to. */
  readonly listen?: readonly string[] | undefined;
  /** Names that may be replied for. */
  readonly reply?: readonly string[] | undefined;
}

/** What the Ksocks of an access point may do: all checks of rights are here. A Ksock with all rights has none of it. */
export class Access {
  /** What gives the rights, as errors name it: `access point 'guest'`. */
  readonly giver: string;
  readonly rules: AccessRules;
  private readonly rights: ReadonlySet<Right>;
  /** The rights that these are a part of. */
  private readonly wider: Access | null;

  constructor(giver: string, rules: AccessRules, wider: Access | null = null) {
    this.giver = giver;
    this.rules = rules;
    this.rights = new Set(rules.rights);
    this.wider = wider;
  }

  /** Who withholds a right: the access point, or the way in which the Ksock was opened. */
  giverWithout(right: Right): string {
    return this.wider?.has(right) ? MANAGING.giver : this.giver;
  }

  has(right: Right): boolean {
    return this.rights.has(right);
  }

  /** Every name that the binding matches must be permitted. */
  mayBind(name: string, replier: boolean): boolean {
    const { listen, reply } = this.rules;
    const names = replier ? reply : listen;
    return this.has(replier ? 'reply' : 'read') && (names === undefined || covers(names, name));
  }

  /**
   * Whether a message may have this name. A Reply reaches the listeners of its name, too. So it may have a name that its
   * Ksock may send or reply for, and the name of errors. A Replier needs no right to write (spec 1 §13.2).
   */
  maySend(name: string, isReply: boolean): boolean {
    const { send, reply } = this.rules;
    if (this.has('write') && isAmong(send, name)) return true;
    return isReply && (name === REPLIER_ERROR || (this.has('reply') && isAmong(reply, name)));
  }

  /** Whether it may see reports of the bus, which show the names and programs of everybody. */
  get mayReport(): boolean {
    return this.has('observe') || this.has('manage');
  }

  /** Whether it may know who replies for this name. */
  mayFind(name: string): boolean {
    const { send } = this.rules;
    if (this.mayReport || this.mayBind(name, true) || this.mayBind(name, false)) return true;
    return this.has('write') && (send === undefined || covers(send, name));
  }

  /** The part of these rights for looking at a bus and managing it, for a Ksock that was opened for that only. */
  forManaging(): Access {
    const rights = this.rules.rights.filter((right) => TO_MANAGE.includes(right));
    return new Access(this.giver, { rights }, this);
  }
}

/** The rights as a report; of an access point of a bus in this process, unless `place` says more. */
export function accessReport(
  device: number,
  access: Access | null,
  place: Partial<AccessReport> = {},
): AccessReport {
  const { rights, send, listen, reply } = access?.rules ?? ALL;
  return {
    device,
    name: '',
    path: '',
    mode: '',
    owner: null,
    group: null,
    rights: [...rights],
    send: send === undefined ? null : [...send],
    listen: listen === undefined ? null : [...listen],
    reply: reply === undefined ? null : [...reply],
    web: '',
    ...place,
  };
}

const ALL: AccessRules = { rights: RIGHTS };

const TO_MANAGE: readonly Right[] = ['observe', 'manage'];

/** The same of an access point with all rights. */
export const MANAGING = new Access('a Ksock that was opened with { manage: true }', {
  rights: TO_MANAGE,
});

function isAmong(names: readonly string[] | undefined, name: string): boolean {
  return names === undefined || names.some((one) => matches(one, name));
}

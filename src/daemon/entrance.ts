import { type Access, accessReport } from '../bus/access.ts';
import type { Bus } from '../bus/bus.ts';
import type { Share } from '../bus/memory.ts';
import type { AccessReport } from '../message/reports.ts';

/** How a connection has come in. */
export interface Entrance {
  /** The rights of its access point; null: all. */
  readonly access: Access | null;
  /** What its Ksocks hold together. */
  readonly share: Share;
  /** Why only a Ksock that manages may come in, because the daemon is full; '' if any may. */
  readonly full: string;
  /** It is one for pages: KBUS explains each refusal to them. */
  readonly isForPages?: boolean;
  /** The access points that its Ksock may know of. */
  reports(): AccessReport[];
}

/** The entrance of a bus with one access point, which has all rights. */
export function openEntrance(bus: Bus): Entrance {
  return {
    access: null,
    share: bus.share,
    full: '',
    reports: () => [accessReport(bus.number, null)],
  };
}

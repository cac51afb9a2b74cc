import { statSync } from 'node:fs';
import { Access, type AccessRules, accessReport, RIGHTS } from '../bus/access.ts';
import type { Bus } from '../bus/bus.ts';
import type { Rights } from '../device/device.ts';
import type { AccessReport } from '../message/reports.ts';
import type { FolderRights } from '../system/made-folders.ts';
import { checkAccessPoints } from './check-access.ts';
import type { Entrance } from './entrance.ts';
import type { Ownership } from './socket-file.ts';

/**
 * A further access point of a bus: a socket, who may use it, and what they may do (spec 1 §13).
 *
 * @example
 * ```ts
 * import { type AccessPoint, type AccessRules, Daemon, Log } from 'kbus/daemon';
 * import { KbusError, Ksock } from 'kbus';
 *
 * const directory = './guests';
 * const rules: AccessRules = { rights: ['read'], listen: ['$.Public.*'] };
 * const guest: AccessPoint = { name: 'guest', socket: { mode: 0o666, group: undefined }, ...rules };
 * const daemon = new Daemon({
 *   buses: 1,
 *   directory,
 *   socket: { mode: 0o600, group: undefined },
 *   bus: {},
 *   access: [guest],
 *   log: new Log('human', () => {}),
 * });
 * await daemon.start();
 * const ksock = await Ksock.open(0, { directory, access: 'guest' });
 * await ksock.bind('$.Public.News');
 * const error = await ksock.bind('$.Secret').catch((reason: unknown) => reason);
 * if (error instanceof KbusError) console.log(error.code); // → EACCES
 * await ksock.close();
 * await daemon.stop('it was told to');
 * ```
 */
export interface AccessPoint extends AccessRules {
  /** 1 to 32 letters, digits, `_` and `-`. The socket of `guest` on bus 0 is `kbus0.guest.sock`. */
  readonly name: string;
  /** Permissions of the socket. */
  readonly socket: Ownership;
  /** The buses that have it. Default: all. */
  readonly buses?: readonly number[] | undefined;
  /** Whether it has a token, too, for pages (spec 1 §13). Default: false. */
  readonly web?: boolean | undefined;
  /** Descriptors of its listening sockets for the first of these buses (systemd's socket activation). */
  readonly listening?: readonly number[] | undefined;
}

/** One in so many connections is kept for access points that may manage, if there are any that may not. */
const KEPT_PART = 8;

/** A way into a bus: one of its sockets. */
export interface Door extends Entrance {
  /** '' for that of the owner. */
  readonly name: string;
  path: string;
}

/** What the reports tell of a device file. */
export interface DeviceFile {
  readonly path: string;
  readonly rights: Pick<Rights, 'mode' | 'uid' | 'gid'>;
}

/** The access points of all buses of a daemon. */
export class AccessPoints {
  /** The file with the token of an access point, if the daemon serves the web to it; ''. */
  webFile: (name: string) => string = () => '';
  /** The name of that of the device files, or ''. */
  private readonly deviceName: string;
  private readonly rights = new Map<string, Access | null>([['', null]]);
  private readonly doors = new Map<Bus, Door[]>();

  /** Throws a TypeError for access points that are not valid, or if the device files' is not among them. */
  constructor(points: readonly AccessPoint[], deviceName = '') {
    checkAccessPoints(points);
    for (const point of points) this.rights.set(point.name, accessOf(point));
    this.deviceName = deviceName;
    if (!this.rights.has(deviceName)) {
      throw new TypeError(`device.access names no access point: '${deviceName}'`);
    }
  }

  /** The rights of programs at device files; null: all. */
  get deviceAccess(): Access | null {
    return this.rights.get(this.deviceName) ?? null;
  }

  /** Adds a socket of a bus. `file` gives the bus's device file, if there is one. */
  add(bus: Bus, name: string, path: string, file: () => DeviceFile | null): Door {
    const access = this.rights.get(name) ?? null;
    const reports = (): AccessReport[] => this.reports(bus, door, file());
    const share = bus.memory.share(name);
    const door: Door = { name, path, access, share, full: '', reports };
    this.doors.set(bus, [...(this.doors.get(bus) ?? []), door]);
    return door;
  }

  /** The access point of a bus by its name; '' is that of the owner. */
  find(bus: Bus, name: string): Door | undefined {
    return this.doors.get(bus)?.find((door) => door.name === name);
  }

  /** The access points that a Ksock may know of which came in by this one. */
  private reports(bus: Bus, own: Door, file: DeviceFile | null): AccessReport[] {
    const { number } = bus;
    const mayKnow = own.access === null || own.access.mayReport;
    const doors = mayKnow ? (this.doors.get(bus) ?? []) : [own];
    const reports = doors.map(({ name, access, path }) => ({
      ...reportPoint(number, name, access, path),
      web: this.webFile(name),
    }));
    if (!mayKnow || file === null) return reports;
    // Not by stat: the daemon can't look at its own mount without waiting for itself.
    const { mode, uid, gid } = file.rights;
    const place = { path: file.path, mode: modeText(mode), owner: uid, group: gid };
    const name = this.deviceName;
    return [...reports, accessReport(number, this.deviceAccess, { name, ...place })];
  }
}

/** How many of the connections of a daemon there may be before an access point takes no more. */
export function connectionsFor(access: Access | null, maxConnections: number): number {
  if (access === null || access.has('manage')) return maxConnections;
  return maxConnections - Math.ceil(maxConnections / KEPT_PART);
}

/** The rights of an access point; null: all. */
function accessOf({ name, ...rules }: AccessPoint): Access | null {
  const { rights, send, listen, reply } = rules;
  const isAll = send === undefined && listen === undefined && reply === undefined;
  if (isAll && RIGHTS.every((right) => rights.includes(right))) return null;
  return new Access(`access point '${name}'`, { rights, send, listen, reply });
}

/** The access point as a report, with the mode, the owner and the group that its file has now. */
function reportPoint(bus: number, name: string, access: Access | null, path: string): AccessReport {
  let place: Partial<AccessReport> = {};
  try {
    const { mode, uid, gid } = statSync(path);
    place = { mode: modeText(mode), owner: uid, group: gid };
  } catch {
    // On Windows, or when somebody has removed the file.
  }
  return accessReport(bus, access, { name, path, ...place });
}

/** Permission bits in octal: `0660`. */
function modeText(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** The permissions of the folder: whoever may use one of its sockets may enter it. */
export function folderRightsFor(sockets: readonly Ownership[]): FolderRights {
  const forOthers = sockets.some(({ mode }) => (mode & 0o007) !== 0);
  const ofGroups = sockets.filter(({ mode }) => (mode & 0o070) !== 0);
  const groups = new Set(ofGroups.map(({ group }) => group));
  const mode = forOthers || groups.size > 1 ? 0o755 : groups.size === 1 ? 0o750 : 0o700;
  const [group = sockets[0]?.group] = groups;
  return { mode, group: groups.size > 1 ? sockets[0]?.group : group };
}

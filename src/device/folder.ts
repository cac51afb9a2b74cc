import { lstat, readlink, rename, stat, symlink, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { Access } from '../bus/access.ts';
import { serve } from '../fuse/connection.ts';
import { type Mount, mount } from '../fuse/mount.ts';
import { identityOf } from '../system/file-identity.ts';
import { checkOwnPath } from '../system/path-trust.ts';
import { Device, type DeviceHost, type Rights } from './device.ts';

export interface DeviceOptions {
  /** The folder to mount; created if it doesn't exist. */
  directory: string;
  /** Folder for a symbolic link to each bus: /dev, as a rule. */
  links?: string | undefined;
  /** Permission bits of each bus. */
  mode: number;
  /** Group id of the files, or undefined for the process's own. */
  group: number | undefined;
  /** What programs may do that open the files; null: everything. */
  access: Access | null;
}

/** A bus can't have its link in the folder of links; the message says what to do. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** A device that this process has mounted and serves. */
export class DeviceFolder {
  /** Absolute. */
  readonly directory: string;
  readonly rights: Rights;
  private readonly device: Device;
  private readonly mounted: Mount;
  private readonly closed: Promise<void>;
  private readonly links: string | undefined;
  /** Identity of each link that was created, by path. */
  private readonly linked = new Map<string, string | undefined>();

  private constructor(
    device: Device,
    rights: Rights,
    mounted: Mount,
    closed: Promise<void>,
    links: string | undefined,
  ) {
    this.device = device;
    this.rights = rights;
    this.mounted = mounted;
    this.closed = closed;
    this.directory = mounted.directory;
    this.links = links;
  }

  /**
   * Mounts the folder and serves it; {@link link} creates the links. Throws a MountError. `onClosed` is called at the
   * end of the mount, with the error if it was not simply unmounted.
   */
  static async open(
    { directory, links, mode, group, access }: DeviceOptions,
    host: DeviceHost,
    onClosed: (error: unknown) => void,
  ): Promise<DeviceFolder> {
    const mounted = await mount(directory);
    const rights = { mode, uid: process.geteuid!(), gid: group ?? process.getegid!(), access };
    const device = new Device(host, rights);
    const connection = serve(mounted.descriptor, device);
    const closed = connection.closed
      .then(
        () => undefined,
        (error: unknown) => error,
      )
      .then((error) => {
        device.close();
        onClosed(error);
      });
    try {
      await connection.ready;
    } catch (error) {
      await mounted.unmount();
      mounted.folders.remove();
      throw error;
    }
    return new DeviceFolder(device, rights, mounted, closed, links);
  }

  /** The number of open files in it. */
  get openFiles(): number {
    return this.device.openFiles;
  }

  /** The file of a bus. */
  path(bus: number): string {
    return join(this.directory, `kbus${bus}`);
  }

  /**
   * Creates the link of a bus, if there is a folder for links. Replaces a dangling link of an earlier device. Throws a
   * LinkError if anything else has the path, a PathTrustError if another user could replace the links, or an error of the
   * file system.
   */
  async link(bus: number): Promise<void> {
    if (this.links === undefined) return;
    checkOwnPath(this.links);
    const link = resolve(this.links, `kbus${bus}`);
    const target = this.path(bus);
    await this.clear(link, target);
    // Created under another name and renamed, which replaces an old link atomically.
    const beside = `${link}.${process.pid}`;
    await symlink(target, beside);
    const made = identityOf(beside);
    await rename(beside, link);
    this.linked.set(link, made);
  }

  private async clear(link: string, target: string): Promise<void> {
    const there = await lstat(link).catch(() => null);
    if (there === null) return;
    if (!there.isSymbolicLink()) {
      throw new LinkError(
        `${link} exists and is not a symbolic link; remove it (is the kernel's kbus module loaded?), or omit --link`,
      );
    }
    const now = await readlink(link);
    const isServed = now !== target && (await stat(link).then(Boolean, () => false));
    if (isServed) {
      throw new LinkError(
        `${link} is a link to ${now}, which exists; stop the daemon that serves it, or choose another folder with --link`,
      );
    }
  }

  /** Removes the links, unmounts, and removes the folder if it was created. Throws a MountError. */
  async close(): Promise<void> {
    for (const [link, identity] of this.linked) {
      if (identityOf(link) === identity) await unlink(link);
    }
    this.linked.clear();
    await this.mounted.unmount();
    await this.closed;
    this.mounted.folders.remove();
  }
}

import { lstat, readlink, rename, stat, symlink, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { serve } from '../fuse/connection.ts';
import { type Mount, mount } from '../fuse/mount.ts';
import { identityOf } from '../system/file-identity.ts';
import { Device, type DeviceHost } from './device.ts';

export interface DeviceOptions {
  /** The folder to mount; made if it isn't there. */
  directory: string;
  /** Where each bus gets a symbolic link to its file too: /dev, as a rule. */
  links?: string | undefined;
  /** Permission bits of each bus. */
  mode: number;
  /** Group id of the files, or undefined for the process's own. */
  group: number | undefined;
}

/** Why a bus has no link in the folder of links; the message says what to do. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** A device that is mounted and served by this process. */
export class DeviceFolder {
  /** Absolute. */
  readonly directory: string;
  private readonly device: Device;
  private readonly mounted: Mount;
  private readonly closed: Promise<void>;
  private readonly links: string | undefined;
  /** Each link that was made, and what it was then. */
  private readonly linked = new Map<string, string | undefined>();

  private constructor(
    device: Device,
    mounted: Mount,
    closed: Promise<void>,
    links: string | undefined,
  ) {
    this.device = device;
    this.mounted = mounted;
    this.closed = closed;
    this.directory = mounted.directory;
    this.links = links;
  }

  /**
   * Mounts and serves; the links are made by {@link link}. A MountError when that can't be done here.
   * `gone` is called when the mount has ended, with the reason if it did not just end.
   */
  static async open(
    { directory, links, mode, group }: DeviceOptions,
    host: DeviceHost,
    gone: (error: unknown) => void,
  ): Promise<DeviceFolder> {
    const mounted = await mount(directory);
    const rights = { mode, uid: process.geteuid!(), gid: group ?? process.getegid!() };
    const device = new Device(host, rights);
    const connection = serve(mounted.descriptor, device);
    const closed = connection.closed
      .then(
        () => undefined,
        (error: unknown) => error,
      )
      .then((error) => {
        device.close();
        gone(error);
      });
    try {
      await connection.ready;
    } catch (error) {
      await mounted.unmount();
      mounted.folders.remove();
      throw error;
    }
    return new DeviceFolder(device, mounted, closed, links);
  }

  /** How many files are open in it. */
  get openFiles(): number {
    return this.device.openFiles;
  }

  /** The file of a bus. */
  path(bus: number): string {
    return join(this.directory, `kbus${bus}`);
  }

  /**
   * Makes the link of a bus, if there is a folder for links. What a device that is gone left there is
   * replaced; anything else is left alone. A LinkError, or an error of the file system.
   */
  async link(bus: number): Promise<void> {
    if (this.links === undefined) return;
    const link = resolve(this.links, `kbus${bus}`);
    const target = this.path(bus);
    await this.clear(link, target);
    // Made beside its place and moved there, so that it is whole from the first moment on.
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
        `${link} is there already, and is no link of kbus; remove it (is the kernel's own kbus module loaded?), or leave --link out`,
      );
    }
    const now = await readlink(link);
    const isServed = now !== target && (await stat(link).then(Boolean, () => false));
    if (isServed) {
      throw new LinkError(
        `${link} leads to ${now}, which is being served; end that one, or choose another folder with --link`,
      );
    }
  }

  /** Removes the links, unmounts, and removes the folder if it was made. A MountError. */
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

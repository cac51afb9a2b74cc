import { readFileSync } from 'node:fs';
import type { Bus } from '../bus/bus.ts';
import { printBindings, printStats, reportBindings, reportStats } from '../bus/report.ts';
import {
  type Answer,
  type Attributes,
  encodeDirectory,
  OpenFlag,
  S_IFDIR,
  S_IFREG,
} from '../fuse/answer.ts';
import type { Filesystem, Kernel } from '../fuse/filesystem.ts';
import type { Request } from '../fuse/request.ts';
import { Errno } from '../message/errno.ts';
import { CallerMemory } from './caller-memory.ts';
import { Descriptor, type DescriptorHost } from './descriptor.ts';

/** Who may use the files. */
export interface Rights {
  /** Permission bits of each bus; `bindings` and `stats` may be read by whoever may read a bus. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Whose buses the files are. */
export interface DeviceHost {
  readonly flushes: DescriptorHost['flushes'];
  readonly buses: Iterable<Bus> & { get(number: number): Bus | undefined };
  /** Whether there are as many connections and open files as there may be. */
  isFull(): boolean;
  newDevice(): Promise<number>;
}

const EIO = 5;
const EACCES = 13;
const EPERM = 1;

const ROOT = 1;
/** What stat(2) shows as inode numbers: of a text, and of bus 0. */
const TEXT_INODE = 2;
const BUS_INODE = 16;

/** The access mode in the flags of open(2); 0 is to read only. */
const O_ACCMODE = 3;
/** FATTR_ bits of a change of rights: mode, uid, gid. */
const CHANGES_RIGHTS = 1 | 2 | 4;

/**
 * How files are opened. Without NONSEEKABLE and STREAM, since Python's buffered files ask whether
 * they can be sought in; positions mean nothing to a bus.
 */
const OPEN_FLAGS = OpenFlag.DIRECT_IO | OpenFlag.NOFLUSH;

const TEXTS = ['bindings', 'stats'] as const;

/** What a name stands for: a bus, or a text about all of them. */
type Thing = number | (typeof TEXTS)[number];

/** An open text: what it said when it was opened. */
class Text {
  readonly bytes: Uint8Array;

  constructor(text: string) {
    this.bytes = Buffer.from(text, 'latin1');
  }
}

/**
 * The folder of a device: a file for each bus, `kbus0`, `kbus1`, ..., and the texts `bindings` and
 * `stats` (spec 2, spec 1 §11). Without mount or descriptor: it takes
 * requests, and answers them.
 */
export class Device implements Filesystem {
  private readonly host: DeviceHost;
  private readonly rights: Rights;
  private readonly descriptorHost: DescriptorHost;
  private readonly memory: CallerMemory;
  private lastHandle = 0;
  private readonly files = new Map<number, Descriptor | Text>();
  private lastNode = ROOT;
  /**
   * Each lookup of a name is given a node of its own. To the kernel a node is one file, of which only one
   * program at a time may write: one whose write waits would keep all others of that bus waiting.
   */
  private readonly nodes = new Map<number, Thing>();

  constructor(host: DeviceHost, rights: Rights, memory = new CallerMemory()) {
    this.host = host;
    this.rights = rights;
    this.memory = memory;
    this.descriptorHost = { memory, flushes: host.flushes, newDevice: () => host.newDevice() };
  }

  /** How many files are open: buses and texts. */
  get openFiles(): number {
    return this.files.size;
  }

  handle(request: Request, kernel: Kernel): void {
    switch (request.op) {
      case 'forget':
        for (const { node } of request.forgotten) this.nodes.delete(node);
        return;
      case 'interrupt':
        for (const file of this.files.values()) {
          if (file instanceof Descriptor) file.interrupt(request.target, kernel);
        }
        return;
      case 'read':
      case 'write':
      case 'ioctl':
      case 'poll': {
        const file = this.files.get(request.handle);
        if (file instanceof Descriptor) file.handle(request, kernel);
        else kernel.answer(request, ofText(file, request));
        break;
      }
      case 'release':
        this.release(request.handle);
        kernel.answer(request, { kind: 'done' });
        break;
      default:
        kernel.answer(request, this.answerTo(request));
    }
    this.host.flushes.flush();
  }

  /** Closes every file that is open: the mount is gone. */
  close(): void {
    for (const handle of [...this.files.keys()]) this.release(handle);
    this.host.flushes.flush();
  }

  private release(handle: number): void {
    const file = this.files.get(handle);
    this.files.delete(handle);
    this.memory.forget(handle);
    if (file instanceof Descriptor) file.close();
  }

  private answerTo(request: Request): Answer {
    switch (request.op) {
      case 'lookup':
        return this.lookup(request);
      case 'getattr':
        return this.attributesOf(request.node);
      case 'setattr':
        if ((request.valid & CHANGES_RIGHTS) !== 0) return refusal(EPERM);
        return this.attributesOf(request.node);
      case 'open':
        return this.open(request);
      case 'opendir':
        return { kind: 'opened', handle: 0, flags: 0 };
      case 'readdir':
        return { kind: 'data', data: this.list(request.offset, request.size) };
      case 'create':
        return refusal(Errno.ENOENT);
      case 'statfs':
        return { kind: 'statfs', files: this.things().length, nameLength: 255 };
      case 'readlink':
        return refusal(Errno.EINVAL);
      case 'flush':
      case 'releasedir':
      case 'access':
      case 'destroy':
        return { kind: 'done' };
      default:
        return refusal(EIO);
    }
  }

  private lookup({ name }: Request<'lookup'>): Answer {
    const thing = this.things().find((one) => nameOf(one) === name);
    if (thing === undefined) return refusal(Errno.ENOENT);
    this.nodes.set(++this.lastNode, thing);
    return { kind: 'entry', attributes: this.attributes(this.lastNode, thing) };
  }

  private things(): Thing[] {
    return [...TEXTS, ...[...this.host.buses].map(({ number }) => number)];
  }

  private list(offset: number, size: number): Uint8Array {
    const entries = this.things().map((thing) => ({
      node: inodeOf(thing),
      name: nameOf(thing),
      type: S_IFREG,
    }));
    return encodeDirectory(entries, offset, size);
  }

  private attributesOf(node: number): Answer {
    const { mode, uid, gid } = this.rights;
    if (node === ROOT) {
      // Whoever may use a file may look into the folder.
      const search = (mode & 0o444) | ((mode & 0o444) >> 2);
      const attributes = { node, mode: S_IFDIR | 0o700 | search, uid, gid };
      return { kind: 'attributes', attributes };
    }
    const thing = this.nodes.get(node);
    if (thing === undefined) return refusal(Errno.ENOENT);
    return { kind: 'attributes', attributes: this.attributes(node, thing) };
  }

  private attributes(node: number, thing: Thing): Attributes {
    const { mode, uid, gid } = this.rights;
    const bits = typeof thing === 'number' ? mode : mode & 0o444;
    return { node, inode: inodeOf(thing), mode: S_IFREG | bits, uid, gid };
  }

  private open({ node, flags, pid }: Request<'open'>): Answer {
    const thing = this.nodes.get(node);
    if (thing === undefined) return refusal(Errno.ENOENT);
    if (this.host.isFull()) return refusal(Errno.ENOMEM);
    const readsOnly = (flags & O_ACCMODE) === 0;
    if (typeof thing === 'number') {
      const bus = this.host.buses.get(thing) as Bus;
      const mode = readsOnly ? 'r' : 'rw';
      this.files.set(
        ++this.lastHandle,
        new Descriptor(this.descriptorHost, bus, mode, processOf(pid)),
      );
    } else {
      if (!readsOnly) return refusal(EACCES);
      this.files.set(++this.lastHandle, new Text(this.write(thing)));
    }
    return { kind: 'opened', handle: this.lastHandle, flags: OPEN_FLAGS };
  }

  private write(text: (typeof TEXTS)[number]): string {
    const buses = [...this.host.buses];
    return buses
      .map((bus) =>
        text === 'bindings'
          ? printBindings(bus.number, reportBindings(bus))
          : printStats(reportStats(bus)),
      )
      .join('');
  }
}

function ofText(
  text: Text | undefined,
  request: Request<'read' | 'write' | 'ioctl' | 'poll'>,
): Answer {
  // A folder can be asked too.
  if (request.op === 'ioctl') return refusal(Errno.ENOTTY);
  if (text === undefined || request.op === 'write') return refusal(Errno.EBADF);
  if (request.op === 'poll') return { kind: 'poll', events: request.events & 0x1 };
  const { offset, size } = request;
  return { kind: 'data', data: text.bytes.subarray(offset, offset + size) };
}

function nameOf(thing: Thing): string {
  return typeof thing === 'number' ? `kbus${thing}` : thing;
}

function inodeOf(thing: Thing): number {
  return typeof thing === 'number' ? BUS_INODE + thing : TEXT_INODE + TEXTS.indexOf(thing);
}

/** The process that a thread belongs to; the thread itself if it is gone already. */
function processOf(thread: number): number {
  try {
    const status = readFileSync(`/proc/${thread}/status`, 'latin1');
    return Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread);
  } catch {
    return thread;
  }
}

function refusal(errno: number): Answer {
  return { kind: 'error', errno };
}

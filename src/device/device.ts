import { readFileSync } from 'node:fs';
import type { Access } from '../bus/access.ts';
import type { Bus } from '../bus/bus.ts';
import { programName } from '../bus/identity.ts';
import { bindingsText, statsText } from '../bus/report.ts';
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

/** Owner and permissions of the files. */
export interface Rights {
  /** Permission bits of each bus; of `bindings` and `stats`, those to read. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** What programs may do that open the files; null: everything. */
  readonly access?: Access | null;
}

/** The daemon, as a device sees it. */
export interface DeviceHost {
  readonly flushes: DescriptorHost['flushes'];
  /** A program has made a call: notes the time. */
  tick?(): void;
  readonly buses: Iterable<Bus> & { get(number: number): Bus | undefined };
  /** Whether connections and open device files have reached the limit. */
  isFull(): boolean;
  newDevice(): Promise<number>;
}

const EIO = 5;
const EACCES = 13;
const EPERM = 1;
const ESPIPE = 29;

/** What the Ksocks at device files hold together: no access point has this name. */
const SHARE = '/dev';

const ROOT_NODE = 1;
/** Inode numbers for stat(2): of the first text, and of bus 0. */
const FIRST_TEXT_INODE = 2;
const FIRST_BUS_INODE = 16;

/** The access mode in the flags of open(2); 0 is read-only. */
const O_ACCMODE = 3;
/** FATTR_ bits of chmod and chown: mode, uid, gid. */
const OWNERSHIP_BITS = 1 | 2 | 4;

/** Without NONSEEKABLE and STREAM: Python's buffered files call lseek. A bus ignores positions. */
const OPEN_FLAGS = OpenFlag.DIRECT_IO | OpenFlag.NOFLUSH;

const TEXTS = ['bindings', 'stats'] as const;

/** How many texts may be open when the daemon is full. */
const MAX_RESERVED_TEXTS = 8;

/** What a file is: a bus, by number, or a text about all buses. */
type Target = number | (typeof TEXTS)[number];

/** The most bytes of a text that one read gets: to make a long text at once would hold up everybody. */
const MAX_TEXT_READ = 65_536;

/**
 * An open text, which is made as the program reads it: however long it is, an open one costs no more memory than a line.
 * A program can only read on, or begin anew at 0.
 */
class Text {
  private readonly begin: () => Generator<string>;
  private entries: Generator<string>;
  /** What was made and not read yet. */
  private rest = '';
  /** Where in the text the rest begins. */
  private at = 0;

  constructor(begin: () => Generator<string>) {
    this.begin = begin;
    this.entries = begin();
  }

  /** Up to `size` bytes from `offset` on, none at the end; null for a position that it can't go to. */
  read(offset: number, size: number): Uint8Array | null {
    if (offset === 0 && this.at > 0) {
      this.entries = this.begin();
      this.rest = '';
      this.at = 0;
    }
    if (offset !== this.at) return null;
    const length = Math.min(size, MAX_TEXT_READ);
    let text = this.rest;
    while (text.length < length) {
      const { value, done } = this.entries.next();
      if (done) break;
      text += value;
    }
    const bytes = Buffer.from(text.slice(0, length), 'latin1');
    // A copy: a slice would keep the whole text.
    this.rest = Buffer.from(text.slice(length), 'latin1').toString('latin1');
    this.at += bytes.length;
    return bytes;
  }
}

/**
 * The folder of a device: a file for each bus, `kbus0`, `kbus1`, ..., and the texts `bindings` and `stats` (spec 2,
 * spec 1 §11). It only answers requests: it knows of no mount and no file descriptor.
 */
export class Device implements Filesystem {
  private readonly host: DeviceHost;
  private readonly rights: Rights;
  private readonly descriptorHost: DescriptorHost;
  private readonly memory: CallerMemory;
  private lastHandle = 0;
  private readonly files = new Map<number, Descriptor | Text>();
  private lastNode = ROOT_NODE;
  /**
   * Each lookup of a name gets a new node. The kernel lets only one program at a time write to a node: with one node
   * per bus, a write that waits would block all other writers of that bus.
   */
  private readonly nodes = new Map<number, Target>();

  constructor(host: DeviceHost, rights: Rights, memory = new CallerMemory()) {
    this.host = host;
    this.rights = rights;
    this.memory = memory;
    this.descriptorHost = { memory, flushes: host.flushes, newDevice: () => host.newDevice() };
  }

  /** The number of open files: buses and texts. */
  get openFiles(): number {
    return this.files.size;
  }

  handle(request: Request, kernel: Kernel): void {
    this.host.tick?.();
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

  /** Closes all open files, at the end of the mount. */
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
        if ((request.valid & OWNERSHIP_BITS) !== 0) return refusal(EPERM);
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
        return { kind: 'statfs', files: this.targets().length, nameLength: 255 };
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
    const target = this.targets().find((one) => nameOf(one) === name);
    if (target === undefined) return refusal(Errno.ENOENT);
    this.nodes.set(++this.lastNode, target);
    return { kind: 'entry', attributes: this.attributes(this.lastNode, target) };
  }

  private targets(): Target[] {
    return [...TEXTS, ...[...this.host.buses].map(({ number }) => number)];
  }

  private list(offset: number, size: number): Uint8Array {
    const entries = this.targets().map((target) => ({
      node: inodeOf(target),
      name: nameOf(target),
      type: S_IFREG,
    }));
    return encodeDirectory(entries, offset, size);
  }

  private attributesOf(node: number): Answer {
    const { mode, uid, gid } = this.rights;
    if (node === ROOT_NODE) {
      // A user who may read the files may list and enter the folder.
      const search = (mode & 0o444) | ((mode & 0o444) >> 2);
      const attributes = { node, mode: S_IFDIR | 0o700 | search, uid, gid };
      return { kind: 'attributes', attributes };
    }
    const target = this.nodes.get(node);
    if (target === undefined) return refusal(Errno.ENOENT);
    return { kind: 'attributes', attributes: this.attributes(node, target) };
  }

  private attributes(node: number, target: Target): Attributes {
    const { mode, uid, gid, access } = this.rights;
    // The texts show the names and programs of everybody.
    const readers = access == null || access.mayReport ? 0o444 : 0o400;
    const bits = typeof target === 'number' ? mode : mode & readers;
    return { node, inode: inodeOf(target), mode: S_IFREG | bits, uid, gid };
  }

  private open({ node, flags, pid, uid }: Request<'open'>): Answer {
    const target = this.nodes.get(node);
    if (target === undefined) return refusal(Errno.ENOENT);
    if (this.host.isFull() && !this.mayLook(target, uid)) return refusal(Errno.ENOMEM);
    const readsOnly = (flags & O_ACCMODE) === 0;
    if (typeof target === 'number') {
      const bus = this.host.buses.get(target) as Bus;
      const share = bus.memory.share(SHARE);
      if (!share.admits) return refusal(Errno.ENOMEM);
      const mode = readsOnly ? 'r' : 'rw';
      const process = processOf(pid);
      const who = { program: programOf(process), pid: process, uid, isClaimed: false };
      const { access = null } = this.rights;
      this.files.set(
        ++this.lastHandle,
        new Descriptor(this.descriptorHost, bus, mode, who, access, share),
      );
    } else {
      if (!readsOnly) return refusal(EACCES);
      this.files.set(++this.lastHandle, this.text(target));
    }
    return { kind: 'opened', handle: this.lastHandle, flags: OPEN_FLAGS };
  }

  private text(target: (typeof TEXTS)[number]): Text {
    const print = target === 'bindings' ? bindingsText : statsText;
    return new Text(() => print([...this.host.buses]));
  }

  /** Whether the owner of the files, or root, opens a text: a few more may be open than other files. */
  private mayLook(target: Target, uid: number): boolean {
    if (typeof target === 'number' || (uid !== 0 && uid !== this.rights.uid)) return false;
    let texts = 0;
    for (const file of this.files.values()) if (file instanceof Text) texts++;
    return texts < MAX_RESERVED_TEXTS;
  }
}

function ofText(
  text: Text | undefined,
  request: Request<'read' | 'write' | 'ioctl' | 'poll'>,
): Answer {
  // An ioctl may also be for the folder, where `text` is undefined.
  if (request.op === 'ioctl') return refusal(Errno.ENOTTY);
  if (text === undefined || request.op === 'write') return refusal(Errno.EBADF);
  if (request.op === 'poll') return { kind: 'poll', events: request.events & 0x1 };
  const { offset, size } = request;
  const data = text.read(offset, size);
  return data === null ? refusal(ESPIPE) : { kind: 'data', data };
}

function nameOf(target: Target): string {
  return typeof target === 'number' ? `kbus${target}` : target;
}

function inodeOf(target: Target): number {
  if (typeof target === 'number') return FIRST_BUS_INODE + target;
  return FIRST_TEXT_INODE + TEXTS.indexOf(target);
}

/** The process of a thread; the thread's own id if it has exited. */
function processOf(thread: number): number {
  try {
    const status = readFileSync(`/proc/${thread}/status`, 'latin1');
    return Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread);
  } catch {
    return thread;
  }
}

/** The name of a process: the first 15 bytes of its file's name, unless it has set another. */
function programOf(process: number): string {
  try {
    return programName(readFileSync(`/proc/${process}/comm`, 'utf8').trimEnd());
  } catch {
    return '';
  }
}

function refusal(errno: number): Answer {
  return { kind: 'error', errno };
}

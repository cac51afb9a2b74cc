import { LITTLE_ENDIAN } from '../../src/base/endianness.ts';
import { CallerMemory } from '../../src/device/caller-memory.ts';
import {
  type Answer,
  type Attributes,
  encodeDirectory,
  OpenFlag,
  S_IFDIR,
  S_IFREG,
} from '../../src/fuse/answer.ts';
import type { Filesystem, Kernel } from '../../src/fuse/filesystem.ts';
import type { Request } from '../../src/fuse/request.ts';

const ROOT = 1;
const SLATE = 2;

export const POLLIN = 0x1;
export const POLLOUT = 0x4;

const ENOENT = 2;
const EAGAIN = 11;
const EFAULT = 14;
const EIO = 5;
const ENOTTY = 25;

/** `_IOR('k', 7, char *)`: how many bytes are on the slate. */
const LENGTH = 0x80086b07;
/** `_IOW('k', 2, char *)` of struct {u32; u32 length; char *text}: puts the text on the slate. */
const PUT = 0x40086b02;
/** `_IOR('k', 8, char *)`: fails with EAGAIN, and gives the numbers 7 and 8 all the same. */
const AGAIN = 0x80086b08;

/**
 * The least filesystem that uses all of what a bus needs: one file, `slate`. What is written is added
 * to what is on it, what is read is wiped off, and who polls is told when there is something to read.
 */
export class Slate implements Filesystem {
  /** The operations that were asked for. */
  readonly asked: Request['op'][] = [];
  /** READs of our own making that were refused. */
  refused = 0;
  onRelease = () => {};
  private text = Buffer.alloc(0);
  private opened = 0;
  private readonly waiting = new Set<bigint>();
  private readonly memory = new CallerMemory();
  private readonly openFlags: number;

  constructor(openFlags: number = OpenFlag.DIRECT_IO | OpenFlag.NONSEEKABLE | OpenFlag.STREAM) {
    this.openFlags = openFlags | OpenFlag.NOFLUSH;
  }

  handle(request: Request, kernel: Kernel): void {
    this.asked.push(request.op);
    if (request.op === 'ioctl' && request.command === PUT) {
      void this.put(request, kernel);
      return;
    }
    const answer = this.answerTo(request, kernel);
    if (answer !== null) kernel.answer(request, answer);
  }

  private answerTo(request: Request, kernel: Kernel): Answer | null {
    switch (request.op) {
      case 'lookup':
        if (request.name !== 'slate') return { kind: 'error', errno: ENOENT };
        return { kind: 'entry', attributes: this.attributes(SLATE) };
      case 'getattr':
      case 'setattr':
        return { kind: 'attributes', attributes: this.attributes(request.node) };
      case 'opendir':
        return { kind: 'opened', handle: 0, flags: 0 };
      case 'readdir': {
        const entries = [{ node: SLATE, name: 'slate', type: S_IFREG }];
        return { kind: 'data', data: encodeDirectory(entries, request.offset, request.size) };
      }
      case 'open':
        this.opened++;
        return { kind: 'opened', handle: this.opened, flags: this.openFlags };
      case 'write':
        this.add(request.data, kernel);
        return { kind: 'written', size: request.data.length };
      case 'read': {
        if (this.memory.isOurs(request.pid)) {
          this.refused++;
          return { kind: 'error', errno: EIO };
        }
        const data = this.text.subarray(0, request.size);
        this.text = this.text.subarray(data.length);
        return { kind: 'data', data };
      }
      case 'poll':
        if (request.notify) this.waiting.add(request.pollHandle);
        return { kind: 'poll', events: POLLOUT | (this.text.length > 0 ? POLLIN : 0) };
      case 'ioctl':
        if (request.command === LENGTH) return ioctl(0, this.text.length);
        if (request.command === AGAIN) return ioctl(-EAGAIN, 7, 8);
        return { kind: 'error', errno: ENOTTY };
      case 'release':
        this.memory.forget(request.handle);
        this.onRelease();
        return { kind: 'done' };
      case 'releasedir':
      case 'flush':
      case 'access':
        return { kind: 'done' };
      case 'statfs':
        return { kind: 'statfs', files: 1, nameLength: 255 };
      case 'forget':
      case 'interrupt':
        return null;
      default:
        return { kind: 'error', errno: EIO };
    }
  }

  private async put(request: Request<'ioctl'>, kernel: Kernel): Promise<void> {
    const caller = { handle: request.handle, pid: request.pid, uid: request.uid };
    // The kernel hands over as many bytes as the command says, and that is not the whole struct.
    const length = wordsOf(request.input).getUint32(4, LITTLE_ENDIAN);
    const pointer = await this.memory.read(caller, request.argument + 8n, 8);
    const address = pointer && wordsOf(pointer).getBigUint64(0, LITTLE_ENDIAN);
    const text = address === null ? null : await this.memory.read(caller, address, length);
    if (text !== null) this.add(text, kernel);
    kernel.answer(request, text === null ? { kind: 'error', errno: EFAULT } : ioctl(1));
  }

  private add(text: Uint8Array, kernel: Kernel): void {
    this.text = Buffer.concat([this.text, text]);
    for (const pollHandle of this.waiting) kernel.wake(pollHandle);
    this.waiting.clear();
  }

  private attributes(node: number): Attributes {
    const uid = process.getuid!();
    const gid = process.getgid!();
    return node === ROOT
      ? { node, mode: S_IFDIR | 0o755, uid, gid }
      : { node, mode: S_IFREG | 0o666, uid, gid };
  }
}

function ioctl(result: number, ...numbers: number[]): Answer {
  return { kind: 'ioctl', result, output: new Uint8Array(new Uint32Array(numbers).buffer) };
}

function wordsOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

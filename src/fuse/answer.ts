import { LITTLE_ENDIAN } from '../base/endianness.ts';

/**
 * What a FUSE filesystem writes to the kernel: answers to requests, and notifications. Each is a header of 16 bytes,
 * and then fields by the kind of request:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | length, header included |
 * | 4 | i32 | answer: 0, or -errno and nothing follows. Notification: its code |
 * | 8 | u64 | unique of the request; 0 in a notification |
 */
export const ANSWER_HEADER_LENGTH = 16;

/** File types and permissions, as stat(2) has them. */
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;

/** How the kernel treats an open file. */
export const OpenFlag = {
  /** Each read and write is a request of the caller's size; the kernel caches nothing. */
  DIRECT_IO: 1,
  /** lseek, pread and pwrite are refused. */
  NONSEEKABLE: 1 << 2,
  /** There is no file position. */
  STREAM: 1 << 4,
  /** No flush request at each close. */
  NOFLUSH: 1 << 5,
} as const;

export interface Attributes {
  node: number;
  /** The inode number for stat(2); by default the node. */
  inode?: number;
  /** S_IF bits and permissions. */
  mode: number;
  uid: number;
  gid: number;
  /** In bytes; by default 0. */
  size?: number;
  /** Milliseconds since 1970, for all three times; by default 0. */
  time?: number;
}

export type Answer =
  /** To any request. */
  | { kind: 'error'; errno: number }
  /** release, flush, releasedir, access, destroy. */
  | { kind: 'done' }
  /** init. */
  | {
      kind: 'init';
      minor: number;
      maxReadahead: number;
      flags: number;
      maxBackground: number;
      maxWrite: number;
      maxPages: number;
    }
  /** lookup: the node of the name. The kernel caches nothing of it. */
  | { kind: 'entry'; attributes: Attributes }
  /** getattr, setattr. */
  | { kind: 'attributes'; attributes: Attributes }
  /** open, opendir. */
  | { kind: 'opened'; handle: number; flags: number }
  /** read, readdir, readlink: at most the requested number of bytes. */
  | { kind: 'data'; data: Uint8Array }
  /** write. */
  | { kind: 'written'; size: number }
  /** ioctl: its return value or -errno; in either case the kernel copies `output` to the caller. */
  | { kind: 'ioctl'; result: number; output: Uint8Array }
  /** poll: the POLL bits that hold now. */
  | { kind: 'poll'; events: number }
  /** statfs: of a filesystem without blocks. */
  | { kind: 'statfs'; files: number; nameLength: number };

export const NOTHING: Uint8Array = new Uint8Array(0);

/** The head of an entry is the longest. */
const MAX_HEAD_BYTES = ANSWER_HEADER_LENGTH + 128;

export interface AnswerBytes {
  head: Uint8Array;
  data: Uint8Array;
}

/**
 * Encodes answers and notifications into one reused array. The result has two parts, to be written as one: the head,
 * valid until the next call, and the answer's own data.
 */
export class AnswerEncoder {
  private readonly all = new Uint8Array(MAX_HEAD_BYTES);
  private readonly view = new DataView(this.all.buffer);
  private readonly body = new DataView(this.all.buffer, ANSWER_HEADER_LENGTH);

  encode(unique: bigint, answer: Answer): AnswerBytes {
    const body = this.body;
    switch (answer.kind) {
      case 'error':
        return this.bytes(unique, 0, NOTHING, -answer.errno);
      case 'done':
        return this.bytes(unique, 0);
      case 'init': {
        // major @0, minor @4, max_readahead @8, flags @12, u16 max_background @16, u16 congestion
        // threshold @18, max_write @20, time granularity in ns @24, u16 max_pages @28, then zeros
        const bytes = this.bytes(unique, 64);
        body.setUint32(0, 7, LITTLE_ENDIAN);
        body.setUint32(4, answer.minor, LITTLE_ENDIAN);
        body.setUint32(8, answer.maxReadahead, LITTLE_ENDIAN);
        body.setUint32(12, answer.flags, LITTLE_ENDIAN);
        body.setUint16(16, answer.maxBackground, LITTLE_ENDIAN);
        body.setUint16(18, Math.floor((answer.maxBackground * 3) / 4), LITTLE_ENDIAN);
        body.setUint32(20, answer.maxWrite, LITTLE_ENDIAN);
        body.setUint32(24, 1, LITTLE_ENDIAN);
        body.setUint16(28, answer.maxPages, LITTLE_ENDIAN);
        return bytes;
      }
      case 'entry': {
        // u64 node @0, u64 generation @8, validity of the name and the attributes @16-39: 0; attributes @40
        const bytes = this.bytes(unique, 128);
        body.setBigUint64(0, BigInt(answer.attributes.node), LITTLE_ENDIAN);
        putAttributes(body, 40, answer.attributes);
        return bytes;
      }
      case 'attributes': {
        // validity @0-15: 0; attributes @16
        const bytes = this.bytes(unique, 104);
        putAttributes(body, 16, answer.attributes);
        return bytes;
      }
      case 'opened': {
        // u64 fh @0, u32 OpenFlag bits @8, u32 padding
        const bytes = this.bytes(unique, 16);
        body.setBigUint64(0, BigInt(answer.handle), LITTLE_ENDIAN);
        body.setUint32(8, answer.flags, LITTLE_ENDIAN);
        return bytes;
      }
      case 'data':
        return this.bytes(unique, 0, answer.data);
      case 'written': {
        // u32 size, u32 padding
        const bytes = this.bytes(unique, 8);
        body.setUint32(0, answer.size, LITTLE_ENDIAN);
        return bytes;
      }
      case 'ioctl': {
        // i32 result @0, 12 bytes that only unrestricted ioctls use; then the output
        const bytes = this.bytes(unique, 16, answer.output);
        body.setInt32(0, answer.result, LITTLE_ENDIAN);
        return bytes;
      }
      case 'poll': {
        // u32 events, u32 padding
        const bytes = this.bytes(unique, 8);
        body.setUint32(0, answer.events, LITTLE_ENDIAN);
        return bytes;
      }
      case 'statfs': {
        // u64 blocks, bfree, bavail @0-23, u64 files @24, u64 ffree @32, u32 bsize @40,
        // u32 namelen @44, u32 frsize @48
        const bytes = this.bytes(unique, 80);
        body.setBigUint64(24, BigInt(answer.files), LITTLE_ENDIAN);
        body.setUint32(40, 4096, LITTLE_ENDIAN);
        body.setUint32(44, answer.nameLength, LITTLE_ENDIAN);
        body.setUint32(48, 4096, LITTLE_ENDIAN);
        return bytes;
      }
    }
  }

  /**
   * Notifies the kernel that the poll events of an open file have changed: it wakes the threads that poll, and asks
   * again. Code 1, unique 0, u64 poll handle: 24 bytes.
   */
  encodePollNotification(pollHandle: bigint): AnswerBytes {
    const bytes = this.bytes(0n, 8, NOTHING, 1);
    this.body.setBigUint64(0, pollHandle, LITTLE_ENDIAN);
    return bytes;
  }

  private bytes(unique: bigint, body: number, data = NOTHING, error = 0): AnswerBytes {
    const head = this.all.subarray(0, ANSWER_HEADER_LENGTH + body);
    if (body > 0) head.fill(0);
    this.view.setUint32(0, head.length + data.length, LITTLE_ENDIAN);
    this.view.setInt32(4, error, LITTLE_ENDIAN);
    this.view.setBigUint64(8, unique, LITTLE_ENDIAN);
    return { head, data };
  }
}

export interface DirectoryEntry {
  node: number;
  name: string;
  /** S_IF bits. */
  type: number;
}

/**
 * The entries of a directory from the `offset`th on, as many as fit into `size` bytes. Each has u64 node @0, u64 offset
 * of the next entry @8, u32 length of the name @16, u32 type @20 (S_IF bits >> 12), the name, zeros up to a multiple
 * of 8.
 */
export function encodeDirectory(
  entries: readonly DirectoryEntry[],
  offset: number,
  size: number,
): Uint8Array {
  const data = new Uint8Array(Math.min(size, entries.length * (24 + 256)));
  const view = new DataView(data.buffer);
  let at = 0;
  for (const [past, entry] of entries.slice(offset).entries()) {
    const name = utf8.encode(entry.name);
    const next = at + ((24 + name.length + 7) & ~7);
    if (next > data.length) break;
    view.setBigUint64(at, BigInt(entry.node), LITTLE_ENDIAN);
    view.setBigUint64(at + 8, BigInt(offset + past + 1), LITTLE_ENDIAN);
    view.setUint32(at + 16, name.length, LITTLE_ENDIAN);
    view.setUint32(at + 20, entry.type >> 12, LITTLE_ENDIAN);
    data.set(name, at + 24);
    at = next;
  }
  return data.subarray(0, at);
}

const utf8 = new TextEncoder();

/**
 * 88 bytes: u64 ino @0, size @8, blocks @16, atime @24, mtime @32, ctime @40, u32 their nanoseconds
 * @48-59, mode @60, nlink @64, uid @68, gid @72, rdev @76, blksize @80, flags @84.
 */
function putAttributes(view: DataView, at: number, attributes: Attributes): void {
  const { node, inode = node, mode, uid, gid, size = 0, time = 0 } = attributes;
  view.setBigUint64(at, BigInt(inode), LITTLE_ENDIAN);
  view.setBigUint64(at + 8, BigInt(size), LITTLE_ENDIAN);
  for (let which = 0; which < 3; which++) {
    view.setBigUint64(at + 24 + 8 * which, BigInt(Math.floor(time / 1000)), LITTLE_ENDIAN);
    view.setUint32(at + 48 + 4 * which, (Math.floor(time) % 1000) * 1e6, LITTLE_ENDIAN);
  }
  view.setUint32(at + 60, mode, LITTLE_ENDIAN);
  view.setUint32(at + 64, (mode & S_IFDIR) !== 0 ? 2 : 1, LITTLE_ENDIAN);
  view.setUint32(at + 68, uid, LITTLE_ENDIAN);
  view.setUint32(at + 72, gid, LITTLE_ENDIAN);
  view.setUint32(at + 80, 4096, LITTLE_ENDIAN);
}

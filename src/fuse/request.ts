import { LITTLE_ENDIAN } from '../base/endianness.ts';

/**
 * The kernel's requests to a FUSE filesystem: the bytes of one read of /dev/fuse, decoded. All words are in native
 * order. Every length is checked before use.
 *
 * A request is a header of 40 bytes, and then fields by opcode:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | length of the request, header included |
 * | 4 | u32 | opcode |
 * | 8 | u64 | unique: the answer bears the same |
 * | 16 | u64 | node: the file that is meant; 1 is the root |
 * | 24, 28 | u32 ×2 | uid, gid of the caller |
 * | 32 | u32 | pid of the caller: a thread id, in the pid namespace of the mount; 0 if it has none there |
 * | 36 | u16 | length of extensions (none were negotiated) |
 * | 38 | u16 | padding |
 *
 * A newer kernel may append fields to a structure, so bytes after the known fields are ignored, except where a length
 * defines their number (names, data).
 */
export const REQUEST_HEADER_LENGTH = 40;

const decoders: Readonly<Record<number, (fields: RequestDecoder) => Operation>> = {
  /** The name, and a 0 byte. */
  1: (f) => ({ op: 'lookup', name: f.name() }),
  /** u64 number of lookups to forget. */
  2: (f) => ({ op: 'forget', forgotten: [{ node: f.node, lookups: f.u64(0) }] }),
  /** u32 flags, u32 padding, u64 fh. */
  3: (f) => f.needs(16, { op: 'getattr' }),
  /** 88 bytes: u32 valid @0, u64 fh @8, u64 size @16, u32 mode @68, uid @76, gid @80; the times are not decoded. */
  4: (f) =>
    f.needs(88, {
      op: 'setattr',
      valid: f.u32(0),
      size: f.u64(16),
      mode: f.u32(68),
      owner: f.u32(76),
      group: f.u32(80),
    }),
  5: () => ({ op: 'readlink' }),
  /** mknod: 16 bytes that are not decoded, then the name. */
  8: (f) => f.needs(16, { op: 'create' }),
  /** u32 flags of open(2), u32 padding. */
  14: (f) => f.needs(8, { op: 'open', flags: f.u32(0) }),
  /** u64 fh @0, u64 offset @8, u32 size @16, then flags and lock owner, 40 bytes in all. */
  15: (f) => f.needs(40, { op: 'read', handle: f.u64(0), offset: f.u64(8), size: f.u32(16) }),
  /** As `read`, then `size` bytes. */
  16: (f) =>
    f.needs(40, {
      op: 'write',
      handle: f.u64(0),
      offset: f.u64(8),
      data: f.bytes(40, f.u32(16)),
    }),
  17: () => ({ op: 'statfs' }),
  /** u64 fh @0, u32 flags @8, u32 release flags @12, u64 lock owner @16. */
  18: (f) => f.needs(24, { op: 'release', handle: f.u64(0) }),
  /** u64 fh @0, 8 bytes of padding, u64 lock owner @16. */
  25: (f) => f.needs(24, { op: 'flush', handle: f.u64(0) }),
  /** u32 major @0, u32 minor @4, u32 max_readahead @8, u32 flags @12; since minor 36 48 bytes more. */
  26: (f) =>
    f.needs(16, {
      op: 'init',
      major: f.u32(0),
      minor: f.u32(4),
      maxReadahead: f.u32(8),
      flags: f.u32(12),
    }),
  27: (f) => f.needs(8, { op: 'opendir', flags: f.u32(0) }),
  28: (f) => f.needs(40, { op: 'readdir', handle: f.u64(0), offset: f.u64(8), size: f.u32(16) }),
  29: (f) => f.needs(24, { op: 'releasedir', handle: f.u64(0) }),
  /** u32 mask as of access(2), u32 padding. */
  34: (f) => f.needs(8, { op: 'access', mask: f.u32(0) }),
  /** create: as mknod. */
  35: (f) => f.needs(16, { op: 'create' }),
  /** u64 unique of the request whose caller was interrupted. */
  36: (f) => ({ op: 'interrupt', target: f.big(0) }),
  38: () => ({ op: 'destroy' }),
  /** u64 fh @0, u32 flags @8, u32 cmd @12, u64 arg @16, u32 in_size @24, u32 out_size @28, then in_size bytes. */
  39: (f) =>
    f.needs(32, {
      op: 'ioctl',
      handle: f.u64(0),
      flags: f.u32(8),
      command: f.u32(12),
      argument: f.big(16),
      outputSize: f.u32(28),
      input: f.bytes(32, f.u32(24)),
    }),
  /** u64 fh @0, u64 kh @8, u32 flags @16, u32 events @20. */
  40: (f) =>
    f.needs(24, {
      op: 'poll',
      handle: f.u64(0),
      pollHandle: f.big(8),
      notify: (f.u32(16) & POLL_SCHEDULE_NOTIFY) !== 0,
      events: f.u32(20),
    }),
  /** u32 count, u32 padding, then for each u64 node, u64 lookups. */
  42: (f) => ({ op: 'forget', forgotten: f.forgotten() }),
};

const POLL_SCHEDULE_NOTIFY = 1;

/** A flag of ioctl: the caller is a 32-bit program, with 32-bit structures. */
export const IOCTL_COMPAT = 1;

/** A request without its header. Byte arrays are views of the decoded bytes. */
export type Operation =
  | { op: 'lookup'; name: string }
  | { op: 'forget'; forgotten: { node: number; lookups: number }[] }
  | { op: 'getattr' }
  | {
      op: 'setattr';
      /** FATTR_ bits: 1 mode, 2 uid, 4 gid, 8 size, 16 and up the times and others. */
      valid: number;
      size: number;
      mode: number;
      owner: number;
      group: number;
    }
  | { op: 'readlink' }
  /** mknod, or open with O_CREAT. */
  | { op: 'create' }
  | { op: 'open'; flags: number }
  | { op: 'opendir'; flags: number }
  | { op: 'read'; handle: number; offset: number; size: number }
  | { op: 'readdir'; handle: number; offset: number; size: number }
  | { op: 'write'; handle: number; offset: number; data: Uint8Array }
  | { op: 'statfs' }
  | { op: 'release' | 'flush' | 'releasedir'; handle: number }
  | { op: 'init'; major: number; minor: number; maxReadahead: number; flags: number }
  | { op: 'access'; mask: number }
  | { op: 'interrupt'; target: bigint }
  | { op: 'destroy' }
  | {
      op: 'ioctl';
      handle: number;
      flags: number;
      command: number;
      /** The caller's third argument: an address in its memory, as a rule. */
      argument: bigint;
      /** The most bytes of output: the command's encoded size, or 0. */
      outputSize: number;
      /** The bytes that the kernel copied from `argument`: the command's encoded size, or none. */
      input: Uint8Array;
    }
  | {
      op: 'poll';
      handle: number;
      /** For the poll notification; the same for the life of an open file. */
      pollHandle: bigint;
      /** The caller waits: send a notification when any of the events holds. */
      notify: boolean;
      /** The POLL bits in question. */
      events: number;
    }
  /** An opcode that is not in the table: ENOSYS. */
  | { op: 'unknown' }
  /** Lengths that contradict each other. */
  | { op: 'malformed'; fault: string };

export type FuseOp = Operation['op'];

export type Request<O extends FuseOp = FuseOp> = Extract<Operation, { op: O }> & {
  opcode: number;
  /** Identifies the request in its answer. */
  unique: bigint;
  node: number;
  uid: number;
  gid: number;
  /** A thread of the caller; 0 if it has no id in this pid namespace. */
  pid: number;
};

/** Decodes requests that are read, one at a time, into the array `all`. A decoded request has views of that array. */
export class RequestDecoder {
  private readonly all: Uint8Array;
  private readonly view: DataView;
  /** Of the request, header included. */
  private length = 0;

  constructor(all: Uint8Array) {
    this.all = all;
    this.view = new DataView(all.buffer, all.byteOffset, all.length);
  }

  /**
   * Decodes the first `length` bytes, those of one read of /dev/fuse. Null if they are not a request: no whole header,
   * or another length in it. There is nothing to answer then.
   */
  decode(length: number): Request | null {
    const view = this.view;
    if (length < REQUEST_HEADER_LENGTH || view.getUint32(0, LITTLE_ENDIAN) !== length) return null;
    this.length = length;
    const opcode = view.getUint32(4, LITTLE_ENDIAN);
    const request = this.operation(opcode) as Request;
    request.opcode = opcode;
    request.unique = view.getBigUint64(8, LITTLE_ENDIAN);
    request.node = this.node;
    request.uid = view.getUint32(24, LITTLE_ENDIAN);
    request.gid = view.getUint32(28, LITTLE_ENDIAN);
    request.pid = view.getUint32(32, LITTLE_ENDIAN);
    return request;
  }

  private operation(opcode: number): Operation {
    const decode = decoders[opcode];
    if (decode === undefined) return { op: 'unknown' };
    try {
      return decode(this);
    } catch (error) {
      if (error instanceof Malformed) return { op: 'malformed', fault: error.message };
      throw error;
    }
  }

  get node(): number {
    return this.number(16);
  }

  // Fields behind the header; offsets count from its end.

  u32(at: number): number {
    return this.view.getUint32(this.place(at, 4), LITTLE_ENDIAN);
  }

  /** A u64 as a number: exact for node ids and handles, which this process chose, and for file offsets. */
  u64(at: number): number {
    return this.number(this.place(at, 8));
  }

  big(at: number): bigint {
    return this.view.getBigUint64(this.place(at, 8), LITTLE_ENDIAN);
  }

  needs(length: number, operation: Operation): Operation {
    this.place(0, length);
    return operation;
  }

  /** The rest, which must be `length` bytes. */
  bytes(at: number, length: number): Uint8Array {
    const start = this.place(at, 0);
    const left = this.length - start;
    if (left !== length) throw new Malformed(`${length} bytes were announced, ${left} follow`);
    return this.all.subarray(start, this.length);
  }

  /** The rest, which must be a name of at least one byte and a 0 byte after it. */
  name(): string {
    const rest = this.all.subarray(REQUEST_HEADER_LENGTH, this.length);
    if (rest.length < 2 || rest.indexOf(0) !== rest.length - 1) {
      throw new Malformed('the name does not end with the request');
    }
    return utf8.decode(rest.subarray(0, -1));
  }

  forgotten(): { node: number; lookups: number }[] {
    const count = this.u32(0);
    this.bytes(8, count * 16);
    return Array.from({ length: count }, (_, i) => ({
      node: this.u64(8 + i * 16),
      lookups: this.u64(16 + i * 16),
    }));
  }

  /** The offset of a field in the array; throws if the request ends before the field does. */
  private place(at: number, length: number): number {
    const start = REQUEST_HEADER_LENGTH + at;
    if (this.length < start + length) {
      throw new Malformed(
        `${this.length - REQUEST_HEADER_LENGTH} bytes where ${at + length} are needed`,
      );
    }
    return start;
  }

  private number(at: number): number {
    const view = this.view;
    const low = view.getUint32(LITTLE_ENDIAN ? at : at + 4, LITTLE_ENDIAN);
    return view.getUint32(LITTLE_ENDIAN ? at + 4 : at, LITTLE_ENDIAN) * 2 ** 32 + low;
  }
}

class Malformed extends Error {}

const utf8 = new TextDecoder();
